"""What is checked of a training run's record before a report takes anything from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiments.correctness import pack, unpack
from reports.records.collect import Result, read
from tests.made_up import VAL_IMAGES, edit, make_study, write_train

RIGHT = np.arange(VAL_IMAGES) < 415


def result(folder: Path, change: Callable[[dict], object]) -> Result:
    """The result of a run at 41.5 %, after a change to its record."""
    run = make_study(folder, "--scale", "tiny", "--rows", "deit_t").find("table1.deit_t.transmix.seed0")
    write_train(run, 41.5)
    edit(run.folder, change)
    return read(run)


def test_a_whole_record_is_taken(tmp_path):
    found = result(tmp_path, lambda record: None)
    assert (found.status, found.problem) == ("done", "")
    assert np.array_equal(unpack(found.record.right, VAL_IMAGES), RIGHT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: record.update(right=pack(RIGHT[:900])), "113 bytes do not hold one bit for each of 1000"),
        (lambda record: record.update(right="?" + record["right"]), "base64"),
        (lambda record: record.pop("right"), "lacks 'right'"),
        (lambda record: record["history"][2].pop("lambda"), "lacks 'lambda'"),
        (lambda record: record["metrics"].pop("gmacs"), "lacks 'gmacs'"),
        (lambda record: record.update(right=None), "unexpected value of right"),
        (lambda record: record.update(right=pack(~RIGHT)), "right: 585 of 1000 images where metrics.top1 is 41.5"),
        (lambda record: record["metrics"].update(top1=51.5), "right: 415 of 1000 images where metrics.top1 is 51.5"),
        (lambda record: record["history"][0]["lambda"]["shift"].pop(), "history.lambda.shift: 39 bins instead of 40"),
        (lambda record: record["history"][-1]["lambda"].pop("area"), "lacks 'area'"),
        (lambda record: record["history"][1]["lambda"]["label"].__setitem__(3, -1), "history.lambda.label"),
        (lambda record: record["history"][1]["lambda"]["area"].__setitem__(3, 99.5), "history.lambda.area"),
        (lambda record: record["history"][1]["lambda"]["area"].__setitem__(3, 99), "count [2000, 1999, 2000] images"),
    ],
)
def test_correctness_and_histograms_are_checked(tmp_path, change, reason):
    found = result(tmp_path, change)
    assert found.status == "unreadable"
    assert reason in found.problem
    assert "redo just this run" in found.problem
