"""The table of claims: first on the page, from records alone, and no bolder than its tests."""

from __future__ import annotations

import shutil

import pytest

from experiments.study import Study
from reports.analysis.statistics import mean_interval
from reports.analysis.verdicts import p_value
from reports.page.report import build, report_folder, write
from reports.records.collect import collect
from reports.tables import claims, tables
from tests.made_up import OTHER_DATA, edit, make_study, write_study, write_train


def lines(tmp_path, gains: tuple[float, ...]) -> dict[str, dict[str, str]]:
    """The table of a made-up study whose seeds gain so much."""
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", str(len(gains)))
    write_study(study, gains)
    return lines_of(study)


def lines_of(study: Study) -> dict[str, dict[str, str]]:
    """The table by the letters of its claims."""
    table = claims.build(collect(study))
    return {row["claim"].text[1]: {key: cell.text for key, cell in row.items()} for row in table.rows}


def test_it_is_the_first_table_of_the_page(tmp_path):
    assert next(iter(tables())) == "claims"
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (0.5, 0.9))
    page = write(build(collect(study)), report_folder(study)).read_text()
    assert page.index("The paper’s claims") < page.index("Top-1 rises") < page.index("Table 1: ")
    assert (report_folder(study) / "claims.csv").read_text().startswith("claim,text,unit,published,of,seeds,effect,")


def test_a_clear_gain_of_five_seeds_is_shown(tmp_path):
    found = lines(tmp_path, (4.0, 4.4, 3.8, 4.1, 4.2))
    assert found["b"]["verdict"] == "shown"
    assert found["c"]["verdict"] == "shown (1 of the paper’s 12 models tested)"
    assert found["b"]["effect"] == "+4.10 ± 0.28 points"
    assert found["b"]["here"] == "DeiT-T; 5 seeds"
    # no bench has measured a step's time
    assert found["d"]["verdict"] == "shown of parameters (1 of the paper’s 12 models tested)"
    assert found["d"]["effect"] == "+0 parameters"
    assert found["e"]["verdict"] == "not tested"  # no row of this study is fine-tuned
    assert found["e"]["effect"] == "not run"


def test_a_clear_loss_is_the_opposite_and_noise_is_nothing(tmp_path):
    assert lines(tmp_path / "loss", (-4.0, -4.4, -3.8, -4.1, -4.2))["b"]["verdict"] == "opposite shown"
    noise = lines(tmp_path / "noise", (1.5, -1.0, 2.0, -0.5, 0.7))["b"]
    assert noise["verdict"].startswith("not shown (")
    assert "seeds would be needed" in noise["verdict"]


def test_every_word_of_a_verdict_is_explained_in_the_first_line_below(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (0.5, 0.9))
    table = claims.build(collect(study))
    assert table.notes[0] == (
        "“Shown”: the runs support the claim; “opposite shown”: they support its contrary; “not shown”: the runs leave "
        "it open; “not tested”: there are no runs to compare."
    )
    (rule,) = [note for note in table.notes if "(Holm)" in note and "t-test" in note]
    assert "the more claims, the stronger the evidence that each must have" in rule


def test_one_seed_shows_nothing_and_says_so(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (9.0,))
    table = claims.build(collect(study))
    assert {row["verdict"].text.split(" (")[0] for row in table.rows} == {
        "not shown",
        "shown of parameters",
        "not tested",
    }
    (exact,) = [row for row in table.rows if row["verdict"].text.startswith("shown of parameters")]
    assert exact["effect"].text == "+0 parameters"
    assert any("SEEDS=5" in note for note in table.notes)


