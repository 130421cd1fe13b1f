"""Tables 6 and 7: what a grid plans, what its cells claim, and what is said where there is nothing to claim."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiments.runs import Run
from experiments.scales import SCALES
from experiments.study import Study
from reports.analysis.cells import cell_rows
from reports.analysis.statistics import mean_interval
from reports.analysis.verdicts import p_value
from reports.figures.cells import in_spans
from reports.records.collect import Collected, PublishedSet, collect
from reports.tables import claims, table6, table7
from tests.made_up import OTHER_DATA, edit, make_study, write_train
from transmix.common.plain import differing
from transmix.recipe import Recipe

SEEDS = 5
WOBBLE = (0.0, 0.2, -0.2, 0.1, -0.1)  # of a method's gain, by seed


def desk(results: Path, *options: str) -> Study:
    """The study at scale desk of DeiT alone."""
    return make_study(results, "--scale", "desk", "--rows", "deit_t", *options)


def written(study: Study, gain: Callable[[Run], float | None]) -> Study:
    """Records of the runs in cells: CutMix at 50 % top-1, others by what they gain; None leaves one out."""
    for run in study.shown_in("table6") + study.shown_in("table7"):
        if run.kind == "train":
            gained = 0.0 if run.method == "cutmix" else gain(run)
            if gained is not None:
                wobble = 0.0 if run.method == "cutmix" else WOBBLE[run.seed]
                write_train(run, round(50 + gained + wobble, 1))
    return study


def test_methods_of_a_cell_differ_in_their_labels_and_cells_in_data_and_length(tmp_path):
    study = desk(tmp_path, "--seeds", "1")
    runs = {run.name: run for run in study.plan()}
    cutmix, transmix, oracle = (
        runs[f"table6.deit_t.large-120.{name}.seed0"] for name in ("cutmix", "transmix", "oracle")
    )
    settings = [differing(Recipe, run.settings) for run in (cutmix, transmix, oracle)]
    assert [found.pop("label_rule", "area") for found in settings] == ["area", "mean", "oracle"]
    assert settings[0] == settings[1] == settings[2]
    assert (settings[0]["mixup_alpha"], settings[0]["epochs"], settings[0]["warmup_epochs"]) == (0.0, 120, 6)
    assert runs["table6.deit_t.small-120.baseline.seed0"].settings["mixup_alpha"] == 0.8
    small, long = (runs[f"table6.deit_t.{cell}.cutmix.seed0"] for cell in ("small-120", "large-240"))
    assert small.settings == cutmix.settings
    assert (small.data.scenes.min_share, small.data.scenes.max_share) == (0.03, 0.15)
    assert small.data.name != cutmix.data.name == long.data.name
    assert long.settings | {"epochs": 120, "warmup_epochs": 6} == cutmix.settings
    assert len({run.id for run in runs.values()}) == len(runs)
    trained = [(run.settings, run.data.name, run.seed) for run in runs.values() if run.kind == "train"]
    assert not [one for place, one in enumerate(trained) if one in trained[:place]], "nothing is trained twice"


def test_a_cell_shows_the_run_of_table_1_that_is_trained_as_in_it(tmp_path):
    study = written(desk(tmp_path, "--seeds", "2"), lambda run: -1.5 if run.method == "baseline" else 0.0)
    shared = study.find("table1.deit_t.baseline.seed0")
    assert shared in study.shown_in("table6")
    assert shared not in study.shown_in("table7")
    large = next(row for row in cell_rows(collect(study)) if row.cell.name == "large-120")
    assert [source.id for source in large.arms["baseline"].sources][:1] == [shared.id]
    assert large.gains["baseline"].gain.mean == pytest.approx(-1.4)  # and half the wobble
    other = desk(tmp_path, "--seeds", "2", "--set", "mixup_alpha=0.5")
    assert other.find("table1.deit_t.baseline.seed0") in other.shown_in("table6")


def test_a_teacher_is_the_cells_own_cutmix_and_variants_are_table_7s(tmp_path):
    study = desk(tmp_path, "--seeds", "1")
    teacher = study.find("table7.deit_t.small-120.transmix_teacher.seed0")
    assert [need.name for need in teacher.needs] == ["table6.deit_t.small-120.cutmix.seed0"]
    shown = {run.method for run in study.shown_in("table7")}
    assert shown >= {"cutmix", "transmix", "oracle", "transmix_ema", "transmix_attention"}
    assert {run.part for run in study.shown_in("table7")} == {"small-120"}
    chosen = desk(tmp_path, "--seeds", "1", "--methods", "transmix_only,fmix")
    assert not any(run.method == "transmix_only" for run in chosen.plan())  # in a cell it is TransMix itself
    trained = [run.name for run in chosen.plan() if run.method == "fmix" and run.kind == "train"]
    assert trained == ["table2.deit_t.fmix.seed0"]  # a way to mix of its own is Table 2's


def test_somebodys_own_images_have_no_grid(tmp_path):
    (tmp_path / "images").mkdir()
    study = desk(tmp_path, "--imagenet", str(tmp_path / "images"))
    assert not {"table6", "table7"} & {run.table for run in study.plan()}
    table = table6.build(collect(study))
    assert (table.rows, len(table.notes)) == ((), 1)
    assert "make table6 SCALE=desk" in table.notes[0]


def test_a_gain_that_every_cell_has_is_shown_with_its_share_of_the_ceiling(tmp_path):
    gains = {"transmix": 1.0, "oracle": 4.0, "none": -3.0, "transmix_attention": 0.5, "baseline": -1.0}
    study = written(desk(tmp_path), lambda run: gains.get(run.method))
    table = table6.build(collect(study))
    assert [row["name"].text for row in table.rows][:2] == [
        "DeiT-T, large objects, 40 epochs",
        "DeiT-T, large objects, 120 epochs",
    ]
    cells = {row["name"].text: {key: cell.text for key, cell in row.items()} for row in table.rows}
    # 95 % t-quantile of four degrees of freedom, 2.776, times the deviation .1581 over the root of five
    assert cells["DeiT-T, small objects, 40 epochs"]["transmix"] == "+1.00 ± 0.20"
    assert {line["share"] for line in cells.values()} == {"25"}
    assert cells["DeiT-T, large objects, 120 epochs"]["transmix_attention"] == "+0.50 ± 0.20"
    assert cells["DeiT-T, small objects, 40 epochs"]["transmix_attention"] == "not in this study"
    assert "transmix_block" not in cells["DeiT-T, small objects, 120 epochs"]  # Table 7's
    notes = " ".join(table.notes)
    assert "TransMix: shown above CutMix for DeiT-T, large objects, 40 epochs; " in notes
    assert "verdicts corrected for 6 comparisons (Holm), 6 of them tested" in notes
    assert "Oracle and TransMix, each for itself, corrected for 6 comparisons (Holm), 6 of them tested" in table.caption
    assert "DeiT-T, small objects, 240 epochs: CutMix is +3.00 points from no mixing: mixing helps" in notes
    assert "Large objects: from 40 to 240 epochs TransMix’s gain changes by +0.00 points" in notes
    numbers = table6.numbers(collect(study))
    assert {line["verdict"] for line in numbers if line["method"] == "transmix"} == {"shown"}
    assert all(line["p_holm"] < 0.05 for line in numbers if line["method"] == "oracle")


def test_noise_is_bounded_and_without_a_ceiling_there_is_no_share(tmp_path):
    noise = (1.5, -1.2, 0.4, -0.8, 0.6)
    study = written(desk(tmp_path), lambda run: noise[run.seed] if run.method in ("transmix", "oracle") else None)
    table = table6.build(collect(study))
    assert {row["share"].text for row in table.rows} == {"no ceiling shown"}
    (note,) = [note for note in table.notes if note.startswith("TransMix: ")]
    # the wobble is added to the noise: mean .1, deviation .9975
    assert note.startswith("TransMix: no difference is shown in 6 cells, where it is between −1.14 and +1.34 points")
    (note,) = [note for note in table.notes if note.startswith("Not run: ")]
    assert note.startswith("Not run: DeiT-T, large objects, 120 epochs (“TransMix, attention alone”, Mixup + CutMix); ")
    assert "make table6" in note


def test_a_cell_without_any_run_waits_as_a_whole(tmp_path):
    study = written(desk(tmp_path), lambda run: None if run.part.startswith("small") else 0.0)
    for run in study.plan():
        if run.part.startswith("small") and run.folder.exists():
            shutil.rmtree(run.folder)
    (note,) = [note for note in table6.build(collect(study)).notes if note.startswith("Not run: ")]
    assert note.startswith("Not run: DeiT-T, small objects, 40 epochs; DeiT-T, small objects, 120 epochs; ")


def without_published(study: Study, folder: Path) -> Collected:
    """The records alone: those that the suite publishes are left out."""
    return collect(study, folder / "nothing published")


def test_cells_still_to_be_run_count_and_missing_seeds_are_named(tmp_path):
    """A gain of p = .02 is shown in the only cell there is, but not as one of six."""
    strong = (0.0, 1.2, 2.4, 0.6, 1.8)  # over CutMix: mean 1.2, p = .022 to begin with

    def gain(run: Run) -> float | None:
        first = run.method == "transmix" and run.part == "small-40"
        return strong[run.seed] + 0.3 - WOBBLE[run.seed] if first else None

    study = written(desk(tmp_path), gain)
    (line,) = [line for line in table6.numbers(without_published(study, tmp_path)) if line["p_holm"] is not None]
    assert (line["verdict"], line["epochs"], line["method"]) == ("not shown", 40, "transmix")
    alone = p_value(mean_interval([value + 0.3 for value in strong]))
    assert alone < 0.05 < line["p_holm"] == pytest.approx(6 * alone, rel=1e-6)
    table = table6.build(without_published(study, tmp_path))
    assert "Oracle, each for itself, corrected for 6 comparisons (Holm), 0 of them tested" in table.caption
    assert "TransMix, each for itself, corrected for 6 comparisons (Holm), 1 of them tested" in table.caption
    shutil.rmtree(study.find("table6.deit_t.small-40.transmix.seed4").folder)
    (line,) = [line for line in table6.numbers(without_published(study, tmp_path)) if line["p_holm"] is not None]
    assert line["verdict"] == "not shown (4 of 5 seeds)"
    (note,) = [note for note in table6.build(collect(study)).notes if note.startswith("TransMix: ")]
    assert note.startswith("TransMix: no difference is shown in 1 cell (1 of them with seeds still to be run), where")
    (note,) = [note for note in table6.build(collect(study)).notes if note.startswith("Not run: ")]
    assert "DeiT-T, small objects, 40 epochs (TransMix in 1 of 5 seeds, Oracle); " in note


def test_a_share_of_the_ceiling_is_over_the_seeds_that_both_have(tmp_path):
    """TransMix's gain falls with the seed; only the first three have the ceiling."""

    def gain(run: Run) -> float | None:
        if run.part != "small-40" or (run.method == "oracle" and run.seed > 2):
            return None
        return {"transmix": 2.0 - 0.5 * run.seed, "oracle": 3.0}.get(run.method)

    study = written(desk(tmp_path), gain)
    row = next(row for row in cell_rows(collect(study)) if row.cell.name == "small-40")
    assert row.gains["transmix"].gain.mean == pytest.approx(1.0)  # over all five
    assert row.share == pytest.approx(0.5)  # 1.5 of 3.0, over seeds 0 to 2
    assert {source.seed for source in row.share_sources} == {0, 1, 2}
    for seed in range(3):
        shutil.rmtree(study.find(f"table6.deit_t.small-40.transmix.seed{seed}").folder)
    row = next(row for row in cell_rows(collect(study)) if row.cell.name == "small-40")
    assert (row.share, row.share_lack) == (None, "not paired")


