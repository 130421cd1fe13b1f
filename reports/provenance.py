"""How each number is made again: the records behind a report."""

from __future__ import annotations

from dataclasses import dataclass

from reports.collect import Collected, Result

COMMIT_DIGITS = 10


@dataclass(frozen=True)
class Entry:
    """One planned run, as the list of records shows it. Without a record, only the first four are known.

    Attributes:
        id: of the run; its folder's name.
        command: makes the record (again).
        status: ``done``, ``not run`` or ``unreadable``.
        seed: of every random draw.
        device: what it ran on, and with how many processes if more than one.
        commit: shortened; with ``+`` where the code had been changed since.
        wall: time that it took, e.g. ``12 min 05 s``.
        date: of its start, UTC.
    """

    id: str
    command: str
    status: str
    seed: int
    device: str = ""
    commit: str = ""
    wall: str = ""
    date: str = ""


def entries(collected: Collected) -> list[Entry]:
    """Every planned run, in the order of the plan."""
    return [_entry(result) for result in collected.results]


def _entry(result: Result) -> Entry:
    run, record = result.run, result.record
    if record is None:
        command = f"{run.command} --restart" if result.problem else run.command
        return Entry(run.id, command, result.status, run.seed)
    environment = record["environment"]
    processes = environment["processes"]
    commit = environment["commit"]
    return Entry(
        id=run.id,
        command=run.command,
        status=result.status,
        seed=run.seed,
        device=environment["device"] + (f" × {processes}" if processes > 1 else ""),
        commit=commit.rstrip("+")[:COMMIT_DIGITS] + ("+" if commit.endswith("+") else ""),
        wall=duration(record["wall_seconds"]),
        date=record["started"][:10],
    )


def duration(seconds: float) -> str:
    """A wall time for people: ``8.4 s``, ``12 min 05 s``, ``3 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def cautions(collected: Collected) -> list[str]:
    """What sets the records apart from one another besides what the study varies."""
    found = []
    commits = {record["environment"]["commit"] for record in collected.records}
    if len(commits) > 1:
        found.append(f"The records were made with {len(commits)} different states of the code.")
    if any(commit.endswith("+") or commit == "unknown" for commit in commits):
        found.append("Some records were made with code that is in no commit (marked + or unknown).")
    devices = {record["environment"]["device"] for record in collected.records}
    if len(devices) > 1:
        found.append(f"The records were made on different devices: {', '.join(sorted(devices))}.")
    prints: dict[tuple[str, ...], set[str]] = {}
    for result in collected.results:
        if result.record is not None:
            run, data = result.run, result.record["data"]
            group = (run.table, data["name"]) if run.part else ()  # fine-tuning has data of its own
            prints.setdefault(group, set()).add(data["fingerprint"])
    for different in prints.values():
        if len(different) > 1:
            found.append(f"The records were made on different data (fingerprints {', '.join(sorted(different))}).")
    return found
