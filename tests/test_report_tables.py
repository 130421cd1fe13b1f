"""Tables for programs, and tables of which half is missing: types that pandas finds, numbers that are still right."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pandas
import pytest

from experiments.rows import model_name
from experiments.study import Study
from reports.page.report import build, report_folder, write
from reports.records.collect import collect
from reports.tables import tables
from tests.made_up import make_study, write_study

ROWS = ("deit_t", "xcit_t")
# columns that hold text; all others are numbers
TEXTS = {
    *("row", "model", "method", "name", "part", "weights", "minus", "status", "verdict", "records", "curve", "grid"),
    *("id", "step_clock", "cost", "step_record"),
    *("published_source", "measured_model", "label_rule", "perturbation", "baseline_records", "transmix_records"),
}
FILES = ("table1", "table2", "table3", "table4", "table5", "occlusion", "occlusion_curves", "lambda")


def study_of(folder: Path, part: str) -> Study:
    """A study with all of its records, with half of them, or with none."""
    study = make_study(folder, "--scale", "tiny", "--seeds", "2", "--rows", ",".join(ROWS))
    write_study(study, (1.0, 2.0))
    plan = sorted(study.plan(), key=lambda run: run.name)
    # with this draw, some and not all differences of every table are left
    gone = {"all": [], "half": random.Random(94).sample(plan, len(plan) // 2), "none": plan}[part]
    for run in gone:
        shutil.rmtree(run.folder)
    return study


@pytest.fixture(scope="module", params=["all", "half", "none"])
def case(request, tmp_path_factory) -> tuple[str, dict[str, pandas.DataFrame]]:
    """How much of a study there is, and its tables as pandas reads them."""
    study = study_of(tmp_path_factory.mktemp(request.param), request.param)
    folder = report_folder(study)
    write(build(collect(study)), folder)
    return request.param, {name: pandas.read_csv(folder / f"{name}.csv") for name in FILES}


def test_numbers_are_numbers_and_missing_is_empty(case):
    _, tables = case
    for name, frame in tables.items():
        assert len(frame) > 0, name
        for column in frame:
            filled = frame[column].notna().any()
            text = pandas.api.types.is_string_dtype(frame[column].dtype)
            assert text == (column in TEXTS and filled), (name, column, frame[column].dtype)
            assert column in TEXTS or pandas.api.types.is_numeric_dtype(frame[column].dtype), (name, column)


def test_status_says_which_numbers_there_are(case):
    part, tables = case
    numbers = {
        "table1": "measured_gain",
        "table5": "aupr",
        "occlusion": "difference",
        "occlusion_curves": "top1",
        "lambda": "error_mean",
        "table3": "mIoU",
        "table4": "box_AP",
    }
    for name, column in numbers.items():
        frame = tables[name]
        done = frame["status"] == "done"
        assert (frame[column].notna() == done).all(), name
        assert done.any() == (part != "none")
        assert set(frame["status"]) <= {"done", "not run", "not paired"}


def test_what_is_left_of_a_study_is_still_right(tmp_path):
    study = study_of(tmp_path, "half")
    collected = collect(study)
    there = {result.run.id: result for result in collected.results if result.record}
    names = {line["name"].text: line for line in tables()["table1"].build(collected).rows}
    for row in ROWS:
        cells = names[model_name(row)]
        for method, base in (("baseline", 50.0), ("transmix", 51.0)):
            # the gain of a fake run is its seed and one
            seeds = [seed for seed in (0, 1) if study.find(f"table1.{row}.{method}.seed{seed}").id in there]
            values = [base + seed * (method == "transmix") for seed in seeds]
            shown = cells[method].text.split(" ± ")[0]
            assert shown == (f"{sum(values) / len(values):.2f}" if values else "not run"), (row, method)
    for table in tables():
        for line in tables()[table].build(collected).rows:
            for cell in line.values():
                assert cell.kind != "measured" or all(source.id in there for source in cell.sources)


@pytest.mark.parametrize("part", ["all", "half"])
def test_nothing_published_is_claimed_where_the_slides_are_silent(tmp_path, part):
    collected = collect(study_of(tmp_path, part))
    for name, spec in tables().items():
        if name in ("speed", "estimates"):  # about machines: neither a scale's nor the slides'
            continue
        table = spec.build(collected)
        assert f"scale {collected.study.scale.name}" in table.caption
        published = [column for column in table.columns if column.group.startswith("published")]
        assert bool(published) == (name in ("table1", "table2")), name
        assert published or "ot in the slides" in table.caption or "nothing is published" in table.caption
