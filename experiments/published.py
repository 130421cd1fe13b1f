"""Published numbers, read from ``published/`` and printed exactly as their source prints them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "published"


@dataclass(frozen=True)
class PublishedRow:
    """One row of the paper's Table 1 (ImageNet-1k), as text.

    Attributes:
        row: our key, e.g. ``deit_t``.
        model: its name in the paper.
        params: millions of parameters.
        flops: giga-FLOPs.
        baseline: top-1 in percent without TransMix.
        transmix: top-1 in percent with it.
        source: where the numbers were read.
    """

    row: str
    model: str
    params: str
    flops: str
    baseline: str
    transmix: str
    source: str

    @property
    def gain(self) -> float:
        """Published difference in points, to the published digit."""
        return round(float(self.transmix) - float(self.baseline), 1)


@cache
def table1() -> tuple[PublishedRow, ...]:
    """All rows of the paper's Table 1, in its order."""
    with open(FOLDER / "table1_imagenet.csv", encoding="utf-8", newline="") as file:
        return tuple(
            PublishedRow(
                row=line["row"],
                model=line["model"],
                params=line["params_m"],
                flops=line["flops_g"],
                baseline=line["top1_baseline"],
                transmix=line["top1_transmix"],
                source=line["source"],
            )
            for line in csv.DictReader(file)
        )


def model_name(row: str) -> str:
    """The paper's name of a row."""
    return next(published.model for published in table1() if published.row == row)
