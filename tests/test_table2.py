"""Table 2, ways to mix: hand-computed intervals, claims within them, and what is missing said plainly."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

from experiments.study import Study
from reports.formats.table import Table
from reports.page.report import build, report_folder, write
from reports.records.collect import PublishedSet, collect
from reports.tables import _published_mixes, table2, tables
from tests.made_up import OTHER_DATA, make_study, write_run, write_study, write_train
from transmix.methods import methods
from transmix.mixing import MixPolicy, mix_batch

# 95 % t-quantile of a printed table, two degrees of freedom
T2 = 4.302653


def make_records(results: Path, top1: dict[str, list[float]], *options: str, **changes) -> Study:
    """A study at lab scale with DeiT-T's top-1 by method and seed."""
    seeds = max(map(len, top1.values()))
    study = make_study(results, "--scale", "lab", "--seeds", str(seeds), *options)
    for run in study.shown_in("table2"):
        if run.kind == "train" and run.seed < len(top1.get(run.method, [])):
            write_train(run, top1[run.method][run.seed], **changes)
    return study


def texts(table: Table) -> dict[str, dict[str, str]]:
    """What the table's cells say, by method."""
    return {row["name"].text: {key: cell.text for key, cell in row.items()} for row in table.rows}


MEASURED = {
    "none": [40.0, 44.0, 45.0],
    "cutmix": [49.5, 51.5, 53.5],
    "baseline": [50.0, 52.0, 54.0],
    "transmix": [51.0, 54.0, 57.0],
    "oracle": [53.0, 55.0, 57.5],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return make_records(tmp_path_factory.mktemp("table2"), MEASURED)


def test_means_and_paired_differences_by_hand(study):
    rows = texts(table2.build(collect(study)))
    assert list(rows) == ["No mixing", "CutMix", "Mixup + CutMix", "TransMix", "Oracle"]
    assert {row["seeds"] for row in rows.values()} == {"3"}
    assert rows["Mixup + CutMix"]["top1"] == "52.00 ± 4.97"  # standard deviation 2
    assert f"{T2 * 2 / math.sqrt(3):.2f}" == "4.97"
    assert rows["TransMix"]["difference"] == "+2.00 ± 2.48"  # 1, 2, 3
    assert rows["CutMix"]["difference"] == "−0.50"  # in all three, which shows no spread and so gives no interval
    assert rows["Oracle"]["difference"] == "+3.17 ± 0.72"  # 3, 3, 3.5
    assert f"{T2 * math.sqrt(1 / 12) / math.sqrt(3):.2f}" == "0.72"
    assert rows["Mixup + CutMix"]["difference"] == "–"


def test_differences_to_cutmix_by_hand(study):
    rows = texts(table2.build(collect(study)))
    assert rows["TransMix"]["over_cutmix"] == "+2.50 ± 2.48"  # 1.5, 2.5, 3.5
    assert rows["Mixup + CutMix"]["over_cutmix"] == "+0.50"
    assert rows["CutMix"]["over_cutmix"] == "–"
    oracle = table2.numbers(collect(study))[-1]
    assert oracle["over_cutmix"] == pytest.approx((3.5 + 3.5 + 4) / 3)


def test_a_steps_cost_is_the_studys_own_measurement(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke", "--methods", "cutmix,puzzlemix,smmix")
    rows = texts(table2.build(collect(study)))
    assert rows["PuzzleMix"]["step"] == "not run"
    (run,) = [run for run in study.plan() if run.kind == "cost"]
    assert run in study.shown_in("table2")
    write_run(run, 0.0)
    table = table2.build(collect(study))
    rows = texts(table)
    assert {name: row["step"] for name, row in rows.items()} == {
        "No mixing": "not in this study",
        "CutMix": "1.00",
        "Mixup + CutMix": "0.91",  # 1 of 1.1
        "TransMix": "1.27",  # 1.4 of 1.1
        "Oracle": "not in this study",
        "PuzzleMix": "1.09",
        "SMMix": "1.18",
    }
    assert {name: rows[name]["passes"] for name in ("CutMix", "SMMix", "PuzzleMix")} == {
        "CutMix": "0",
        "SMMix": "0.5",
        "PuzzleMix": "3",
    }
    assert any(
        note.startswith("A step’s time: CPU seconds of a training step of deit_micro_tiny") for note in table.notes
    )
    lines = {line["method"]: line for line in table2.numbers(collect(study))}
    assert lines["smmix"]["step_relative"] == pytest.approx(1.3 / 1.1)
    assert (lines["smmix"]["step_record"], lines["none"]["step_relative"]) == (run.id, None)


def test_every_published_number_has_its_sources(study):
    table = table2.build(collect(study))
    rows, letters = texts(table), _published_mixes.letters()
    docs, copy, slides, adversarial = (
        next(letter for source, letter in letters.items() if text in source)
        for text in ("Mixup_imagenet.md", "mixups/README.md", "the slides", "Adversarial-AutoMixup")
    )
    assert rows["CutMix"]["published_deit_t"] == f"74.23 {docs}; 73.82 {copy}"
    assert rows["TransMix"]["published_deit_s"] == f"80.68 {docs}; 80.70 {copy} {slides}"
    assert rows["No mixing"]["published_cifar100_200"].startswith("65.81 ")
    assert rows["Oracle"]["published_deit_t"] == "not published"
    assert f"{adversarial} JinXins/Adversarial-AutoMixup@9d6fd12:Experiments.md" in table.notes[-1]
    tokenmix = _published_mixes.cells("tokenmix")
    assert tokenmix["published_deit_t"].text.count(";") == 1  # 73.2 by its authors, 75.31 by another
    assert "81.2 (400 epochs) " in tokenmix["published_deit_s"].text


def test_published_numbers_are_for_programs_too(study):
    lines = table2.published_numbers(collect(study))
    found = {(line["model"], line["top1"]) for line in lines if line["method"] == "transmix"}
    assert {("DeiT-T", 74.56), ("DeiT-T", 72.92), ("DeiT-T", 72.6), ("Swin-T", 81.8)} <= found
    assert all(line["source"] for line in lines)


def test_published_columns_are_folded_as_groups(study):
    table = table2.build(collect(study))
    assert len(table.folded) == 2
    assert all(column.folded == (column.group in table.folded) for column in table.columns)


def test_verdicts_claim_what_the_intervals_allow(study):
    *verdicts, power, _, _, _ = table2.build(collect(study)).notes
    notes = {note.split(": ")[0]: note for note in verdicts}
    assert list(notes) == ["No mixing", "CutMix", "TransMix", "Oracle"]
    assert "TransMix, standard deviation 1.00 points in 3 seeds: the published +0.4 points take 52 seeds" in power
    assert "CutMix, standard deviation 0.00 points in 3 seeds: too few to say" in power
    assert (
        "Oracle, standard deviation 0.29 points in 3 seeds: 3 seeds can show 0.94 points" in power
    )  # 3.264 / sqrt(12)
    for name, finding in (("No mixing", "lower"), ("Oracle", "higher")):
        assert f"The top-1 is {finding} here than with Mixup + CutMix, " in notes[name]
    assert "The difference is −0.50 points with each of 3 seeds: too few to see a spread" in notes["CutMix"]
    assert "No difference is shown: +2.00 points" in notes["TransMix"]
    assert "3 seeds, −0.48 to +4.48, includes zero" in notes["TransMix"]


def test_each_method_says_what_it_mixes_and_how_it_labels(study):
    rows = texts(table2.build(collect(study)))
    found = {name: (row["mixup"], row["cutmix"], row["labels"]) for name, row in rows.items()}
    assert found == {
        "No mixing": ("0", "0", "–"),
        "CutMix": ("0", "60", "area"),
        "Mixup + CutMix": ("12", "48", "area"),
        "TransMix": ("12", "48", "mean of area and attention"),
        "Oracle": ("12", "48", "true visible share"),
    }


def notes_of_recipes(study: Study) -> list[str]:
    return [note for note in table2.build(collect(study)).notes if note.startswith(("Batches mixed", "Where a column"))]


def test_batches_that_are_mixed_otherwise_than_for_imagenet_are_explained(study, tmp_path):
    (note,) = notes_of_recipes(study)
    assert note == (
        "Batches mixed: 12 % by Mixup and 48 % by CutMix in this study’s recipe of the baseline and TransMix, the "
        "others not; 50 % by Mixup and 50 % by CutMix in DeiT-T’s recipe for ImageNet."
    )
    alike = ("--scale", "tiny", "--rows", "deit_t", "--set", "mix_prob=1", "--set", "switch_prob=0.5")
    assert notes_of_recipes(make_study(tmp_path, *alike)) == []


@pytest.mark.parametrize(("method", "labels"), [("fmix", "area"), ("tokenmix", "own")])
def test_what_is_a_methods_own_is_explained(tmp_path, method, labels):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--methods", method)
    cells = texts(table2.build(collect(study)))[methods()[method].title]
    assert (cells["mixup"], cells["cutmix"], cells["labels"]) == ("own", "own", labels)
    assert notes_of_recipes(study)[-1] == (
        "Where a column says “own”, the method has a rule of its own for the batches or their labels; its card says "
        "which (python -m experiments methods)."
    )


@pytest.mark.parametrize("alphas", [(0.8, 1.0), (0.0, 1.0), (0.8, 0.0), (0.0, 0.0)])
def test_shares_of_mixed_batches_are_those_that_are_drawn(alphas):
    settings = dict(zip(("mixup_alpha", "cutmix_alpha"), alphas, strict=True)) | {"mix_prob": 0.6, "switch_prob": 0.8}
    policy, rng = MixPolicy(*alphas, prob=0.6, switch_prob=0.8), np.random.default_rng(0)
    mixes = [mix_batch(torch.zeros(2, 1, 4, 4), policy, rng) for _ in range(2000)]
    by_cutmix = np.mean([mix.pasted is not None for mix in mixes])
    by_mixup = np.mean([mix.pasted is None and mix.lam[0].item() > 0 for mix in mixes])
    assert table2.mixed_batches(settings) == pytest.approx((by_mixup, by_cutmix), abs=0.04)


def regime(results: Path, none: list[float], baseline: list[float]) -> str:
    return table2.regime(collect(make_records(results, {"none": none, "baseline": baseline})))


def test_mixing_that_hurts_is_said_and_only_then(tmp_path):
    assert regime(tmp_path / "a", [49.0, 50.0, 51.0], [50.0, 51.0, 52.0]) == ""
    assert regime(tmp_path / "b", [51.0, 54.0, 57.0], [50.0, 52.0, 54.0]) == ""  # +2.00 ± 2.48
    hurts = regime(tmp_path / "c", [53.0, 55.0, 57.5], [50.0, 52.0, 54.0])
    assert hurts.startswith("Mixing hurts here")
    assert "no mixing is 3.17 points above Mixup + CutMix" in hurts
    assert "3 seeds, +2.45 to +3.88, excludes zero" in hurts
    one = regime(tmp_path / "d", [51.5], [50.0])
    assert one.startswith("In this one seed no mixing is 1.50 points above Mixup + CutMix: if more seeds confirm it")
    assert regime(tmp_path / "e", [49.0], [50.0]) == ""
    assert regime(tmp_path / "f", [49.0], []) == ""


def test_mixing_that_hurts_is_said_with_the_claims_too(tmp_path):
    top1 = {"none": [53.0, 55.1], "baseline": [50.0, 52.0], "transmix": [50.5, 53.0]}
    notes = tables()["claims"].build(collect(make_records(tmp_path, top1))).notes
    assert any(note.startswith("(b) Mixing hurts here") for note in notes)


def test_one_seed_of_several_methods_is_one_note(tmp_path):
    study = make_records(tmp_path, {method: values[:1] for method, values in MEASURED.items()})
    table = table2.build(collect(study))
    assert texts(table)["Oracle"]["difference"] == "+3.00"
    note, power, *_ = table.notes
    assert note.startswith("No mixing, CutMix, TransMix, Oracle: One seed each says little")
    assert note.endswith("; 4 of 4 exclude zero.")  # the answers of the fake models are nested
    assert power.startswith("Power: one seed has no spread")


def test_runs_on_different_data_are_not_compared(tmp_path):
    study = make_records(tmp_path, {"baseline": [50.0], "transmix": [51.0]})
    write_train(study.find("table1.deit_t.transmix.seed0"), 51.0, data=OTHER_DATA)
    table = table2.build(collect(study))
    assert texts(table)["TransMix"]["difference"] == "not paired"
    assert any("TransMix: Not compared" in note for note in table.notes)


def test_what_the_scale_leaves_out_says_how_to_run_it(tmp_path):
    chosen = ("--rows", "deit_t", "--methods", "cutmix", "--seeds", "2", "--set", "epochs=4", "--set", "resident=false")
    study = make_study(tmp_path, "--scale", "tiny", *chosen)
    for method in ("baseline", "transmix"):
        write_train(study.find(f"table1.deit_t.{method}.seed0"), 50.0)
    table = table2.build(collect(study))
    rows = texts(table)
    assert rows["TransMix"]["top1"] == "50.00"
    assert rows["CutMix"]["top1"] == rows["CutMix"]["difference"] == "not run"
    assert rows["Oracle"]["top1"] == "not in this study"
    assert rows["Oracle"]["labels"] == ""
    remedy = f"SEEDS=2 RESULTS={tmp_path} DATA={tmp_path / 'data'} 'SET=epochs=4 resident=false'"
    assert (
        f"CutMix: not run; make table2 SCALE=tiny ROWS=deit_t METHODS=cutmix {remedy} runs what is missing."
        in table.notes
    )
    assert any(note.startswith("Oracle: not in this study: label_rule=oracle needs") for note in table.notes)
    others = "METHODS=NAME,... on make’s command line trains by other methods, too: none, oracle, "
    assert table.notes[-2].startswith(others)
    assert "FMix" not in rows
    assert "fmix" in table.notes[-2]


def test_where_the_usual_row_is_not_it_is_of_the_first(tmp_path):
    table = table2.build(collect(make_study(tmp_path, "--scale", "tiny", "--rows", "pvt_t,cait_xxs")))
    assert "all on PVT-T" in table.caption
    assert {row["top1"] for name, row in texts(table).items() if name in ("Mixup + CutMix", "TransMix")} == {"not run"}


def test_what_a_desk_published_of_all_ways_to_mix_stands_beside(tmp_path, monkeypatch):
    desk = make_study(tmp_path / "desk", "--scale", "desk", "--methods", "cutmix,fmix", "--seeds", "2")
    for seed, gain in enumerate((0.8, 1.2)):
        write_train(desk.find(f"table2.deit_t.cutmix.seed{seed}"), 50.0)
        write_train(desk.find(f"table2.deit_t.fmix.seed{seed}"), 50.0 + gain)
    there = PublishedSet("made-up", collect(desk))
    monkeypatch.setattr("reports.tables.table2.published_study", lambda scale, methods, table: there)
    for options in (("--scale", "tiny"), ("--scale", "desk")):
        table = table2.build(collect(make_study(tmp_path / "ours", *options), tmp_path / "none"))
        assert "published runs of this suite: scale desk, DeiT-T, CPU (x86_64)" in {
            column.group for column in table.columns
        }
        rows = texts(table)
        assert (rows["FMix"]["set0_top1"], rows["FMix"]["set0_over_cutmix"]) == ("51.00", "+1.00 ± 2.54")
        assert rows["FMix"]["top1"] == "not in this study"
        assert (rows["TransMix"]["set0_top1"], rows["CutMix"]["set0_over_cutmix"]) == ("none published", "–")
        assert "FMix" not in " ".join(table.notes)
    ours = table2.build(collect(desk, tmp_path / "none"))  # which chose its methods itself
    assert not any(column.key.startswith("set") for column in ours.columns)


def test_every_format_has_table_2(study):
    folder = report_folder(study)
    write(build(collect(study)), folder)
    for name in ("index.html", "report.md"):
        text = (folder / name).read_text()
        assert "+3.17 ± 0.72" in text
        assert "the others are not in the slides." in text
    assert r"+3.17 $\pm$ 0.72" in (folder / "table2.tex").read_text()
    lines = pandas.read_csv(folder / "table2.csv", index_col="method")
    oracle = lines.loc["oracle"]
    assert oracle["difference"] == pytest.approx(9.5 / 3)
    assert oracle["difference_half_width_95"] == pytest.approx(T2 / 6, abs=1e-6)
    assert oracle["top1"] == pytest.approx(165.5 / 3)
    assert (oracle["label_rule"], oracle["seeds"], oracle["cutmix_batches"]) == ("oracle", 3, pytest.approx(0.48))
    ids = [run.id for run in study.plan() if (run.table, run.method) == ("table2", "oracle")]
    assert oracle["records"].split() == ids
    assert math.isnan(lines.loc["baseline", "difference"])


def test_another_label_rule_is_named_wherever_labels_are(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke", "--set", "label_rule=attention")
    write_study(study, (1.0,))
    report = build(collect(study))
    table, shown = report.sections["lambda"].table, report.sections["lambda"].shown
    assert texts(report.sections["table2"].table)["TransMix"]["labels"] == "attention"
    assert texts(report.sections["table2"].table)["CutMix"]["labels"] == "area"
    titles = {column.key: column.title for column in table.columns}
    assert (titles["error_attention"], titles["error_mean"]) == ("attention: the label", "mean")
    assert "attention-λ, TransMix’s label, by 0.087, and their mean by 0.092" in table.notes[0]
    assert shown.blocks[0].names == {
        "area": "area (CutMix)",
        "attention": "attention: the label",
        "mean": "mean",
        "true": "true share",
    }
    folder = report_folder(study)
    write(report, folder)
    for name in ("index.html", "report.md"):
        assert "mean: the label" not in (folder / name).read_text()
