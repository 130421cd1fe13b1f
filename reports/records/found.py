"""Records on disk, of whatever study: every ``record.json`` below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from experiments.records import NAME, UnreadableRecord, read_record
from reports.records.checks import check_types
from reports.records.collect import DONE, PUBLISHED_RUNS, Result, redo
from transmix.common.errors import UserError
from transmix.common.text import printable


@dataclass(frozen=True)
class Found:
    """A record file.

    Attributes:
        path: of the file.
        result: the run and its record; None if the file cannot be used.
        problem: why it cannot, in one line with the remedy.
    """

    path: Path
    result: Result | None
    problem: str = ""


def default_folders() -> list[Path]:
    """Where records are if nobody says so: the results here, and the published runs of this suite.

    Raises:
        UserError: there are none.
    """
    folders = [folder for folder in (Path("results"), PUBLISHED_RUNS) if next(folder.glob(f"**/{NAME}"), None)]
    if not folders:
        raise UserError(f"no records in results or {PUBLISHED_RUNS}: 'make report' makes some")
    return folders


def find_records(folder: Path) -> list[Found]:
    """Every record below a folder, in the order of their paths.

    Raises:
        UserError: there is no such folder, or no record in it.
    """
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}: give one that holds runs, such as results/tiny")
    paths = [Path(root, NAME) for root, _, files in os.walk(folder) if NAME in files]
    if not paths:
        raise UserError(f"no records in {folder}: 'make report' makes some, or give a folder that holds runs")
    return [read_found(path) for path in sorted(paths)]


def read_found(path: Path) -> Found:
    """One record file; what is wrong with it is kept, not raised."""
    folder, remedy = path.parent, "restore the file, or redo its run with --restart"
    try:
        record = read_record(folder)
        if record is None:
            raise UnreadableRecord(f"record {path} does not exist")
        remedy = redo(record.run)
        check_types(record, folder)
    except UnreadableRecord as error:
        return Found(path, None, printable(f"{error}: {remedy}"))
    return Found(path, Result(record.run, folder, DONE, record))


def readable(folder: Path) -> tuple[list[Result], list[str]]:
    """The records below a folder that can be used, each run once, and what is wrong with the others.

    Raises:
        UserError: no folder, no record that can be used, or a run that comes twice.
    """
    found = find_records(folder)
    results = [entry.result for entry in found if entry.result is not None]
    problems = [entry.problem for entry in found if entry.problem]
    if not results:
        raise UserError(f"no record in {folder} can be read, e.g.: {problems[0]}")
    by_id: dict[str, Path] = {}
    for result in results:
        other = by_id.setdefault(result.run.id, result.folder)
        if other != result.folder:
            raise UserError(f"run {result.run.id} is in {folder} twice, {other} and {result.folder}: remove one")
    return results, problems
