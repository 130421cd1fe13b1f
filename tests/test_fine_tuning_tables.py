"""Tables 3 and 4: hand-computed differences, claims within their intervals, pictures, and what is missing."""

from __future__ import annotations

import base64
import io
import re
from itertools import pairwise
from pathlib import Path

import pandas
import pytest
from PIL import Image

from experiments.study import Study
from reports.analysis.names import head_name
from reports.formats.table import Table
from reports.page.provenance import cautions
from reports.page.report import build, report_folder, write
from reports.records.collect import Collected, collect, read
from reports.tables import Shown, tables
from tests.made_up import OTHER_DATA, edit, fine_tuning_run, make_study, write_fine_tuned

WEIGHTS = ("random", "baseline", "transmix")


@pytest.fixture
def study(tmp_path) -> Study:
    return make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t,pvt_t", "--seeds", "3")


def measured(study: Study, part: str, values: dict[str, list[float]], **changes) -> Collected:
    """A study that plans three weights of ``table3.deit_t.upernet`` or the like; `values` are first metrics by seed."""
    runs = []
    for method in WEIGHTS:
        for seed in range(study.seeds):
            run = fine_tuning_run(study, f"{part}.{method}.seed{seed}")
            runs.append(run)
            if seed < len(values.get(method, [])):
                write_fine_tuned(run, values[method][seed], **changes)
    return Collected(study, tuple(read(run) for run in runs))


def classified(study: Study) -> Collected:
    """What the study plans besides fine-tuning, not run."""
    return Collected(study, tuple(result for result in collect(study).results if not result.run.part))


def joined(*parts: Collected) -> Collected:
    return Collected(parts[0].study, tuple(result for part in parts for result in part.results))


def texts(table: Table) -> dict[str, dict[str, str]]:
    """What the cells of a table of one model and head say, by weights."""
    return {row["weights"].text: {key: cell.text for key, cell in row.items()} for row in table.rows}


VALUES = {
    "random": [10.0, 12.0, 14.0],
    "baseline": [20.0, 22.0, 24.0],
    "transmix": [21.0, 24.0, 27.0],
}


# 95 % t-quantile of a printed table, two degrees of freedom: 4.3027; standard deviation 2: 4.3027 * 2 / sqrt(3) = 4.97
def test_segmentation_means_and_differences_by_hand(study):
    rows = texts(tables()["table3"].build(measured(study, "table3.deit_t.upernet", VALUES)))
    assert list(rows) == ["random", "baseline", "TransMix", "TransMix − baseline", "baseline − random"]
    assert {(row["name"], row["head"], row["seeds"]) for row in rows.values()} == {("DeiT-T", "UPerNet", "3")}
    assert [rows["baseline"][name] for name in ("mIoU", "mAcc", "aAcc", "mIoU_ms")] == [
        "22.00 ± 4.97",
        "23.00 ± 4.97",
        "24.00 ± 4.97",
        "25.00 ± 4.97",
    ]
    assert rows["TransMix − baseline"]["mIoU"] == "+2.00 ± 2.48"  # 1, 2, 3
    assert rows["TransMix − baseline"]["mIoU_ms"] == "+2.00 ± 2.48"
    assert rows["baseline − random"]["mIoU"] == "+10.00"


def test_detection_has_boxes_and_masks(study):
    table = tables()["table4"].build(measured(study, "table4.deit_t.mask_rcnn_1x", VALUES))
    assert table.groups[1:] == [("measured here: boxes", 3), ("measured here: masks", 3)]
    row = texts(table)["random"]
    assert row["head"] == "Mask R-CNN 1x"
    # records hold box AP, AP50, AP75, and by size, then those of masks: a point more each
    assert (row["box_AP"], row["box_AP75"], row["mask_AP"]) == ("12.00 ± 4.97", "14.00 ± 4.97", "18.00 ± 4.97")
    assert "box_APs" not in row


def test_verdicts_claim_what_the_intervals_allow(study):
    values = VALUES | {"random": [10.0, 12.0, 14.3]}
    notes = tables()["table3"].build(measured(study, "table3.deit_t.upernet", values)).notes
    assert notes[0].startswith("DeiT-T + UPerNet, mIoU, TransMix − baseline: No difference is shown: +2.00 points")
    assert "3 seeds, −0.48 to +4.48, includes zero" in notes[0]
    assert notes[1].startswith(
        "DeiT-T + UPerNet, mIoU, baseline − random: With the baseline’s weights it is higher here than from random "
        "ones, +9.90 points: "
    )
    assert notes[2].endswith(
        "DeiT-T + UPerNet, mIoU, standard deviation 1.00 points in 3 seeds: 3 seeds can show 3.26 points."
    )
    assert notes[3:] == ("Measured on scenes-10c-64px-13f1aa31: 11 classes, 800 training and 200 validation images.",)
    worse = VALUES | {"transmix": [19.0, 21.0, 22.7]}
    notes = tables()["table4"].build(measured(study, "table4.deit_t.mask_rcnn_1x", worse)).notes
    assert notes[0].startswith(
        "DeiT-T + Mask R-CNN 1x, box AP, TransMix − baseline: With TransMix’s weights it is lower"
    )
    assert "mask AP, TransMix − baseline: With TransMix’s weights it is lower here, −1.10 points" in notes[1]


