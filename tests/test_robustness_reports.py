"""What a report says about robustness, from records and answers with known numbers."""

from __future__ import annotations

import io
import re
from types import ModuleType

import numpy as np
import pandas
import pytest
from reported import three_seeds

from experiments.protocols import OCCLUSION, Sweep
from experiments.study import Study
from reports.analysis.arms import Comparison
from reports.analysis.gains import with_baseline
from reports.analysis.metrics import LINES
from reports.compare import own
from reports.figures.occlusion import line
from reports.page.report import build, report_folder, write
from reports.records.answers import read_answers
from reports.records.collect import Collected, collect
from reports.tables import occlusion, table5, tables
from tests.made_up import IMAGES, OTHER_DATA, edit, make_study, write_natural, write_occlusion, write_study


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Study:
    return three_seeds(tmp_path_factory.mktemp("three"))


def compared(table: ModuleType, collected: Collected, *what: str) -> Comparison:
    return with_baseline(table.arms_of(collected, "deit_t", *what), "it")["transmix"]


def texts(study: Study, table: str) -> list[dict[str, str]]:
    return [{key: cell.text for key, cell in row.items()} for row in tables()[table].build(collect(study)).rows]


def test_areas_are_means_over_points_draws_and_seeds(three):
    rows = texts(three, "occlusion")
    assert [row["what"] for row in rows] == list(LINES)
    # random: ten points from 50 to 5, all but the clean one half a point higher in the mean of two draws
    assert (rows[0]["baseline"], rows[0]["transmix"]) == ("27.95", "29.05 ± 1.37")
    assert rows[0]["gain"] == "+1.10 ± 1.37"  # gains 0.55, 1.10, 1.65
    assert (rows[1]["baseline"], rows[2]["baseline"]) == ("27.50", "27.50")
    # six grids and the clean images: (50 + 6 * 0.5 + 45 + ... + 20) / 7
    assert rows[3]["baseline"] == f"{(50 + sum(range(20, 50, 5)) + 6 * 0.5) / 7:.2f}"
    assert rows[4]["baseline"] == f"{(50 + 45 + 40 + 35) / 4:.2f}"


