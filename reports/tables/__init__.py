"""The tables of a report, one file each, found by its name: there is no list to edit.

A file's docstring begins with what `make help` says of it. Its ``TABLE`` declares the rest; the page, Markdown, LaTeX,
CSV and the terminal show every table that is found, also those of ``PLUGINS`` (`transmix.common.plugins`). Modules
whose names begin with an underscore hold what several tables share.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from experiments.cards import Card
from reports.formats.table import Table
from reports.records.collect import Collected
from transmix.common.plugins import modules

Numbers = list[dict[str, Any]]  # lines of a CSV file, all with the same keys


@dataclass(frozen=True)
class Cards:
    """Texts about what a table compares, each folded.

    Attributes:
        heading: over all of them.
        items: the texts.
    """

    heading: str
    items: tuple[Card, ...]
    kind = "cards"
    pictures = ()


@dataclass(frozen=True)
class Shown:
    """What a table's section shows below it.

    Attributes:
        blocks: in that order: `reports.figures.style.Panel`, `reports.figures.run_images.Album`,
            `reports.figures.examples.Examples` or `Cards`.
        problems: a line for every file beside a record that cannot be read.
    """

    blocks: tuple[Any, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSpec:
    """What is declared of a table.

    Attributes:
        label: what lists call it: ``Table 1``.
        title: the heading of its section.
        build: it for people; a table without rows is not written, and only its notes are shown.
        numbers: it for programs, unrounded.
        position: tables are shown in this order, then by name.
        text: a paragraph above the table; empty for none.
        figures: what the section shows below it.
        files: further CSV files, by name without suffix.
        details: columns that the terminal leaves out after a whole report, and first where it is narrow.
        name: of its make target, its files and its runs: the module's, without an underscore at its end; filled in
            when it is found.
        help: the first line of the module's docstring; filled in when it is found.
    """

    label: str
    title: str
    build: Callable[[Collected], Table]
    numbers: Callable[[Collected], Numbers]
    position: int = 100
    text: Callable[[Collected], str] = lambda collected: ""
    figures: Callable[[Collected], Shown] = lambda collected: Shown()
    files: dict[str, Callable[[Collected], Numbers]] = field(default_factory=dict)
    details: tuple[str, ...] = ()
    name: str = ""
    help: str = ""


@cache
def tables() -> dict[str, TableSpec]:
    """Every table by name, in the order in which they are shown."""
    found = []
    for module in modules(sys.modules[__name__], "TABLE"):
        name = module.__name__.rpartition(".")[2].rstrip("_")
        found.append(replace(module.TABLE, name=name, help=(module.__doc__ or "").strip().partition("\n")[0]))
    return {table.name: table for table in sorted(found, key=lambda table: (table.position, table.name))}
