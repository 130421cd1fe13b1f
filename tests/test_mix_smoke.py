"""``make table2 METHODS=all SCALE=smoke``: every way to mix is trained, timed, shown; and a row without attention."""

from __future__ import annotations

import sys

import pytest

from experiments.__main__ import main as experiments
from experiments.estimate import Assumptions
from experiments.plan import plan_lines
from experiments.rows import rows
from experiments.study import Study
from experiments.study_options import why_not
from reports.__main__ import main as reports
from reports.records.collect import collect
from reports.tables import table2
from tests.made_up import make_study
from transmix.methods import methods, of_table

OPTIONS = ("--scale", "smoke", "--methods", "all")
CNN = """
from dataclasses import replace

from experiments.rows import Row
from experiments.rows.deit import deit_s

def resnet():
    \"\"\"A network without class attention.\"\"\"
    return replace(deit_s(), model="resnet50")

ROWS = (Row("cnn", "resnet", "ResNet-10", resnet, models={"tiny": "resnet10t"}, attention=False),)
"""


def carry_out(monkeypatch, run, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["experiments", "run", run.name, *run.options, "--device", "cpu", *options])
    experiments()


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """All of Table 2's runs carried out, by the commands that make would give."""
    made = make_study(tmp_path_factory.mktemp("all"), *OPTIONS)
    with pytest.MonkeyPatch.context() as patch:
        for run in made.shown_in("table2"):
            carry_out(patch, run)
    return made


def test_every_method_is_trained_timed_and_shown(study, monkeypatch, capsys):
    lines = {line["method"]: line for line in table2.numbers(collect(study))}
    left_out = {name for name in of_table("table2") if why_not(name, study)}
    assert {name for name, line in lines.items() if line["status"] == "done"} == {*of_table("table2")} - left_out
    assert left_out == {"oracle"}
    for name, line in lines.items():
        if name not in left_out:
            assert 0 <= line["top1"] <= 100
            assert 0.2 < line["step_relative"] < 20
            assert line["counted_passes"] <= 1.5 * methods()[name].extra_passes  # some batches are not mixed
    assert lines["cutmix"]["step_relative"] == 1
    assert lines["puzzlemix"]["counted_passes"] > 0
    monkeypatch.setattr(sys, "argv", ["reports", "--table", "table2", *study.options])
    reports()
    printed = capsys.readouterr().out
    for name in lines:
        assert methods()[name].title in printed


def test_what_cannot_be_trained_is_named_with_its_reason(study):
    said = " ".join(plan_lines(study, Assumptions()))
    assert "oracle (label_rule=oracle needs the object masks that resident=True reads: add that)" in said
    assert any(
        note.startswith("Oracle: not in this study: label_rule=oracle needs")
        for note in table2.build(collect(study)).notes
    )


def test_a_row_without_attention_is_trained_by_area(plugins, tmp_path, monkeypatch):
    (plugins / "rows").mkdir()
    (plugins / "rows" / "far_cnn.py").write_text(CNN)
    assert not rows()["cnn"].attention
    study = make_study(tmp_path, "--scale", "smoke", "--rows", "cnn", "--set", "epochs=1")
    (run,) = [run for run in study.plan() if run.kind == "train"]
    assert (run.method, run.settings["image_size"]) == ("baseline", 64)
    carry_out(monkeypatch, run)
    assert run.record().metrics["parameters"] > 4e6