def test_the_interval_over_images_is_a_paired_bootstrap(three):
    collected = collect(three)
    done = [collected.done("occlusion", "deit_t", method) for method in ("baseline", "transmix")]
    found = compared(occlusion, collected, "foreground dropped first").images
    # the same differences, resampled one image at a time
    gains = []
    for one, other in zip(*done, strict=True):
        before, after = (read_answers(result).areas["salient",] for result in (one, other))
        gains.append(after - before)
    mean = np.mean(gains, axis=0)
    rng = np.random.default_rng(1)
    resampled = [rng.choice(mean, IMAGES).mean() for _ in range(4000)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert found.mean == pytest.approx(mean.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05)
    assert texts(three, "occlusion")[1]["images"] == f"+{found.low:.2f} to +{found.high:.2f}"


def test_bands_are_over_images(three):
    results = collect(three).done("occlusion", "deit_t", "baseline")
    found = line(results[:1], ("salient",))
    share = results[0].metrics["curves"]["salient"]["top1"][0][0] / 100
    assert found.x[:2].tolist() == [0, 6 / 64]
    assert found.top1[1] == pytest.approx(100 * share)
    assert found.half_width[1] == pytest.approx(196 * np.sqrt(share * (1 - share) / IMAGES), rel=1e-3)


def test_a_band_needs_the_answers_of_every_run(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    (study.find("occlusion.deit_t.baseline.seed0").folder / "answers.npz").unlink()
    found = line(collect(study).done("occlusion", "deit_t", "baseline"), ("random",))
    assert np.isnan(found.half_width).all()  # half of the other run's would look twice as sure
    assert found.top1[0] == 50.0


def test_runs_on_different_images_have_no_mean_over_images(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    assert compared(occlusion, collect(study)).images is not None
    for method in ("baseline", "transmix"):
        path = study.find(f"occlusion.deit_t.{method}.seed1").folder / "answers.npz"
        arrays = dict(np.load(path))
        np.savez(path, **arrays | {"indices": arrays["indices"] + 1})
    assert compared(occlusion, collect(study)).images is None


def test_seeds_that_do_not_pair_are_not_called_not_run(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    for run in study.plan():
        if run.seed == (run.method == "transmix") and run.kind != "lambda":  # leaves baseline's 1 and TransMix's 0
            (run.folder / "record.json").unlink()
    gain = compared(table5, collect(study))
    assert table5._gain_cell(gain).text == "not paired"


def test_table5_has_both_benchmarks_and_says_that_they_are_stand_ins(three):
    table = tables()["table5"].build(collect(three))
    baseline, transmix, difference = texts(three, "table5")
    assert (baseline["natural_top1"], transmix["natural_top1"]) == ("20.00", "22.00 ± 2.48")
    assert difference["natural_top1"] == "+2.00 ± 2.48"
    assert baseline["rms_calibration_error"] == "25.00"
    assert baseline["rms_calibration_error_published"] == "12.50"
    assert (baseline["aurra"], transmix["aupr"]) == ("39.50", "52.20 ± 0.25")
    assert table.caption.startswith("Stand-ins drawn by this suite, not ImageNet-A and ImageNet-O.")
    assert {column.group for column in table.columns} == {"", "scenes-A", "scenes-O"}
    top1, power, aupr = table.notes
    assert top1.startswith("DeiT-T, top-1 on scenes-A: No difference is shown: +2.00 points, and the 95 % interval")
    assert power.endswith("DeiT-T, standard deviation 1.00 points in 3 seeds: 3 seeds can show 3.26 points.")
    assert aupr.startswith("DeiT-T, AUPR on scenes-O: No difference is shown: +0.20 points")
    assert "not in the slides" in table.caption


def test_the_real_benchmarks_are_named(tmp_path):
    folders = [str(tmp_path), "--imagenet-a", str(tmp_path), "--imagenet-o", str(tmp_path)]
    table = tables()["table5"].build(collect(make_study(tmp_path, "--scale", "paper", "--imagenet", *folders)))
    assert {column.group for column in table.columns} == {"", "imagenet-a", "imagenet-o"}
    assert "Stand-ins" not in table.caption


def test_missing_answers_cost_only_the_intervals(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    runs = {run.name: run for run in study.plan()}
    (runs["occlusion.deit_t.baseline.seed0"].folder / "answers.npz").write_bytes(b"torn")
    (runs["table5.deit_t.baseline.seed0"].folder / "scores.npz").unlink()
    rows = texts(study, "occlusion")
    assert (rows[0]["gain"], rows[0]["images"]) == ("+0.55", "no answers")
    notes = (*tables()["table5"].build(collect(study)).notes, *tables()["occlusion"].build(collect(study)).notes)
    assert len(notes) == 3
    assert all("One seed says little" in note and note.endswith("points, without an interval.") for note in notes)
    (panel, _) = build(collect(study)).sections["occlusion"].shown.blocks
    assert len(panel.figures) == 3


def test_one_seed_is_said_to_be_one(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    runs = {run.name: run for run in study.plan()}
    write_occlusion(runs["occlusion.deit_t.baseline.seed0"], 40.0)
    assert texts(study, "occlusion")[0]["gain"] == "not run"
    write_occlusion(runs["occlusion.deit_t.transmix.seed0"], 60.0)
    (note,) = tables()["occlusion"].build(collect(study)).notes
    assert "One seed says little about other trainings: the difference is +11.00 points; for these two very" in note
    assert note.endswith("excludes zero.")
    write_natural(runs["table5.deit_t.transmix.seed0"], 30.0)
    baseline, transmix = texts(study, "table5")
    assert (baseline["aupr"], transmix["aupr"]) == ("not run", "53.00")


def test_each_figure_says_in_its_title_what_was_done_to_the_images(three):
    (panel, _) = occlusion.figures(collect(three)).blocks
    titles = [re.findall(r">([^<>]+: top-1 \(%\))</text>", picture.svg) for picture in panel.pictures]
    assert titles == [[f"DeiT-T, {done}: top-1 (%)"] for done in ("occluded", "shuffled", "corrupted")]


def test_curves_are_of_the_foreground_and_the_background_wherever_they_are_named(three):
    (panel, _) = occlusion.figures(collect(three)).blocks
    assert "foreground first, baseline: from " in panel.pictures[0].alt
    assert "; background first, TransMix " in panel.pictures[0].caption
    for protocol in ("per_image", "published"):
        assert "salient" not in occlusion.protocol(Sweep(curves=OCCLUSION, protocol=protocol))
    done = [result for result in collect(three).results if result.run.kind == "occlusion"]
    assert [row["curve"].text for row in own.areas("occlusion", done[:1]).rows][:3] == [
        "random",
        "foreground first",
        "background first",
    ]


def test_the_page_shows_the_sheet_and_csv_every_point(three):
    folder = report_folder(three)
    page = write(build(collect(three)), folder).read_text()
    assert "One image, clean and under each setting of: random, foreground first, background first, shuffle" in page
    (link,) = re.findall(r"\]\((.*/sheet.png)\)", (folder / "report.md").read_text())
    assert (folder / link).exists()
    rows = pandas.read_csv(io.StringIO((folder / "occlusion_curves.csv").read_text()))
    chosen = rows[(rows.method == "baseline") & (rows.seed == 0) & (rows.curve == "random")]
    assert chosen.top1.tolist() == [50.0 * (10 - tenth) / 10 + 0.5 for tenth in range(1, 10)]
    assert chosen.half_width_95_over_draws.iloc[0] == pytest.approx(12.706204736 * 0.5, rel=1e-6)


def test_a_torn_sheet_is_named_and_the_next_one_shown(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    for method in ("baseline", "transmix"):
        write_occlusion(study.find(f"occlusion.deit_t.{method}.seed0"), 50.0)
    torn, whole = (study.find(f"occlusion.deit_t.{method}.seed0") for method in ("baseline", "transmix"))
    path = torn.folder / "sheet.png"
    path.write_bytes(path.read_bytes()[:40])
    *_, album = occlusion.figures(collect(study)).blocks
    (problem,) = occlusion.figures(collect(study)).problems
    assert [image.source.id for image in album.images] == [whole.id]
    assert problem.startswith(f"picture {path} is not readable (")
    assert "redo just this run" in problem
    path.unlink()
    assert occlusion.figures(collect(study)).problems == ()


def test_runs_on_different_images_are_not_compared(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    swept = study.find("occlusion.deit_t.transmix.seed0")
    edit(swept.folder, lambda record: record["data"].update(OTHER_DATA))
    for method in ("baseline", "transmix"):
        run = study.find(f"table5.deit_t.{method}.seed0")
        natural = {"path": "scenes-A", "images": 200, "fingerprint": f"print of {method}"}
        edit(run.folder, lambda record, natural=natural: record.update(inputs={"natural": natural}))
    assert {row["gain"] for row in texts(study, "occlusion")} == {"not paired"}
    assert [row["method"] for row in texts(study, "table5")] == ["baseline", "TransMix"]
    for table in ("occlusion", "table5"):
        note = tables()[table].build(collect(study)).notes[0]
        assert "Not compared: the records were made on different data" in note


def test_a_sweep_over_some_images_says_over_how_many(tmp_path):
    tiny, paper = (make_study(tmp_path, "--scale", scale) for scale in ("tiny", "paper"))
    said = occlusion.protocol(occlusion.sweep(tiny))
    assert said.endswith("Measured on 128 of the validation images, drawn at random.")
    assert "Measured on" not in occlusion.protocol(occlusion.sweep(paper))
