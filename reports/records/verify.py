"""``python -m reports verify``: do records, files and data still match what the records claim?"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from experiments.kinds import kinds
from experiments.records import NAME, RunInfo, UnreadableRecord, digest_of
from experiments.runs import run_id, run_name
from reports.analysis.words import plural
from reports.records.checks import check
from reports.records.collect import Result, redo
from reports.records.data_folders import DataFolders
from reports.records.found import Found, default_folders, find_records, read_found
from reports.records.recompute import claims
from transmix.common.errors import CommandEnd
from transmix.common.files import sha256
from transmix.common.progress import progress_bar
from transmix.common.text import printable

Lines = Iterator[str]
_CLOSE = 1e-9  # relative: how far a mean that is computed again may be off by rounding


@dataclass
class Tally:
    """What has been looked at.

    Attributes:
        wrong: a line for every claim that does not hold.
        missing: a line for every file that is not there, so that nothing can be said about it.
        checked: how many of what were checked.
        skipped: how many of what could not be, and why.
        broken: records with a claim that does not hold.
    """

    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    broken: int = 0

    @property
    def summary(self) -> str:
        """Everything in one line."""
        done = ", ".join(f"{count:,} {what}" for what, count in self.checked.items())
        left = ", ".join(f"{count:,} {what}" for what, count in self.skipped.items())
        total = plural(self.checked["records"], "record")
        verdict = f"{total} verified"
        if self.broken:
            verdict = f"{self.broken:,} of {total} do not match what they claim"
        elif self.wrong:
            verdict += ", but not the data that they were made on"
        return f"{verdict}; checked: {done}" + (f"; not checked: {left}" if left else "")


def verify(args: argparse.Namespace) -> None:
    """Print a line for everything that does not match, and a summary; ends with status 1 if anything does not.

    Raises:
        UserError: a folder that is not there or holds no records.
        CommandEnd: something does not match.
    """
    found = [entry for folder in args.folders or default_folders() for entry in find_records(folder)]
    tally = check_all(found, args.data)
    for line in tally.missing + tally.wrong:
        print(printable(line))
    if tally.wrong:
        raise CommandEnd(tally.summary)
    print(tally.summary)


def check_all(found: list[Found], data: Path) -> Tally:
    """Check records, with a progress bar on a terminal.

    Args:
        found: the records.
        data: folder of embedded data.
    """
    tally, folders = Tally(), DataFolders(data)
    with progress_bar() as bar:
        line = bar.add_task("verifying", total=len(found), note="")
        for entry in found:
            wrong = list(_wrong(entry, folders, tally))
            tally.checked["records"] += 1
            tally.broken += bool(wrong)
            tally.wrong += wrong
            bar.advance(line)
    tally.wrong += folders.problems
    return tally


def _wrong(entry: Found, folders: DataFolders, tally: Tally) -> Lines:
    """A line for each claim of a record that does not hold: the file, the claim, the remedy."""
    if entry.result is None:
        yield entry.problem
        return
    run, result = entry.result.run, entry.result
    if result.folder.name != run.id:
        yield f"{entry.path}: lies in a folder called {result.folder.name}, its run is {run.id}: rename the folder back"
    try:
        yield from (f"{entry.path}: {problem}" for problem in _needs(result, tally))
        problems = [*_identity(result, tally), *_files(result, tally), *_metrics(result, tally)]
        _data(result, folders, tally)
    except (KeyError, TypeError, AttributeError) as error:
        problems = [f"is not as a {run.kind} run writes it ({type(error).__name__}: {error})"]
    yield from (f"{entry.path}: {problem}: {redo(run)}" for problem in problems)
    if not problems and is_planned(run):
        try:
            check(result.record, result.folder)
        except UnreadableRecord as error:
            yield f"{error}: {redo(run)}"


def is_planned(run: RunInfo) -> bool:
    """Whether it is of a kind that studies plan, not a measurement of a user's own model."""
    return run.kind in kinds() and run.scale != "own"


def _identity(result: Result, tally: Tally) -> Lines:
    """The id's hash covers kind, settings, data, seed and needs."""
    run, record = result.run, result.record
    if not is_planned(run):
        tally.skipped["ids of a user’s own models"] += 1
        return
    tally.checked["ids"] += 1
    name = run_name(run.table, run.row, run.part, run.method, run.seed)
    if run.name != name:
        yield f"its name is {run.name}, its table, row, method and seed say {name}"
    expected = run_id(run.name, run.kind, record.settings, record.data.name, run.seed, list(run.needs))
    if run.id != expected:
        yield f"its id is {run.id}, its kind, settings, data, seed and needs give {expected}"


def _needs(result: Result, tally: Tally) -> Lines:
    """What it was made from has a record, which is not newer."""
    made_from = result.record.made_from
    for need in result.run.needs:
        tally.checked["needs"] += 1
        path = result.folder.parent / need / NAME
        if not path.is_file():
            yield f"it was made from {need}, which has no record beside it: put that folder back, or make the run again"
        elif need not in made_from:
            tally.skipped["needs of records that do not say which record they were made from"] += 1
        elif (made := read_found(path).result) and digest_of(made.record) != made_from[need]:
            again = f"has been made again since ({made.record.started})"
            yield f"it was made from {need}, which {again}: {redo(result.run)}"


def _files(result: Result, tally: Tally) -> Lines:
    folder = result.folder
    alone = all(path.name == NAME for path in folder.iterdir())  # as published: nothing but records
    files = {folder / name: digest for name, digest in result.record.files.items()}
    given = result.record.extra.get("weights")
    if isinstance(given, dict):  # of a user's own model, which may lie anywhere
        files[Path(given["path"])] = given["sha256"]
    for path, digest in files.items():
        if path.is_file():
            tally.checked["files"] += 1
            if sha256(path) != digest:
                yield f"{path} is not the file of the record (SHA-256 {_short(digest)})"
        elif alone:
            tally.skipped["files of records that stand alone"] += 1
        else:
            tally.skipped["missing files"] += 1
            tally.missing.append(f"{path} is missing, so it was not checked: '{result.run.command} --restart' makes it")


def _data(result: Result, folders: DataFolders, tally: Tally) -> None:
    data = result.record.data
    if result.record.inputs:
        tally.skipped["records’ further images"] += 1
    if not data.embedded:
        tally.skipped["records’ data that is not embedded"] += 1
        return
    if folders.whole(data.name):
        tally.checked["records’ data"] += 1
    else:
        tally.skipped["records’ data that is not there or not whole"] += 1


def _metrics(result: Result, tally: Tally) -> Lines:
    try:
        for name, claimed, again in claims(result):
            tally.checked["metrics"] += 1
            if not np.allclose(claimed, again, rtol=_CLOSE, atol=_CLOSE):
                yield f"{name} is {claimed}, computed again it is {again}"
    except (KeyError, TypeError, IndexError, ValueError) as error:
        yield f"its metrics cannot be computed again ({type(error).__name__}: {error})"


def _short(digest: str) -> str:
    return f"{digest[:12]}…"
