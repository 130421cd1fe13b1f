"""What is published of ways to mix, in whatever source. (The paper's Table 1 is with `experiments.rows`.)"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from transmix.methods import methods

MIXES = Path(__file__).parent / "published" / "mix_methods.csv"


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