def test_differences_are_paired_and_count_their_pairs(study):
    collected = measured(study, "table3.deit_t.upernet", VALUES | {"transmix": [21.0, 24.0]})
    rows = texts(tables()["table3"].build(collected))
    assert (rows["TransMix"]["seeds"], rows["TransMix − baseline"]["seeds"]) == ("2", "2")
    # over seeds 0 and 1; 12.706 * 0.5 = 6.35
    assert rows["TransMix − baseline"]["mIoU"] == "+1.50 ± 6.35"


def test_one_seed_claims_nothing(study):
    one = {method: values[:1] for method, values in VALUES.items()}
    collected = joined(
        measured(study, "table4.deit_t.mask_rcnn_1x", one), measured(study, "table4.pvt_t.mask_rcnn_1x", one)
    )
    table = tables()["table4"].build(collected)
    assert table.rows[3]["box_AP"].text == "+1.00"
    assert table.notes[0] == (
        "DeiT-T + Mask R-CNN 1x, PVT-T + Mask R-CNN 1x: One seed each says little about a difference, and gives no "
        "interval."
    )
    assert not any("higher" in note or "lower" in note for note in table.notes)


def test_what_is_missing_is_never_a_number(study):
    table = tables()["table3"].build(measured(study, "table3.deit_t.upernet", {"baseline": [20.0], "random": [10.0]}))
    rows = texts(table)
    assert list(rows) == ["random", "baseline", "TransMix", "baseline − random"]
    assert {rows["TransMix"][name] for name in ("mIoU", "mAcc", "aAcc", "mIoU_ms")} == {"not run"}
    assert rows["TransMix"]["seeds"] == "0"
    assert table.notes[-1].startswith("make table3 SCALE=tiny ROWS=deit_t,pvt_t SEEDS=3 ")
    assert table.notes[-1].endswith(" runs what is missing.")
    assert "not in the slides" in table.caption
    assert tables()["table4"].build(Collected(study, ())).notes == (
        "This study has no runs of detection and instance segmentation.",
    )


def test_a_metric_that_was_not_measured_is_not_recorded(study):
    metrics = {"mIoU": 40.0, "mAcc": 41.0, "aAcc": 42.0, "mIoU_ms": None, "parameters": 1, "val_images": 2}
    collected = measured(study, "table3.deit_t.upernet", VALUES, metrics=metrics)
    assert [column.key for column in tables()["table3"].build(collected).columns][-3:] == [
        "mIoU",
        "mAcc",
        "aAcc",
    ]  # asked of none
    write_fine_tuned(collected.results[0].run, 40.0)  # at several scales, too
    table = tables()["table3"].build(Collected(study, tuple(read(result.run) for result in collected.results)))
    assert [column.key for column in table.columns][-1] == "mIoU_ms"
    rows = texts(table)
    assert rows["TransMix − baseline"]["mIoU_ms"] == "not recorded"
    assert rows["TransMix − baseline"]["mIoU"] == "+0.00"


def test_runs_on_different_data_are_not_compared(study):
    collected = measured(study, "table3.deit_t.upernet", {"baseline": [20.0], "transmix": [21.0]})
    run = collected.results[-3].run
    assert run.method == "transmix"
    write_fine_tuned(run, 21.0, data=OTHER_DATA)
    table = tables()["table3"].build(Collected(study, tuple(read(result.run) for result in collected.results)))
    assert texts(table)["TransMix − baseline"]["mIoU"] == "not paired"
    assert "TransMix − baseline: Not compared: the records were made on different data" in table.notes[0]


def test_heads_and_data_sets_have_names():
    assert head_name("segmenter_linear") == "Segmenter (linear)"
    assert head_name("pascal_context-segmenter_mask") == "Segmenter (mask), Pascal Context"
    assert head_name("a_new_head") == "a_new_head"


def test_heads_of_one_row_are_lines_of_their_own(study):
    parts = ("table3.deit_t.upernet", "table3.deit_t.pascal_context-segmenter_mask")
    table = tables()["table3"].build(joined(*(measured(study, part, VALUES) for part in parts)))
    assert [row["head"].text for row in table.rows] == ["UPerNet"] * 5 + ["Segmenter (mask), Pascal Context"] * 5
    continued = [table.continues(*pair) for pair in pairwise(table.rows)]
    assert continued == [True] * 4 + [False] + [True] * 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: record["metrics"].update(mIoU=140.0), "metrics.mIoU"),
        (lambda record: record["metrics"].pop("mIoU_ms"), "'mIoU_ms'"),
        (lambda record: record["weights_report"].update(loaded=0), "weights_report.loaded"),
        (lambda record: record.pop("weights_report"), "'weights_report'"),
    ],
)
def test_a_record_that_lacks_what_is_shown_is_unreadable(study, change, reason):
    run = fine_tuning_run(study, "table3.deit_t.upernet.transmix.seed0")
    write_fine_tuned(run, 40.0)
    edit(run.folder, change)
    result = read(run)
    assert result.status == "unreadable"
    assert reason in result.problem
    assert "redo just this run" in result.problem