def test_epochs_without_a_cutmix_image_are_no_error_of_labels(tmp_path):
    study = written(desk(tmp_path, "--seeds", "2"), lambda run: 1.0 if run.method == "transmix" else None)
    edit(
        study.find("table6.deit_t.large-40.transmix.seed0").folder,
        lambda content: content["history"][7].pop("lambda_error"),
    )
    row = cell_rows(collect(study))[0]
    assert row.label_errors("transmix").label.shape == (1, 40)
    assert table6.numbers(collect(study))


def test_rounding_alone_is_neither_a_gain_nor_a_loss(tmp_path):
    study = written(desk(tmp_path, "--seeds", "3"), lambda run: 0.0 if run.method == "transmix" else None)
    for run in study.shown_in("table6"):
        if run.kind == "train" and run.method in ("cutmix", "transmix"):
            write_train(run, 50.0)
            if run.method == "transmix":  # as a mean that was summed in another order
                noise = 50.0 + (1 + (run.seed == 2)) * 7.2e-15
                edit(run.folder, lambda content, noise=noise: content["metrics"].update(top1=noise))
    found = [line for line in table6.numbers(collect(study)) if line["method"] == "transmix" and line["seeds"]]
    assert {line["verdict"] for line in found if not line["published"]} == {"not shown"}
    assert "TransMix: seeds that all differ by the same test nothing." in table6.build(collect(study)).notes


