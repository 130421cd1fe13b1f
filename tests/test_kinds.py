"""Kinds of run: what the suite's declare, and one of one's own, from the plan to its record."""

from __future__ import annotations

import importlib
import sys
from dataclasses import is_dataclass

import pytest

from experiments.__main__ import main
from experiments.kinds import kinds
from experiments.makefile import fragment
from experiments.records import read_record
from reports.records.collect import collect
from reports.records.found import find_records
from reports.records.verify import check_all
from tests.made_up import make_study

COUNT = '''
"""Count the images of a split."""

from dataclasses import dataclass

from experiments.kinds import Kind
from transmix.common.plain import plain

COUNTS = "counts.txt"


@dataclass(frozen=True)
class Count:
    split: str = "val"


def _plan(study, row, seed, trained):
    yield study.run("far_count", "counts", row, "baseline", seed, plain(Count()))


def execute(run, source, processes, runtime):
    from experiments.run import Outcome

    images = source.counts[run.settings["split"]]
    (run.folder / COUNTS).write_text(str(images))
    return Outcome({"images": images}, (COUNTS,))


KIND = Kind(Count, _plan)
'''


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.name)
def test_a_kind_says_what_it_is(kind):
    assert is_dataclass(kind.settings)
    assert callable(importlib.import_module(kind.execute).execute)


def test_trainings_come_first_and_the_others_in_the_order_of_the_tables():
    assert [*kinds()] == ["train", "public", "occlusion", "natural", "lambda", "segmentation", "detection", "cost"]


def test_a_kind_of_ones_own_is_one_file(plugins, tmp_path, monkeypatch, capsys):
    (plugins / "kinds").mkdir()
    (plugins / "kinds" / "far_count.py").write_text(COUNT)
    study = make_study(tmp_path / "results", "--scale", "smoke")
    run = study.find("counts.deit_t.baseline.seed0")
    assert run in study.shown_in("report")
    assert f"RECORDS_counts := {run.folder}/record.json\n" in fragment(study)
    monkeypatch.setattr(sys, "argv", ["experiments", "run", run.name, *run.options, "--device", "cpu"])
    main()
    assert "images 32" in capsys.readouterr().out
    assert read_record(run.folder).metrics == {"images": 32}
    assert (run.folder / "counts.txt").read_text() == "32"
    (result,) = collect(study).done("counts", "deit_t", "baseline")
    assert result.metrics == {"images": 32}
    tally = check_all(find_records(study.results), study.data)
    assert (tally.wrong, tally.checked["ids"]) == ([], 1)