def test_random_weights_are_never_those_of_a_checkpoint(study):
    run = fine_tuning_run(study, "table3.deit_t.upernet.random.seed0")
    write_fine_tuned(run, 40.0, weights_report={"loaded": 5, "dropped": [], "resized": []})
    assert read(run).status == "unreadable"


def test_pictures_are_small_and_say_what_they_show(study):
    collected = measured(study, "table3.deit_t.upernet", VALUES, picture=(2700, 300))
    shown = tables()["table3"].figures(collected)
    (found,) = shown.blocks[0].images
    assert shown.problems == ()
    assert found.caption == "DeiT-T + UPerNet, TransMix weights, seed 0"
    assert Image.open(io.BytesIO(found.content)).size == found.size == (900, 100)
    assert "Validation images of scenes-10c-64px-13f1aa31" in found.alt
    assert "DeiT-T + UPerNet predicts, fine-tuned from TransMix weights (mIoU 21.00 % over all images)" in found.alt


def test_a_picture_is_of_the_best_known_weights_that_have_one(study):
    collected = measured(study, "table3.deit_t.upernet", {"random": [10.0], "baseline": [20.0]})
    (found,) = tables()["table3"].figures(collected).blocks[0].images
    assert "baseline weights" in found.caption
    none = measured(study, "table3.pvt_t.upernet", VALUES, picture=None)
    assert tables()["table3"].figures(none) == Shown()


@pytest.mark.parametrize("content", [None, b"", b"not a picture", "half"])
def test_an_unreadable_picture_is_one_line(study, content):
    collected = measured(study, "table3.deit_t.upernet", {"transmix": [20.0]}, picture=(300, 300))
    path = collected.results[-3].run.folder / "predictions.png"
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    shown = tables()["table3"].figures(collected)
    (problem,) = shown.problems
    assert shown.blocks == ()
    assert str(path) in problem
    assert "redo just this run" in problem
    assert "\n" not in problem


def test_every_format_has_tables_3_and_4(study, tmp_path):
    three = [measured(study, f"table3.{part}", VALUES) for part in ("deit_t.upernet", "deit_t.b", "pvt_t.semantic_fpn")]
    collected = joined(classified(study), *three, measured(study, "table4.pvt_t.mask_rcnn_1x", VALUES))
    folder = report_folder(study)
    write(build(collected), folder)
    page, markdown = ((folder / name).read_text() for name in ("index.html", "report.md"))
    for text in (page, markdown):
        assert "+2.00 ± 2.48" in text
        assert "Table 3" in text
        assert "Mask R-CNN 1x" in text
    assert page.count('src="data:image/jpeg') == 4
    assert '<details class="album">' in page  # all but the first picture of Table 3
    for picture in re.findall(r'src="data:image/jpeg;base64,([^"]*)"', page):
        Image.open(io.BytesIO(base64.b64decode(picture))).load()
    for link in re.findall(r"\]\((\.\./[^)]*predictions.png)\)", markdown):
        assert (folder / link).exists(), link
    assert markdown.count("predictions.png)") == 4
    assert r"+2.00 $\pm$ 2.48" in (folder / "table3.tex").read_text()
    assert r"\multicolumn{3}{c}{measured here: masks}" in (folder / "table4.tex").read_text()


def test_csv_is_unrounded_and_names_its_records(study):
    collected = measured(study, "table4.deit_t.mask_rcnn_1x", VALUES)
    lines = pandas.DataFrame(tables()["table4"].numbers(collected)).set_index(["weights", "minus"])
    gain = lines.loc[("transmix", "baseline")]
    assert (gain["box_AP"], gain["seeds"], gain["status"]) == (2.0, 3, "done")
    assert gain["mask_APl_half_width_95"] == pytest.approx(4.302653 / 3**0.5, abs=1e-6)
    assert "mask AP: No difference is shown" in gain["verdict"]
    own = lines.loc[("transmix", "")]
    assert (own["box_AP"], own["mask_APl"], own["parameters"]) == (24.0, 35.0, 5_800_000)
    assert own["records"].split() == [result.run.id for result in collected.results if result.run.method == "transmix"]
    assert lines.index.to_list() == [
        ("random", ""),
        ("baseline", ""),
        ("transmix", ""),
        ("transmix", "baseline"),
        ("baseline", "random"),
    ]


def test_data_of_another_task_is_no_reason_for_caution(study):
    collected = joined(
        measured(study, "table3.deit_t.upernet", VALUES), measured(study, "table4.deit_t.mask_rcnn_1x", VALUES)
    )
    assert cautions(collected) == []


def test_a_study_without_fine_tuning_has_a_page(tmp_path: Path):
    study = make_study(tmp_path, "--scale", "smoke")
    page = write(build(classified(study)), tmp_path / "report").read_text()
    assert "This study has no runs of semantic segmentation." in page
    assert not list(tmp_path.glob("report/table[34].*"))
