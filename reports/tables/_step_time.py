"""What a step by TransMix takes beside CutMix's, as claim (d) tells it: from a full bench, model by model."""

from __future__ import annotations

from typing import Any

from reports.analysis.verdicts import NOT_TESTED, Verdict
from reports.analysis.words import number
from reports.records.bench import Bench, read_bench
from reports.records.collect import Collected

HOW = "time: make bench"


def measured(collected: Collected) -> tuple[Bench | None, str]:
    """The full bench in the study's folder of results, if it timed steps; and a line on one that is not used."""
    bench, problem = read_bench(collected.study.results)
    if bench is not None and bench.quick:
        return None, "The bench kept here is a quick one, which measures nothing: make bench times a step."
    return (bench if bench is not None and bench.steps else None), problem


def kept(step: dict[str, Any]) -> bool:
    """Whether no round of a step's time went beyond its goal."""
    most = step["value"] if step["high"] is None else step["high"]
    return step["goal"] is not None and most <= step["goal"]


def verdict_text(verdict: Verdict, bench: Bench | None) -> str:
    """The verdict on claim (d): parameters from records, time from a bench; each says what it is of."""
    if verdict.word == NOT_TESTED:
        return verdict.word
    text = f"{verdict.word} of parameters" + (f" ({verdict.so_far})" if verdict.so_far else "")
    if bench is None:
        return text
    time = "" if all(map(kept, bench.steps)) else "not "
    return f"{text}; {time}shown of time ({', '.join(step['where'] for step in bench.steps)})"


def effect_text(bench: Bench) -> str:
    """``time × 0.965 (0.909 to 1.110 over rounds)``; of several models the ends alone, with the rounds in the notes."""
    if len(bench.steps) == 1:
        return f"time {_time(bench.steps[0])}"
    values = sorted(step["value"] for step in bench.steps)
    return f"time × {number(values[0], 3)} to × {number(values[-1], 3)}"


def notes(bench: Bench) -> list[str]:
    """A line for each model."""
    return [
        f"(d) {step['where']}, on {bench.where}: a step takes {_time(step)} of CutMix’s"
        + (", without a goal." if step["goal"] is None else f"; goal: at most {step['goal']:g}.")
        for step in bench.steps
    ]


def _time(step: dict[str, Any]) -> str:
    ends = "" if step["low"] is None else f" ({number(step['low'], 3)} to {number(step['high'], 3)} over rounds)"
    return f"× {number(step['value'], 3)}{ends}"


def numbers(bench: Bench) -> list[dict[str, Any]]:
    """For programs, a line for each model."""
    return [
        {
            "unit": "of a CutMix step’s time",
            "of": step["where"],
            "effect": step["value"],
            "lowest_round": step["low"],
            "highest_round": step["high"],
            "verdict": f"{'' if kept(step) else 'not '}shown of time",
            "records": f"bench.json of {bench.where}, code {bench.commit}",
        }
        for step in bench.steps
    ]
