"""What the paper's Table 1 says of the rows that it has, and what people call a row."""

from __future__ import annotations

from experiments.rows import PublishedRow, in_table1, rows

__all__ = ["PublishedRow", "model_name", "table1"]


def table1() -> tuple[PublishedRow, ...]:
    """All rows of the paper's Table 1, in its order."""
    return tuple(in_table1().values())


def model_name(row: str) -> str:
    """What people call a row: the paper's name, or the row's own; a row that is no longer there keeps its key."""
    return rows()[row].title if row in rows() else row
