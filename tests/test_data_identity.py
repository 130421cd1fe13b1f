"""What tells data sets apart: records of a user's folder whose files changed, and records that were edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.study import Study
from reports.page.provenance import cautions
from reports.records.collect import collect
from reports.records.found import find_records
from reports.records.verify import check_all
from tests.made_up import edit, make_study, write_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One seed of each run on a user's class folders."""
    (tmp_path / "images").mkdir()
    options = ("--rows", "deit_t", "--seeds", "1", "--imagenet", str(tmp_path / "images"))
    study = make_study(tmp_path / "results", "--scale", "tiny", *options)
    write_study(study, (1.0,))
    return study


def test_a_folder_whose_files_changed_between_two_tables_is_named(study):
    assert cautions(collect(study)) == []
    for run in study.plan():
        if run.table == "occlusion":
            edit(run.folder, lambda record: record["data"].update(fingerprint="0" * 16))
    (line,) = cautions(collect(study))
    assert line.startswith("Records of lambda, occlusion, table1, ")
    assert line.endswith(f"were made on different data ({'0' * 16}, feedfacefeedface).")


def test_processors_are_told_apart_where_records_name_them(study):
    one, other, *_ = study.plan()
    edit(one.folder, lambda record: record["environment"].update(processor="AMD EPYC 9554"))
    assert cautions(collect(study)) == []  # the others may be of the same
    edit(other.folder, lambda record: record["environment"].update(processor="Intel Xeon 8480"))
    assert cautions(collect(study)) == [
        "The records were made on different devices: CPU (x86_64) AMD EPYC 9554, CPU (x86_64) Intel Xeon 8480."
    ]
    for run in (one, other):
        edit(run.folder, lambda record: record["environment"].update(device="NVIDIA H100"))
    (line,) = cautions(collect(study))
    assert line == "The records were made on different devices: CPU (x86_64), NVIDIA H100."


def test_a_users_images_are_not_taken_for_the_suites_own(study):
    """The suite's data are told apart by name alone, so a record that claims them must bear such a name."""
    run = study.find("table1.deit_t.transmix.seed0")
    edit(run.folder, lambda record: record["data"].update(embedded=True, fingerprint="0" * 16))
    (problem,) = collect(study).problems
    assert f"unexpected value of data.embedded: the suite writes no {run.data.name}): redo just this run" in problem
    assert problem in check_all(find_records(run.folder), study.data).wrong[0]
