"""A run: one recipe or protocol, on one data set, with one seed, and the folder its record goes to."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.dense import DenseSpec
from experiments.kinds import kinds
from experiments.records import Record, RunInfo, UnreadableRecord, read_record
from transmix.common import plugins
from transmix.common.errors import UserError
from transmix.common.plain import differing
from transmix.data.scenes import ScenesSpec
from transmix.data.sources import SourceSpec
from transmix.recipe import fingerprint


def run_name(table: str, row: str, part: str, method: str, seed: int) -> str:
    """A run's name: ``table1.deit_s.transmix.seed0``, ``table3.deit_s.upernet.transmix.seed0``."""
    return ".".join(filter(None, (table, row, part, method, f"seed{seed}")))


def run_id(name: str, kind: str, settings: dict[str, Any], data: str, seed: int, needs: list[str]) -> str:
    """A run's id: its name, and a hash of kind, settings, the data's name, seed and the ids of the runs it needs.

    A setting at its default does not count, so that a setting that is new changes no id, and a record without it is
    of the same run. A default therefore never changes: a new meaning is a new setting.
    """
    return f"{name}-{fingerprint([kind, differing(kinds()[kind].settings, settings), data, seed, needs])[:8]}"


@dataclass(frozen=True)
class Data:
    """A data set.

    Attributes:
        name: what identifies it; part of a run's identity.
        source: where its images are; None where the user has still to say.
        folder: what the suite itself writes for it: the scenes, or an index of somebody's shards.
        scenes: how to make it, if it is the embedded one.
        remedy: how the user says where it is.
    """

    name: str
    source: SourceSpec | DenseSpec | None
    folder: Path
    scenes: ScenesSpec | None = None
    remedy: str = ""

    def check_given(self) -> None:
        """Raise `UserError` where the user has still to say where the images are, or they are not there."""
        if self.source is None:
            raise UserError(f"there are no embedded data for {self.name}: give {self.remedy}")
        if self.scenes is None and isinstance(self.source, SourceSpec):
            self.source.check_splits()


@dataclass(frozen=True)
class Run:
    """One run. Its id ends in a hash of all that decides its result, so a changed recipe is another run.

    Attributes:
        table: the make target it belongs to (``table1``, ``occlusion``, ...).
        row: row of the table, e.g. ``deit_s``.
        method: one of `transmix.methods`, or ``random``: no weights.
        kind: one of `experiments.kinds`.
        scale: ``smoke``, ``tiny``, ``lab`` or ``paper``.
        seed: of every random draw.
        settings: the recipe or protocol as JSON values.
        data: what it runs on.
        results: folder of all results.
        needs: runs whose weights it reads.
        part: what tells it from others of its table, row and method: a configuration's name.
        options: command-line options that lead to this run's plan.
        inputs: files and folders besides the data that it reads, by what they are to it.
    """

    table: str
    row: str
    method: str
    kind: str
    scale: str
    seed: int
    settings: dict[str, Any]
    data: Data
    results: Path
    needs: tuple[Run, ...] = ()
    part: str = ""
    options: tuple[str, ...] = field(default=(), compare=False)
    inputs: dict[str, Path] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """For people: ``table1.deit_s.transmix.seed0``, ``table3.deit_s.upernet.transmix.seed0``."""
        return run_name(self.table, self.row, self.part, self.method, self.seed)

    @cached_property
    def id(self) -> str:
        """The name and a hash of what decides the result (`run_id`)."""
        needs = [need.id for need in self.needs]
        return run_id(self.name, self.kind, self.settings, self.data.name, self.seed, needs)

    @property
    def folder(self) -> Path:
        """Where the record, weights and logs of this run are."""
        return self.results / self.scale / self.id

    @property
    def command(self) -> str:
        """What carries it out."""
        command = shlex.join(["python", "-m", "experiments", "run", self.name, *self.options])
        return " ".join([*plugins.assignments(), command])

    @property
    def info(self) -> RunInfo:
        """What its record says of it."""
        names = ("id", "name", "table", "kind", "scale", "row", "part", "method", "seed", "command")
        return RunInfo(**{name: getattr(self, name) for name in names}, needs=tuple(need.id for need in self.needs))

    def status(self) -> str:
        """``done``, ``started``, ``not run`` or ``unreadable``."""
        try:
            if read_record(self.folder) is not None:
                return "done"
        except UnreadableRecord:
            return "unreadable"
        return "started" if self.folder.is_dir() else "not run"

    def record(self) -> Record:
        """The record of this run.

        Raises:
            UserError: it has not been run, or its record is not readable; says how to mend that.
        """
        try:
            record = read_record(self.folder)
        except UnreadableRecord as error:
            raise UserError(f"{error}: redo just this run with '{self.command} --restart'") from error
        if record is None:
            raise UserError(f"run {self.name} has no record yet: '{self.command}' makes it")
        return record
