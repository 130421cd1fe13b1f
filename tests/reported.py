"""A study of three seeds, and what a report says about a study: cells of its tables, and its files."""

from __future__ import annotations

from pathlib import Path

from experiments.study import Study
from reports.page.report import build, report_folder, write
from reports.records.collect import Collected, collect
from reports.tables import tables
from tests.made_up import make_study, write_study


def three_seeds(folder: Path) -> Study:
    """Three seeds with gains of 1, 2 and 3 points."""
    study = make_study(folder, "--scale", "tiny", "--rows", "deit_t", "--seeds", "3")
    write_study(study, (1.0, 2.0, 3.0))
    return study


def cells(collected: Collected, table: str, line: int = 0) -> dict[str, str]:
    return {key: cell.text for key, cell in tables()[table].build(collected).rows[line].items()}


def run_named(study: Study, name: str):
    return next(run for run in study.plan() if run.name == name)


def written(study: Study) -> dict[str, str]:
    folder = report_folder(study)
    write(build(collect(study)), folder)
    return {name: (folder / name).read_text() for name in ("index.html", "report.md", "table1.tex", "table1.csv")}
