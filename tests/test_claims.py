"""The table of claims: first on the page, from records alone, and no bolder than its tests."""

from __future__ import annotations

import shutil

import pytest

from experiments.study import Study
from reports.page.report import build, report_folder, write
from reports.records.collect import collect
from reports.tables import claims, tables
from tests.made_up import OTHER_DATA, make_study, write_study, write_train


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
    assert found["b"]["verdict"] == found["c"]["verdict"] == "shown"
    assert found["b"]["effect"] == "+4.10 ± 0.28 points"
    assert found["b"]["here"] == "DeiT-T; 5 seeds"
    assert found["d"]["verdict"] == "shown of parameters"  # no bench has measured a step's time
    assert found["d"]["effect"] == "+0 parameters"
    assert found["e"]["verdict"] == "not tested"  # no row of this study is fine-tuned
    assert found["e"]["effect"] == "not run"


def test_a_clear_loss_is_the_opposite_and_noise_is_nothing(tmp_path):
    assert lines(tmp_path / "loss", (-4.0, -4.4, -3.8, -4.1, -4.2))["b"]["verdict"] == "opposite shown"
    noise = lines(tmp_path / "noise", (1.5, -1.0, 2.0, -0.5, 0.7))["b"]
    assert noise["verdict"].startswith("not shown (")
    assert "seeds would be needed" in noise["verdict"]


def test_one_seed_shows_nothing_and_says_so(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (9.0,))
    table = claims.build(collect(study))
    assert {row["verdict"].text for row in table.rows} == {"not shown", "shown of parameters", "not tested"}
    (exact,) = [row for row in table.rows if row["verdict"].text == "shown of parameters"]
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
    assert lines_of(study)["b"]["effect"] == "not run"


def test_several_models_are_averaged_seed_by_seed_and_judged_one_by_one(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "3")
    write_study(study, (1.0, 2.0, 3.0))
    found = claims.verdicts(collect(study))
    assert [*found["b"][0].gains] == ["mean of 2 models"]
    assert found["b"][0].gains["mean of 2 models"].mean == pytest.approx(2.0)
    assert [*found["c"][0].gains] == ["DeiT-T", "XCiT-T"]
    assert found["b"][0].expected == pytest.approx(0.55)  # of the slides: DeiT-T +0.4, XCiT-T +0.7
