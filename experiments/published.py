"""What is published: the paper's Table 1, and ways to mix in whatever source; and what people call a row."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.rows import PublishedRow, in_table1, rows
from transmix.methods import methods

__all__ = ["PublishedMix", "PublishedRow", "mixes", "mixes_of", "model_name", "table1"]
MIXES = Path(__file__).parent / "published" / "mix_methods.csv"


def table1() -> tuple[PublishedRow, ...]:
    """All rows of the paper's Table 1, in its order."""
    return tuple(in_table1().values())


def model_name(row: str) -> str:
    """What people call a row: the paper's name, or the row's own; a row that is no longer there keeps its key."""
    return rows()[row].title if row in rows() else row


@dataclass(frozen=True)
class PublishedMix:
    """What a source says of a way to mix, as text: printed exactly as the source prints it.

    Attributes:
        method: what the source calls it.
        dataset: ``ImageNet-1k``, ``CIFAR-100 at 224 px``, ...
        model: ``DeiT-S``, ...
        epochs: of training; empty where the source does not say.
        top1: in percent.
        alpha: of the Beta distribution that lambda is drawn from; two for Mixup and CutMix; empty where not said.
        source: repository, commit and file, or page.
        note: what else there is to know.
    """

    method: str
    dataset: str
    model: str
    epochs: str
    top1: str
    alpha: str
    source: str
    note: str


@cache
def mixes() -> tuple[PublishedMix, ...]:
    """Published top-1 of ways to mix, ours and others."""
    with open(MIXES, encoding="utf-8", newline="") as file:
        return tuple(PublishedMix(**line) for line in csv.DictReader(file))


def mixes_of(method: str) -> tuple[PublishedMix, ...]:
    """Those of one of our methods, under the names that its declaration lists."""
    return tuple(found for found in mixes() if found.method in methods()[method].published)