def test_length_is_not_compared_across_data(tmp_path):
    study = written(desk(tmp_path), lambda run: 1.0 if run.method == "transmix" else None)
    assert any("from 40 to 240 epochs" in note for note in table6.build(collect(study)).notes)
    for size in ("large", "small"):
        for seed in range(SEEDS):
            folder = study.find(f"table6.deit_t.{size}-240.transmix.seed{seed}").folder
            edit(folder, lambda content: content["data"].update(OTHER_DATA))
    assert not any("from 40 to 240 epochs" in note for note in table6.build(collect(study)).notes)


def test_a_loss_is_called_one_and_one_seed_decides_nothing(tmp_path):
    study = written(desk(tmp_path / "five"), lambda run: -2.0 if run.method == "transmix" else None)
    assert any("TransMix: shown below CutMix for " in note for note in table6.build(collect(study)).notes)
    single = written(desk(tmp_path / "one", "--seeds", "1"), lambda run: 5.0)
    notes = table6.build(collect(single)).notes
    assert "TransMix: one seed, or none, tests nothing." in notes
    assert any("CutMix is −5.00 points from no mixing, in one seed" in note for note in notes)


def test_errors_of_labels_are_read_from_histories(tmp_path):
    study = written(desk(tmp_path, "--seeds", "2"), lambda run: 1.0 if run.method == "transmix" else None)
    row = cell_rows(collect(study))[0]
    errors = row.label_errors("transmix")
    # as made up: from .25 down to .15 over forty epochs, the area's .2
    assert errors.label.shape == (2, 40)
    assert errors.overtakes == 22  # epoch 21 is level
    assert row.label_errors("cutmix") is None
    cells = table6.build(collect(study)).rows[0]
    assert (cells["error_area"].text, cells["error_label"].text) == ("0.200", "0.201")


