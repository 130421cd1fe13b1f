"""How sure a number is: intervals over seeds, and the error of one accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # Student's t quantile; scipy.stats would take a second to import

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: of the values, in their unit.
        half_width: of the 95 % t-interval of the mean; None with fewer than two values.
        count: number of values.
    """

    mean: float
    half_width: float | None
    count: int

    @property
    def low(self) -> float:
        """Lower end of the interval; minus infinity where there is none."""
        return -math.inf if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval; infinity where there is none."""
        return math.inf if self.half_width is None else self.mean + self.half_width


def mean_interval(values: Sequence[float]) -> Estimate:
    """Mean and 95 % Student t-interval of at least one value."""
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2:
        return Estimate(float(sample.mean()), None, len(sample))
    quantile = float(stdtrit(len(sample) - 1, (1 + CONFIDENCE) / 2))
    half_width = quantile * float(sample.std(ddof=1)) / math.sqrt(len(sample))
    return Estimate(float(sample.mean()), half_width, len(sample))


def paired_difference(before: dict[int, float], after: dict[int, float]) -> Estimate | None:
    """Mean of ``after - before`` over the seeds that both have; None if they share none."""
    shared = sorted(before.keys() & after.keys())
    return mean_interval([after[seed] - before[seed] for seed in shared]) if shared else None


def binomial_standard_error(percent: float, images: int) -> float:
    """Standard error, in points, of an accuracy in percent that was counted on `images` images."""
    share = percent / 100
    return 100 * math.sqrt(share * (1 - share) / images)
