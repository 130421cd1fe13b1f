"""What work takes beside its peers, as the last make bench measured it."""

from __future__ import annotations

from typing import Any

from reports.analysis.words import number
from reports.formats.table import Cell, Column, Table
from reports.records.bench import goal_verdict, published_bench, read_bench
from reports.records.collect import Collected
from reports.tables import Numbers, TableSpec

COLUMNS = (
    Column("name", "What", align="left"),
    Column("where", "On", align="left"),
    Column("value", "Measured"),
    Column("rounds", "Rounds"),
    Column("goal", "Goal"),
    Column("verdict", "Verdict", align="left"),
)
CAPTION = (
    "Ratios and rates that make bench measured: {where}, code {commit}. Contenders take turns; on a CPU times are CPU "
    "seconds. Median over rounds (of the training loop all together), and their ends. A goal is met by that value; "
    "near, if rounds lie on both sides of it."
)
_JUDGED = ("value", "low", "high", "goal", "most")
QUICK = "A quick bench, which shows that its parts run: no measurement."


def build(collected: Collected) -> Table:
    """A line for each ratio or rate; without a bench, the published one, and how to run one's own."""
    bench, problem = read_bench(collected.study.results)
    kind, notes = "measured", ()
    if bench is None:
        bench, kind = published_bench(), "published"
        notes = (
            problem
            or "No bench has been run here: make bench measures it in a quarter of an hour, and keeps a record.",
        )
    if bench is None:
        return Table("speed", "", COLUMNS, (), notes)
    caption = CAPTION.format(where=bench.where, commit=bench.commit[:7])
    caption = f"{QUICK} {caption}" if bench.quick else caption
    caption = caption if kind == "measured" else f"Published with this suite. {caption}"
    return Table("speed", caption, COLUMNS, tuple(_cells(row, kind, bench.quick) for row in bench.rows), notes)


def _cells(row: dict[str, Any], kind: str, quick: bool) -> dict[str, Cell]:
    ends = row["low"], row["high"]
    goal = "" if row["goal"] is None else f"{'at most' if row['most'] else 'at least'} {row['goal']:g}"
    return {
        "name": Cell(row["name"]),
        "where": Cell(row["where"]),
        "value": Cell(f"{_text(row['value'])} {row['unit']}".strip(), kind),
        "rounds": Cell("" if None in ends else " to ".join(map(_text, ends)), kind),
        "goal": Cell(goal),
        "verdict": Cell("" if quick else goal_verdict(*(row[name] for name in _JUDGED))),
    }


def _text(value: float) -> str:
    return number(value, 1 if abs(value) >= 10 else 3)


def numbers(collected: Collected) -> Numbers:
    """The same for programs, unrounded, with machine and date in each line."""
    bench, _ = read_bench(collected.study.results)
    if bench is None:
        return []
    about = {"device": bench.device, "date": bench.date, "commit": bench.commit, "quick": bench.quick}
    return [row | about for row in bench.rows]


TABLE = TableSpec(label="Speed", title="What work takes", build=build, numbers=numbers, position=90)
