"""How each number is made again: the records behind a report, and what they have in common."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiments.records import DataInfo, Environment, Record
from experiments.rows import model_name
from reports.analysis.names import head_name
from reports.formats.html import group_key
from reports.formats.table import Table
from reports.records import collect
from reports.records.collect import Collected, Result
from reports.records.origins import duration, machine_name, short_commit
from reports.tables import tables
from transmix.recipe import fingerprint


@dataclass(frozen=True)
class Entry:
    """One planned run, as the list of records shows it. Without a record, only the first five are known.

    Attributes:
        id: of the run; its folder's name.
        command: makes the record (again).
        status: ``done``, ``not run`` or ``unreadable``.
        seed: of every random draw.
        recipe: number of its recipe or protocol in `Provenance.recipes`.
        environment: number in `Provenance.environments`; 0 for none.
        data: number in `Provenance.data`; 0 for none.
        device: what it ran on, and with how many processes if more than one.
        commit: shortened; with ``+`` where the code had been changed since.
        seconds: wall time that it took.
        memory: peak in MiB; None where the run does not record it.
        started: UTC, ISO 8601.
        files: SHA-256 of what lies beside the record, by file name.
    """

    id: str
    command: str
    status: str
    seed: int
    recipe: int
    environment: int = 0
    data: int = 0
    device: str = ""
    commit: str = ""
    seconds: float = 0.0
    memory: float | None = None
    started: str = ""
    files: dict[str, str] = field(default_factory=dict)

    @property
    def wall(self) -> str:
        """The wall time for people; empty without a record."""
        return duration(self.seconds) if self.started else ""

    @property
    def date(self) -> str:
        """The day it was started."""
        return self.started[:10]


@dataclass(frozen=True)
class Group:
    """The runs that a table has of one row and part, over methods and seeds.

    Attributes:
        key: HTML id, without its prefix.
        title: for people.
        entries: the runs.
    """

    key: str
    title: str
    entries: list[Entry]

    @property
    def done(self) -> int:
        """How many have a record."""
        return sum(entry.status == "done" for entry in self.entries)

    @property
    def table(self) -> str:
        """The make target that they belong to."""
        return self.key.split(".")[0]


@dataclass(frozen=True)
class Recipe:
    """Settings that runs have in common.

    Attributes:
        use: the first of these runs, without its seed.
        settings: the recipe of a training, or the protocol of a measurement.
    """

    use: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Provenance:
    """All runs of a study. Recipes, environments and data are there once each, and counted from 1.

    Attributes:
        groups: the runs, table by table, each in the order of the plan.
        recipes: with what settings they were made, or are to be made.
        environments: code, packages and machines that records were made with.
        data: the data sets of the records.
    """

    groups: list[Group]
    recipes: list[Recipe]
    environments: list[Environment]
    data: list[DataInfo]

    @property
    def entries(self) -> list[Entry]:
        """All runs of the study, group by group."""
        return [entry for group in self.groups for entry in group.entries]


class _Numbered:
    """Numbers different values from 1, in the order in which they come."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable, value: Any) -> int:
        """The number of what `key` stands for; `value` is kept if it is the first."""
        if key not in self._numbers:
            self.values.append(value)
            self._numbers[key] = len(self.values)
        return self._numbers[key]


def trace(collected: Collected) -> Provenance:
    """Every planned run and what it is made of."""
    recipes, environments, data = _Numbered(), _Numbered(), _Numbered()
    groups: dict[str, Group] = {}
    for result in collected.results:
        run, record = result.run, result.record
        use = Recipe(".".join(filter(None, (run.table, run.row, run.part, run.method))), run.settings)
        known = {
            "id": run.id,
            "command": run.command,
            "status": result.status,
            "seed": run.seed,
            "recipe": recipes.number(fingerprint(run.settings), use),
        }
        if record is None:
            known["command"] += " --restart" if result.problem else ""
        else:
            known |= _measured(record)
            known["environment"] = environments.number(fingerprint(asdict(record.environment)), record.environment)
            known["data"] = data.number(fingerprint(asdict(record.data)), record.data)
        key = group_key(run.id)
        groups.setdefault(key, Group(key, _title(result), [])).entries.append(Entry(**known))
    order = {name: place for place, name in enumerate(tables())}
    by_table = sorted(groups.values(), key=lambda group: order.get(group.table, len(order)))
    return Provenance(by_table, recipes.values, environments.values, data.values)


def _measured(record: Record) -> dict[str, Any]:
    environment = record.environment
    return {
        "device": machine_name(environment),
        "commit": short_commit(environment.commit),
        "seconds": record.wall_seconds,
        "memory": record.metrics.get("peak_memory_mib"),
        "started": record.started,
        "files": record.files,
    }


def _title(result: Result) -> str:
    run = result.run
    part = f" + {head_name(run.part)}" if run.part else ""
    label = tables()[run.table].label if run.table in tables() else run.table
    return f"{label}: {model_name(run.row)}{part}"


def published_records(found: Iterable[Table]) -> dict[str, dict[str, list[str]]]:
    """The published records behind the numbers of some tables: ids of runs, by set and group."""
    cells = (cell for table in found for row in table.rows for cell in row.values())
    sources = {source for cell in cells for source in cell.sources if source.set}
    records: dict[str, dict[str, list[str]]] = {}
    for source in sorted(sources, key=lambda source: (source.set, source.id)):
        records.setdefault(source.set, {}).setdefault(group_key(source.id), []).append(source.id)
    return records


def published_folder(page: Path) -> str:
    """Where the suite's published runs are, as a page in the folder `page` links to them.

    Empty for a page outside the suite's folder: the link would hold on this machine only.
    """
    runs, page = collect.PUBLISHED_RUNS.resolve(), page.resolve()
    return Path(os.path.relpath(runs, page)).as_posix() if page.is_relative_to(runs.parents[1]) else ""


def cautions(collected: Collected) -> list[str]:
    """What sets the records apart from one another besides what the study varies."""
    found = []
    commits = {record.environment.commit for record in collected.records}
    if len(commits) > 1:
        found.append(f"The records were made with {len(commits)} different states of the code.")
    if any(commit.endswith("+") or commit == "unknown" for commit in commits):
        found.append("Some records were made with code that is in no commit (marked + or unknown).")
    devices = {record.environment.device for record in collected.records}
    named = {record.environment.computed_on for record in collected.records if record.environment.processor}
    if max(len(devices), len(named)) > 1:
        different = sorted(devices if len(devices) > 1 else named)
        found.append(f"The records were made on different devices: {', '.join(different)}.")
    used: dict[str, dict[str, set[str]]] = {}  # tables, by the data's planned name and identity
    for result in collected.results:
        if result.record is not None:
            identities = used.setdefault(result.run.data.name, {})
            identities.setdefault(result.record.data.identity, set()).add(result.run.table)
    for different in used.values():
        if len(different) > 1:
            where = ", ".join(sorted(set().union(*different.values())))
            found.append(f"Records of {where} were made on different data ({', '.join(sorted(different))}).")
    return found
