"""The record that ``make bench`` leaves: what work takes beside its peers, on which machine, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.records.record import is_count, is_number
from reports.records import collect

NAME = "bench.json"  # in the folder of all results
FORMAT = 1
STEP_TIME = "TransMix step / CutMix step, time"
_TEXTS, _NUMBERS = ("name", "where", "unit"), ("low", "high", "goal")


@dataclass(frozen=True)
class Bench:
    """A bench that was run.

    Attributes:
        date: UTC, ISO 8601.
        commit: of the code, with ``+`` where it was changed since.
        device: name of the processor, or of the accelerator.
        cores: of the machine.
        quick: whether it was a small one, which shows that it runs and measures nothing.
        rows: its lines, as `benchmarks.rows.Row` has them.
    """

    date: str
    commit: str
    device: str
    cores: int
    quick: bool
    rows: tuple[dict[str, Any], ...]

    @property
    def where(self) -> str:
        """Machine and day, for people."""
        return f"{self.device}, {self.cores} cores, {self.date[:10]}"

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The lines of a TransMix step's time, one for each model that was measured."""
        return [row for row in self.rows if row["name"] == STEP_TIME]


def goal_verdict(value: float, low: float | None, high: float | None, goal: float | None, most: bool) -> str:
    """``met``, or ``missed``; empty without a goal. Rounds on both sides of a goal miss nothing yet: ``near``.

    Args:
        value: median over rounds.
        low: the smallest of the rounds; None where there is one.
        high: the largest.
        goal: what the value should be at most, or at least.
        most: whether it is at most.
    """
    if goal is None:
        return ""
    if value <= goal if most else value >= goal:
        return "met"
    best = low if most else high
    near = best is not None and (best <= goal if most else best >= goal)
    return "near" if near else "missed"


def read_bench(results: Path) -> tuple[Bench | None, str]:
    """The bench kept in a folder of results; None where there is none, with a line on what is wrong with it."""
    path = results / NAME
    if not path.is_file():
        return None, ""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}, this version reads {FORMAT}")
        for row in content["rows"]:
            _check(row)
        texts = [content[name] for name in ("date", "commit", "device")]
        if not all(isinstance(text, str) for text in texts) or not is_count(content["cores"]):
            raise ValueError("date, commit, device or cores")
        if not isinstance(content["quick"], bool):
            raise ValueError("quick")
        return Bench(*texts, content["cores"], content["quick"], tuple(content["rows"])), ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        return None, f"{path} is not as make bench writes it ({reason}): run make bench again"


def published_bench() -> Bench | None:
    """The bench that was published with the suite's own runs; None where there is none."""
    return read_bench(collect.PUBLISHED_RUNS)[0]


def _check(row: dict[str, Any]) -> None:
    texts = all(isinstance(row[name], str) for name in _TEXTS)
    numbers = is_number(row["value"]) and all(row[name] is None or is_number(row[name]) for name in _NUMBERS)
    ends = (row["low"] is None) == (row["high"] is None)
    if not (texts and numbers and ends and isinstance(row["most"], bool)):
        raise ValueError("unexpected value in rows")
