"""A study's records: every planned run with its record, or with what is wrong, and those that are published."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from experiments.records import NAME, Record, RunInfo, UnreadableRecord, read_record
from experiments.runs import Run
from experiments.study import Study
from experiments.study_options import usual_study
from reports.formats.table import NOT_RUN, UNREADABLE, Source
from reports.records.checks import check

DONE = "done"
PUBLISHED_RUNS = Path(__file__).parents[1] / "published_runs"  # SET/<run id>/record.json


@dataclass(frozen=True, eq=False)
class Result:
    """A run and what became of it. (Compared by identity, so that what is read of it can be kept.)

    Attributes:
        run: as it is planned; as its record describes it where records were looked for without a plan.
        folder: where its record is, or would be.
        status: ``done``, ``not run`` or ``unreadable``.
        record: its record, if it is done.
        problem: what is wrong with an unreadable record, in one line with the remedy.
    """

    run: Run | RunInfo
    folder: Path
    status: str
    record: Record | None = None
    problem: str = ""

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured; only for a run that is done."""
        return self.record.metrics

    @property
    def source(self) -> Source:
        """Where its numbers come from."""
        return Source(self.run.id, self.run.seed, "" if self.folder == self.run.folder else self.folder.parent.name)


@dataclass(frozen=True)
class Collected:
    """All results of a study.

    Attributes:
        study: the study.
        results: in the order of its plan.
        published: records of the same runs that somebody has published, a set each; only sets that have any.
    """

    study: Study
    results: tuple[Result, ...]
    published: tuple[PublishedSet, ...] = ()

    def of(self, table: str, row: str, method: str, part: str = "") -> list[Result]:
        """The results of one row and method of a table, one a seed; `part` where a table has several of a row."""
        return self._by_key.get((table, row, method, part), [])

    @cached_property
    def _by_key(self) -> dict[tuple[str, str, str, str], list[Result]]:
        found: dict[tuple[str, str, str, str], list[Result]] = {}
        for result in self.results:
            found.setdefault(key(result.run), []).append(result)
        return found

    @property
    def keys(self) -> list[tuple[str, str, str, str]]:
        """Table, row, method and part of every planned run, each once."""
        return list(self._by_key)

    def done(self, table: str, row: str, method: str, part: str = "") -> list[Result]:
        """Those of them that have a record."""
        return [result for result in self.of(table, row, method, part) if result.status == DONE]

    def status(self, table: str, row: str, method: str, part: str = "") -> str:
        """``done`` if there is any record, else ``unreadable`` if one is broken, else ``not run``."""
        found = {result.status for result in self.of(table, row, method, part)}
        return next((status for status in (DONE, UNREADABLE) if status in found), NOT_RUN)

    @property
    def problems(self) -> list[str]:
        """One line for every unreadable record, the published ones too."""
        every = [self.results, *(there.collected.results for there in self.published)]
        return [result.problem for results in every for result in results if result.problem]

    @property
    def records(self) -> list[Record]:
        """All records there are."""
        return [result.record for result in self.results if result.record is not None]


@dataclass(frozen=True)
class PublishedSet:
    """Records that were published together, as far as the study plans the same runs.

    Attributes:
        name: its folder's.
        collected: what they hold.
    """

    name: str
    collected: Collected

    @property
    def devices(self) -> str:
        """What they were made on."""
        return ", ".join(sorted({record.environment.computed_on for record in self.collected.records}))


def key(run: Run) -> tuple[str, str, str, str]:
    """What runs that differ in their seed only have in common."""
    return run.table, run.row, run.method, run.part


def collect(study: Study, published: Path | None = None) -> Collected:
    """Read the record of every planned run, and those that `published` (the suite's own folder) has of them."""
    plan = study.plan()
    results = tuple(read(run) for run in plan)
    sets = published_sets(study, plan, PUBLISHED_RUNS if published is None else published)
    return Collected(study, results, tuple(there for there in sets if not _is_copied(there, results)))


def _is_copied(there: PublishedSet, results: tuple[Result, ...]) -> bool:
    """Whether a study has all of a set's very records, copied from it: beside themselves they would say nothing."""
    pairs = zip(there.collected.results, results, strict=True)
    return all(theirs.status == NOT_RUN or (theirs.record and theirs.record == own.record) for theirs, own in pairs)


@cache
def published_study(
    scale: str, published: Path | None = None, methods: str = "", table: str = ""
) -> PublishedSet | None:
    """What `published` (the suite's own folder) has of the usual study of a scale; of several such sets the largest.

    Args:
        scale: its name.
        published: the folder.
        methods: of the study, as ``--methods`` takes them; by default the scale's.
        table: whose runs are read; by default all.
    """
    study = usual_study(scale, *(("--methods", methods) if methods else ()))
    runs = study.shown_in(table) if table else study.plan()
    sets = published_sets(study, runs, PUBLISHED_RUNS if published is None else published)
    return max(sets, key=lambda there: len(there.collected.records), default=None)


def published_sets(study: Study, runs: list[Run], folder: Path) -> tuple[PublishedSet, ...]:
    """The sets of a folder that have records of some runs. A run's id says what it is, so equal ids are one run."""
    sets = []
    for path in sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else ():
        there = {entry.name for entry in path.iterdir()}
        results = tuple(
            read(run, path / run.id) if run.id in there else Result(run, path / run.id, NOT_RUN) for run in runs
        )
        if any(result.status != NOT_RUN for result in results):
            sets.append(PublishedSet(path.name, Collected(study, results)))
    return tuple(sets)


def read(run: Run, published: Path | None = None) -> Result:
    """A run's record, checked for all that a report takes from it; `published` is the folder of a published one."""
    folder = run.folder if published is None else published
    try:
        record = read_record(folder)
        if record is None:
            return Result(run, folder, NOT_RUN)
        if record.run.id != run.id:
            raise UnreadableRecord(f"record {folder / NAME} is the record of another run, {record.run.id}")
        check(record, folder)
    except UnreadableRecord as error:
        remedy = redo(run) if published is None else f"restore this published record, or remove {folder}"
        return Result(run, folder, UNREADABLE, problem=f"{error}: {remedy}")
    return Result(run, folder, DONE, record)


def redo(run: Run | RunInfo) -> str:
    """The remedy for a broken file of a run."""
    return f"redo just this run with '{run.command} --restart'"


def unreadable_file(what: str, path: Path, error: Exception, run: Run | RunInfo) -> str:
    """One line about a file beside a record that cannot be read, with the remedy."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{what} {path} is not readable ({reason}): {redo(run)}"
