"""Where labels by attention pay: the same model trained on objects of several sizes, for several lengths of time.

Every cell of a grid is a data set and a schedule of its own. Its methods differ in their labels only: all of them mix
by CutMix alone, but for `baseline`, which keeps Mixup. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WITH_MIXUP = ("baseline",)  # methods that keep it: what they are is both


@dataclass(frozen=True)
class Cell:
    """One size of objects and one length of training.

    Attributes:
        size: what the size is called: ``small``.
        shares: smallest and largest share of an image that its object covers.
        epochs: of the schedule, which is warmed up for a twentieth of them.
    """

    size: str
    shares: tuple[float, float]
    epochs: int

    @property
    def name(self) -> str:
        """The `part` of its runs' names: ``small-60``."""
        return f"{self.size}-{self.epochs}"

    def settings(self, method: str) -> dict[str, Any]:
        """What a recipe changes to in this cell; only resident images have the masks that the true labels need."""
        shared = {"epochs": self.epochs, "warmup_epochs": max(1, self.epochs // 20), "resident": True}
        return shared if method in WITH_MIXUP else shared | {"mixup_alpha": 0.0}


@dataclass(frozen=True)
class Grid:
    """All cells, and what is trained in each.

    Attributes:
        sizes: shares of an image that its object covers, by what that size is called.
        lengths: epochs.
        methods: by which `row` is trained in every cell.
        row: the row of Table 1 that is trained.
        more: further methods of a cell, by its name.
        other_rows: further rows that are trained in a cell, by `methods`, by its name.
        home: the cell of Table 7, where methods are taken apart.
    """

    sizes: dict[str, tuple[float, float]]
    lengths: tuple[int, ...]
    methods: tuple[str, ...]
    row: str
    home: str
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)
    other_rows: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def cells(self) -> dict[str, Cell]:
        """Every cell by its name, sizes by sizes."""
        made = (Cell(size, shares, epochs) for size, shares in self.sizes.items() for epochs in self.lengths)
        return {cell.name: cell for cell in made}

    def trained(self, row: str, cell: Cell) -> tuple[str, ...]:
        """The methods by which a row is trained in a cell."""
        if row == self.row:
            return (*self.methods, *self.more.get(cell.name, ()))
        return self.methods if row in self.other_rows.get(cell.name, ()) else ()
