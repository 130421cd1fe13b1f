"""The cells of a study's grid: what was trained in each, and how far labels were from the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from experiments.grid import Cell
from experiments.rows import model_name
from reports.analysis.arms import Arm, Comparison, arm_of
from reports.analysis.names import TRANSMIX, method_title
from reports.analysis.statistics import Estimate, paired_difference
from reports.analysis.words import plural
from reports.formats.table import Source
from reports.records.collect import Collected

REFERENCE, CEILING = "cutmix", "oracle"  # what labels by area are called here, and what no label rule can pass


@dataclass(frozen=True)
class CellRow:
    """A row of the study in a cell of its grid.

    Attributes:
        row: its key, ``deit_t``.
        cell: size of the objects and length of the training.
        arms: its runs by method, those of Table 7, too.
    """

    row: str
    cell: Cell
    arms: dict[str, Arm]

    @property
    def name(self) -> str:
        """For people: ``DeiT-T, small objects, 60 epochs``."""
        return f"{model_name(self.row)}, {self.cell.size} objects, {plural(self.cell.epochs, 'epoch')}"

    @cached_property
    def gains(self) -> dict[str, Comparison]:
        """Every other method compared with CutMix, seed by seed."""
        return self.over(REFERENCE)

    def over(self, reference: str) -> dict[str, Comparison]:
        """Every other method compared with one of them."""
        return {
            name: Comparison(self.arms[reference], arm, f"With {method_title(name)} the top-1 is {{}} here")
            for name, arm in self.arms.items()
            if name != reference
        }

    @property
    def share(self) -> float | None:
        """What TransMix gains, as a share of what the true labels gain, over the seeds that both and CutMix have.

        None unless the interval of the ceiling over these seeds lies above zero: a share of nothing says nothing.
        """
        if self.share_lack:
            return None
        ours, ceiling = self._over_shared_seeds
        return ours.mean / ceiling.mean

    @property
    def share_lack(self) -> str:
        """Why there is no share; empty where there is one."""
        lack = next((pair.status for name in (CEILING, TRANSMIX) if (pair := self.gains[name]).gain is None), "")
        if lack or self._over_shared_seeds is None:
            return lack or "not paired"
        return "" if self._over_shared_seeds[1].low > 0 else "no ceiling shown"

    @property
    def share_sources(self) -> tuple[Source, ...]:
        """The records behind the share."""
        arms = (self.arms[name] for name in (REFERENCE, TRANSMIX, CEILING))
        return tuple(source for arm in arms for source in arm.sources if source.seed in self._shared_seeds)

    @cached_property
    def _shared_seeds(self) -> set[int]:
        return set.intersection(*(set(self.arms[name].by_seed) for name in (REFERENCE, TRANSMIX, CEILING)))

    @cached_property
    def _over_shared_seeds(self) -> tuple[Estimate, Estimate] | None:
        """What TransMix and the true labels gain over the seeds of a share; None without one."""
        before, *others = (self.arms[name].by_seed for name in (REFERENCE, TRANSMIX, CEILING))
        paired = {seed: before[seed] for seed in self._shared_seeds}
        return tuple(paired_difference(paired, after) for after in others) if paired else None

    def label_errors(self, method: str) -> LabelErrors | None:
        """How far a method's labels were from the truth in training; None where no record says.

        Of records that say it of every epoch: one in which no image was mixed by CutMix has no error.
        """
        histories = [result.record.history for result in self.arms[method].results]
        kept = [history for history in histories if history and all("lambda_error" in epoch for epoch in history)]
        if not kept:
            return None
        found = {
            which: np.array([[epoch["lambda_error"][which] for epoch in history] for history in kept])
            for which in ("label", "area")
        }
        return LabelErrors(**found)


@dataclass(frozen=True)
class LabelErrors:
    """Mean absolute error of lambda against the share of the objects' visible pixels, over CutMix images in training.

    Attributes:
        label: (seeds, epochs) of the labels that were used.
        area: (seeds, epochs) of the area, for the same images.
    """

    label: np.ndarray
    area: np.ndarray

    @property
    def overtakes(self) -> int | None:
        """The first epoch (from 1) from which on labels are nearer to the truth than the area, on the mean of seeds."""
        nearer = self.label.mean(0) < self.area.mean(0)
        behind = np.flatnonzero(~nearer)
        first = behind[-1] + 1 if len(behind) else 0
        return int(first) + 1 if first < len(nearer) else None


def cell_rows(collected: Collected) -> list[CellRow]:
    """Every row and cell that the study plans, the grid's own row first."""
    return list(_cell_rows(collected))


def _cell_rows(collected: Collected) -> Iterator[CellRow]:
    study = collected.study
    if study.grid is None:
        return
    for row in sorted(study.rows, key=lambda row: row != study.grid.row):
        for cell in study.grid.cells.values():
            methods = study.trained_in(row, cell)
            if methods:
                yield CellRow(row, cell, {name: _arm(collected, row, name, cell) for name in methods})


def _arm(collected: Collected, row: str, method: str, cell: Cell) -> Arm:
    table = collected.study.table_in(row, method, cell)
    return arm_of(collected, table, row, method, "" if table == "table1" else cell.name)