def test_variants_are_judged_against_transmix_together(tmp_path):
    gains = {"transmix": 1.0, "oracle": 3.0, "transmix_ema": 2.5, "transmix_head": 1.0, "transmix_block": -1.0}
    study = written(desk(tmp_path), lambda run: gains.get(run.method))
    table = table7.build(collect(study))
    cells = {row["name"].text: {key: cell.text for key, cell in row.items()} for row in table.rows}
    assert [*cells][:3] == ["CutMix", "TransMix", "Oracle"]
    assert cells["TransMix, attention of the average"]["over_transmix"] == "+1.50"  # each seed's is the same
    assert cells["TransMix, attention of the average"]["over_cutmix"] == "+2.50 ± 0.20"
    assert cells["TransMix, one head"]["verdict"].startswith("not shown")
    assert cells["TransMix, attention of a teacher"]["top1"] == "not run"
    assert table.notes[0].startswith("“Shown”: better than TransMix; “opposite shown”: worse; “not shown”: ")


def test_without_a_grid_variants_stand_beside_table_2s(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--methods", "transmix_ema")
    assert "table7.deit_t.transmix_ema.seed0" in [run.name for run in study.plan()]
    assert [row["name"].text for row in table7.build(collect(study)).rows][-1] == "TransMix, attention of the average"
    bare = make_study(tmp_path / "bare", "--scale", "tiny", "--rows", "deit_t")
    table = table7.build(collect(bare))
    assert table.rows == ()
    assert "make table7 SCALE=desk" in table.notes[0]


def test_a_study_without_a_grid_shows_what_was_published_of_desks(tmp_path, monkeypatch):
    gains = {"transmix": 1.0, "oracle": 4.0, "transmix_ema": 2.0}
    desk_study = written(make_study(tmp_path / "desk", "--scale", "desk"), lambda run: gains.get(run.method))
    for run in desk_study.shown_in("table1"):
        write_train(run, 51.0 if run.method == "transmix" else 50.0)
    desks = collect(desk_study)
    there = PublishedSet("desk-made-up", desks)
    monkeypatch.setattr("reports.records.published_sets.published_study", lambda scale: there)
    monkeypatch.setattr("reports.tables.claims.published_study", lambda scale: there)
    study = make_study(tmp_path / "tiny", "--scale", "tiny", "--rows", "deit_t")
    for table in (table6, table7):
        built = table.build(collect(study))
        assert built.caption.startswith("Published runs of this suite, scale desk, CPU (x86_64). ")
        assert {cell.kind for row in built.rows for cell in row.values()} <= {"label", "published", "missing"}
        assert all(line["published"] for line in table.numbers(collect(study)))
    assert table6.build(collect(study)).rows[0]["transmix"].text == "+1.00 ± 0.20"
    columns = {column.group for column in claims.build(collect(study)).columns}
    assert columns == {"", "published runs of this suite: scale desk, CPU (x86_64)"}
    assert table6.build(desks).rows[0]["transmix"].kind == "measured"  # the study itself


def test_the_registered_design_is_what_is_run():
    """The registered recipe: a change of it after the runs would be seen here first."""
    scale = SCALES["desk"]
    assert (scale.seeds, scale.scenes.train, scale.scenes.val) == (5, 500, 4000)
    assert [*scale.grid.cells] == [f"{size}-{epochs}" for size in ("large", "small") for epochs in (40, 120, 240)]
    assert scale.grid.home == "small-120"


@pytest.mark.parametrize(("epochs", "width", "points"), [(5, 1, 5), (30, 1, 30), (31, 2, 16), (240, 8, 30)])
def test_a_long_trainings_errors_are_drawn_as_means_of_spans(epochs, width, points):
    middles, means, found = in_spans(np.arange(1.0, epochs + 1))
    assert (found, len(means)) == (width, points)
    assert means.tolist() == pytest.approx(middles.tolist())  # the mean of a straight line is its middle
    assert middles[0] == (width + 1) / 2
    assert epochs - width < middles[-1] <= epochs
