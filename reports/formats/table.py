"""A table before it has a format: columns in groups, and cells that know where their numbers come from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import groupby, takewhile

NOT_RUN = "not run"
NOT_PLANNED = "not in this study"
UNREADABLE = "unreadable"
NOT_RECORDED = "not recorded"
NOT_IN_SLIDES = "not in the slides"

PUBLISHED = "published (slides)"
MEASURED = "measured here"
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


@dataclass(frozen=True)
class Source:
    """The record behind a number.

    Attributes:
        id: of the run.
        seed: of the run.
        set: the set of published runs that it is in; empty for a record of this study.
    """

    id: str
    seed: int
    set: str = ""


@dataclass(frozen=True)
class Cell:
    """What a place of a table says.

    Attributes:
        text: as shown.
        kind: ``label``, ``published``, ``measured`` or ``missing``.
        sources: records of this study, or published ones, that a number is computed from.
        links: show links to them; the numbers beside it often come from the same.
        leads_to: a table of the page whose section the text is a link to; empty for none.
    """

    text: str
    kind: str = "label"
    sources: tuple[Source, ...] = ()
    links: bool = False
    leads_to: str = ""

    @property
    def value(self) -> float | None:
        """The number that the text begins with, to sort by; None where it begins with none."""
        found = _NUMBER.match(self.text.replace("−", "-").replace(",", ""))
        return float(found.group()) if found else None


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        key: of its cells in a row.
        title: its heading, unit included.
        group: heading over several columns; empty for none.
        align: ``left`` or ``right``.
        folded: whether the page shows it only when it is asked to.
    """

    key: str
    title: str
    group: str = ""
    align: str = "right"
    folded: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        name: file name and HTML id.
        caption: what is shown, in one or two sentences.
        columns: from left to right.
        rows: a cell for every column's key.
        notes: sentences below the table.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Cell], ...]
    notes: tuple[str, ...] = ()

    @property
    def blocks(self) -> list[list[dict[str, Cell]]]:
        """The rows, those together that are about the same; sorting moves such a block as a whole."""
        blocks: list[list[dict[str, Cell]]] = []
        for row in self.rows:
            if blocks and self.continues(blocks[-1][-1], row):
                blocks[-1].append(row)
            else:
                blocks.append([row])
        return blocks

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Column groups from left to right, and how many columns each spans."""
        return [(title, len(list(columns))) for title, columns in groupby(self.columns, lambda column: column.group)]

    @property
    def folded(self) -> list[str]:
        """The groups whose columns the page folds; such a group is folded as a whole."""
        return list(dict.fromkeys(column.group for column in self.columns if column.folded))

    def merged(self, row: dict[str, Cell]) -> list[tuple[Column, Cell, int]]:
        """The cells of a row with their spans; equal missing cells side by side in a group are one."""
        merged: list[tuple[Column, Cell, int]] = []
        for column in self.columns:
            cell = row[column.key]
            if merged and cell.kind == "missing" and merged[-1][1] == cell and merged[-1][0].group == column.group:
                first, _, span = merged[-1]
                merged[-1] = (first, cell, span + 1)
            else:
                merged.append((column, cell, 1))
        return merged

    def continues(self, above: dict[str, Cell], row: dict[str, Cell]) -> bool:
        """Whether a row is about the same as the one above: the same in all names on the left but the last."""
        left = [column.key for column in takewhile(lambda column: column.align == "left", self.columns)]
        return len(left) > 1 and all(above[key] == row[key] for key in left[:-1])

    def without(self, *keys: str) -> Table:
        """The same table without some columns."""
        return replace(self, columns=tuple(column for column in self.columns if column.key not in keys))


def missing(status: str) -> Cell:
    """The cell of a number that there is no record for: `NOT_RUN`, `UNREADABLE`, `NOT_PLANNED` or `NOT_RECORDED`."""
    return Cell(status, "missing")
