"""What a report says about a study: cells of its tables, and its files."""

from __future__ import annotations

from experiments.study import Study
from reports.page.report import build, report_folder, write
from reports.records.collect import Collected, collect
from reports.tables import tables


def cells(collected: Collected, table: str, line: int = 0) -> dict[str, str]:
    return {key: cell.text for key, cell in tables()[table].build(collected).rows[line].items()}


def run_named(study: Study, name: str):
    return next(run for run in study.plan() if run.name == name)


def written(study: Study) -> dict[str, str]:
    folder = report_folder(study)
    write(build(collect(study)), folder)
    return {name: (folder / name).read_text() for name in ("index.html", "report.md", "table1.tex", "table1.csv")}
