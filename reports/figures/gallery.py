"""Figures of one kind, one a model, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.figures.style import LARGE, SMALL, Picture


@dataclass(frozen=True)
class Gallery:
    """Figures of one kind, one a model.

    Attributes:
        caption: what to know when reading any of them.
        lines: the figures, in lines side by side.
    """

    caption: str
    lines: tuple[tuple[Picture, ...], ...]

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        return [picture for line in self.lines for picture in line]


def small_multiples(caption: str, rows: Sequence[str], paint: Callable[[str, tuple[float, float]], Picture]) -> Gallery:
    """A gallery of `paint`'s figures of some rows, in a size that suits their number; a line for each family."""
    size = LARGE if len(rows) == 1 else SMALL
    return Gallery(caption, tuple(tuple(paint(row, size) for row in line) for line in by_family(rows)))


def by_family(rows: Sequence[str]) -> list[list[str]]:
    """Rows of the paper's table grouped by family (deit, pvt, ...); in one group if no two are of the same."""
    families: dict[str, list[str]] = {}
    for row in rows:
        families.setdefault(row.split("_")[0], []).append(row)
    return list(families.values()) if len(families) < len(rows) else [list(rows)]
