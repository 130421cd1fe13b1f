"""What runs were estimated to cost, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from reports.analysis.words import number, plural
from reports.formats.table import Cell, Column, Source, Table
from reports.records.collect import Collected, Result
from reports.tables import Numbers, TableSpec, tables

COLUMNS = (
    Column("table", "Runs of", align="left"),
    Column("runs", "Runs"),
    Column("estimated", "Estimated, CPU min"),
    Column("took", "Took, CPU min"),
    Column("ratio", "Took / estimated"),
)
CAPTION = (
    "What make plan expected of the runs, from a rate measured on their machine before they began, and what they took: "
    "sums in CPU minutes, and the median of the runs’ ratios with the smallest and the largest. Runs that were "
    "stopped and continued are left out."
)


def _estimated(collected: Collected) -> dict[str, list[Result]]:
    """Records that hold an estimate, by table."""
    found: dict[str, list[Result]] = {}
    for result in collected.results:
        if result.record is not None and result.record.cost:
            found.setdefault(result.run.table, []).append(result)
    return found


def build(collected: Collected) -> Table:
    """A line for each table that has runs with an estimate, whose records are named once, and one for all of them."""
    found = _estimated(collected)
    if not found:
        note = (
            "No run was estimated: make plan, before the runs, measures a rate, which their records are held against."
        )
        return Table("estimates", "", COLUMNS, (), (note,))
    every = [result for results in found.values() for result in results]
    lines = [(tables()[name].label if name in tables() else name, of) for name, of in found.items()]
    rows = [_line(label, of, tuple(result.source for result in of)) for label, of in lines]
    return Table("estimates", CAPTION, COLUMNS, (*rows, _line("all", every)))


def _line(label: str, results: list[Result], sources: tuple[Source, ...] = ()) -> dict[str, Cell]:
    costs = [result.record.cost for result in results]
    ratios = [cost["cpu_seconds"] / cost["estimated"] for cost in costs]
    sums = {name: sum(cost[name] for cost in costs) / 60 for name in ("estimated", "cpu_seconds")}
    return {
        "table": Cell(label),
        "runs": Cell(plural(len(results), "run"), "measured", sources),
        "estimated": Cell(number(sums["estimated"], 1), "measured"),
        "took": Cell(number(sums["cpu_seconds"], 1), "measured"),
        "ratio": Cell(f"{number(median(ratios))} ({number(min(ratios))} to {number(max(ratios))})", "measured"),
    }


def numbers(collected: Collected) -> Numbers:
    """A line for each run, in CPU seconds."""
    return [line for results in _estimated(collected).values() for line in _numbers(results)]


def _numbers(results: list[Result]) -> Iterator[dict[str, Any]]:
    for result in results:
        cost = result.record.cost
        yield {"run": result.run.name, "id": result.run.id, "kind": result.run.kind, **cost}


TABLE = TableSpec(label="Estimates", title="What runs cost", build=build, numbers=numbers, position=91)
