"""The discrepancy ledger in a report: what this report's own runs hold on each entry."""

from __future__ import annotations

from typing import Any

from experiments.entries import Entry, by_value
from reports.records.collect import Collected


def used(collected: Collected, entry: Entry) -> dict[str, list[str]]:
    """The entry's settings as the TransMix runs that have a record used them, and the rows that did."""
    return by_value(entry, _trained(collected))


def _trained(collected: Collected) -> dict[str, dict[str, Any]]:
    """The settings of each row that was trained (a run's id, checked when its record is read, covers them)."""
    done = {row: collected.done("table1", row, "transmix") for row in collected.study.rows}
    return {row: results[0].run.settings for row, results in done.items() if results}
