"""Records on disk, of whatever study: every ``record.json`` below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from experiments.records import NAME, UnreadableRecord, read_record
from reports.records.collect import DONE, Result
from transmix.common.errors import UserError


@dataclass(frozen=True)
class RecordedRun:
    """A run as its record describes it; the attributes mean what those of `experiments.runs.Run` mean."""

    id: str
    name: str
    kind: str
    table: str
    row: str
    part: str
    method: str
    scale: str
    seed: int
    command: str
    needs: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Found:
    """A record file.

    Attributes:
        path: of the file.
        result: the run and its record; None if the file cannot be used.
        problem: why it cannot, in one line.
    """

    path: Path
    result: Result | None
    problem: str = ""


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
    try:
        record = read_record(path.parent)
        if record is None:
            raise UnreadableRecord(f"record {path} does not exist")
        return Found(path, Result(_recorded(record, path), DONE, record))
    except UnreadableRecord as error:
        return Found(path, None, str(error))


def _recorded(record: dict[str, Any], path: Path) -> RecordedRun:
    for part in _PARTS:
        if not isinstance(record[part], dict):
            raise UnreadableRecord(f"record {path} is not as a run writes it ({part} is no object)")
    run = {"part": ""} | record["run"]  # runs of a user's own model have no parts
    for name, kind in _TYPES.items():
        if not isinstance(run.get(name), kind):
            raise UnreadableRecord(f"record {path} is not as a run writes it (unexpected value of run.{name})")
    return RecordedRun(**{name: run[name] for name in _TYPES} | {"needs": tuple(run["needs"]), "folder": path.parent})


_PARTS = ("run", "settings", "data", "metrics", "environment", "files")
_TYPES = {field.name: str for field in fields(RecordedRun) if field.name != "folder"} | {"seed": int, "needs": list}


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
        other = by_id.setdefault(result.run.id, result.run.folder)
        if other != result.run.folder:
            raise UserError(f"run {result.run.id} is in {folder} twice, {other} and {result.run.folder}: remove one")
    return results, problems