def test_without_any_run_every_claim_is_not_tested(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t")
    assert {row["verdict"].text for row in claims.build(collect(study)).rows} == {"not tested"}


def test_only_models_that_were_run_are_named(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    for run in study.plan():
        if run.row == "xcit_t":
            shutil.rmtree(run.folder, ignore_errors=True)
    assert any(note.startswith("(a) TransMix’s label, the mean ") for note in claims.build(collect(study)).notes)
    assert {lines_of(study)[key]["here"] for key in "abcgh"} == {"DeiT-T; 2 seeds"}


def test_missing_seeds_are_left_out_and_other_data_are_not_compared(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "3")
    write_study(study, (1.0, 2.0, 9.0))
    shutil.rmtree(study.find("table1.deit_t.baseline.seed2").folder)
    found, _ = claims.verdicts(collect(study))["b"]
    assert (found.gains["DeiT-T"].count, found.gains["DeiT-T"].mean) == (2, 1.5)
    write_train(study.find("table1.deit_t.transmix.seed1"), 60.0, data=OTHER_DATA)
    assert claims.verdicts(collect(study))["b"][1].word == "not tested"
    assert lines_of(study)["b"]["effect"] == lines_of(study)["b"]["here"] == "not paired"


def test_several_models_are_averaged_seed_by_seed_and_judged_one_by_one(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "3")
    write_study(study, (1.0, 2.0, 3.0))
    found = claims.verdicts(collect(study))
    assert [*found["b"][0].gains] == ["mean of 2 models"]
    assert found["b"][0].gains["mean of 2 models"].mean == pytest.approx(2.0)
    assert [*found["c"][0].gains] == ["DeiT-T", "XCiT-T"]
    assert found["b"][0].expected == pytest.approx(0.55)  # of the slides: DeiT-T +0.4, XCiT-T +0.7


def test_of_twelve_models_two_are_said_to_be_two_in_every_format(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "5")
    write_study(study, (4.0, 4.4, 3.8, 4.1, 4.2))
    said = "shown (2 of the paper’s 12 models tested)"
    collected = collect(study)
    assert lines_of(study)["c"]["verdict"] == said
    assert {line["verdict"] for line in claims.numbers(collected) if line["claim"] == "c"} == {said}
    write(build(collected), report_folder(study))
    for name in ("claims.csv", "report.md", "index.html"):
        assert said in (report_folder(study) / name).read_text()
    assert "2 of the paper" in (report_folder(study) / "claims.tex").read_text()


def test_seeds_and_models_still_to_be_run_are_in_the_verdict(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "5")
    write_study(study, (4.0, 4.4, 3.8, 4.1, 4.2))
    for run in study.plan():
        if run.seed > 2 or run.row == "xcit_t":
            shutil.rmtree(run.folder, ignore_errors=True)
    found = lines_of(study)
    assert found["b"]["verdict"] == "shown (1 of 2 models, 3 of 5 seeds)"
    assert found["c"]["verdict"] == "shown (1 of the paper’s 12 models tested, 3 of 5 seeds)"
    assert {line["verdict"] for line in claims.numbers(collect(study)) if line["claim"] == "b"} == {
        "shown (1 of 2 models, 3 of 5 seeds)"
    }


def test_claims_that_are_planned_are_corrected_for_before_they_are_tested(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "5")
    for run in study.plan():
        if run.kind == "train":
            gains = (0.0, 1.2, 2.4, 0.6, 1.8)
            write_train(run, 50 + (gains[run.seed] if run.method == "transmix" else 0))
    assert p_value(mean_interval([0.0, 1.2, 2.4, 0.6, 1.8])) < 0.05
    table = claims.build(collect(study))
    assert lines_of(study)["b"]["verdict"].startswith("not shown")
    # (a), (b), (c), (g), (h): this row is not fine-tuned; (d) has no test
    assert "corrected for 5 claims (Holm), 2 of them tested" in " ".join(table.notes)


def test_the_expected_gain_is_of_the_models_that_count(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    write_train(study.find("table1.xcit_t.transmix.seed1"), 60.0, data=OTHER_DATA)
    found, _ = claims.verdicts(collect(study))["b"]
    assert [*found.gains] == ["DeiT-T"]
    assert found.expected == pytest.approx(0.4)  # DeiT-T's in the slides; of both it would be 0.55
    assert {source.id.split(".")[1] for source in found.sources} == {"deit_t"}


def test_models_without_a_seed_in_common_are_not_averaged(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    for run in study.plan():
        if run.kind == "train" and run.seed != (run.row == "xcit_t"):
            shutil.rmtree(run.folder, ignore_errors=True)
    assert (lines_of(study)["b"]["effect"], lines_of(study)["b"]["verdict"]) == ("not paired", "not tested")


def test_parameters_are_counted_model_by_model(tmp_path):
    """A model with ten more and one with ten fewer are not none in the mean."""
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "1")
    write_study(study, (1.0,))
    for row, more in {"deit_t": 10, "xcit_t": -10}.items():
        folder = study.find(f"table1.{row}.transmix.seed0").folder
        edit(folder, lambda content, more=more: content["metrics"].update(parameters=307_850 + more))
    found = lines_of(study)["d"]
    assert found["verdict"] == "opposite shown of parameters (2 of the paper’s 12 models tested)"
    assert found["effect"] == "−10 to +10 parameters"
    lines = [line for line in claims.numbers(collect(study)) if line["claim"] == "d"]
    assert [(line["of"], line["effect"]) for line in lines] == [("DeiT-T", 10), ("XCiT-T", -10)]
    assert "(d) DeiT-T: +10 parameters, 1 seed." in claims.build(collect(study)).notes
