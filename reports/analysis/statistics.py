"""How sure a number is: intervals over seeds and over images, and what a number of seeds can show."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from transmix.common.lazy import Lazy

special = Lazy("scipy.special")  # (non-central) Student t, where there are several seeds
CONFIDENCE = 0.95
NORMAL = 1.9599639845400538  # standard deviations on either side of its mean that hold as much of the normal law
POWER = 0.8
_NORMAL_POWER = 0.8416212335729143  # standard deviations below which the normal law has that share
_RESAMPLES, _AT_ONCE = 10_000, 1000
_MOST = 2**62  # seeds
_ROUNDING = 1e-9  # relative, below 1 absolute: values that differ by less are equal, as 52.1 - 51.6 and 50.5 - 50 are


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: of the values, in their unit.
        half_width: of the 95 % t-interval of the mean; None with fewer than two values, and where all are equal: that
            shows too few values to see their spread, not an exact mean.
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

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the values (n - 1); None with fewer than two."""
        if self.half_width is None:
            return None if self.count < 2 else 0.0
        return self.half_width * math.sqrt(self.count) / t_quantile(self.count)


@dataclass(frozen=True)
class ImageInterval:
    """A mean over images, and its 95 % interval by the bootstrap; in the unit of the values."""

    mean: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """Its ends with their signs: ``+0.10 to +0.52``."""
        return f"{self.low:+.2f} to {self.high:+.2f}".replace("-", "−")


def t_quantile(count: int) -> float:
    """What a mean of `count` values may be away from zero, in standard errors, at 95 % confidence."""
    return float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2))


def mean_interval(values: Sequence[float]) -> Estimate:
    """Mean and 95 % Student t-interval of at least one value."""
    sample = np.asarray(values, dtype=float)
    if np.ptp(sample) <= _ROUNDING * max(1.0, np.abs(sample).max()):
        return Estimate(float(sample.mean()), None, len(sample))
    half_width = t_quantile(len(sample)) * float(sample.std(ddof=1)) / math.sqrt(len(sample))
    return Estimate(float(sample.mean()), half_width, len(sample))


def paired_difference(before: dict[int, float], after: dict[int, float]) -> Estimate | None:
    """Mean of ``after - before`` over the seeds that both have; None if they share none."""
    shared = sorted(before.keys() & after.keys())
    return mean_interval([after[seed] - before[seed] for seed in shared]) if shared else None


def bootstrap(values: np.ndarray) -> ImageInterval:
    """Percentile bootstrap of the mean of one value an image; paired, where the values are differences.

    Resampling equal values is drawing how often each of them comes: exact, and fast where few are distinct. The same
    values give the same interval.

    Args:
        values: (N,) of the images.
    """
    distinct, counts = np.unique(values.round(9), return_counts=True)
    rng = np.random.default_rng(0)
    shares = counts / len(values)
    drawn = (rng.multinomial(len(values), shares, _AT_ONCE) @ distinct for _ in range(_RESAMPLES // _AT_ONCE))
    means = np.concatenate(list(drawn)) / len(values)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return ImageInterval(float(values.mean()), float(low), float(high))


def area_under_curve(points: np.ndarray) -> np.ndarray:
    """Area under a curve: the mean over its points, the steps of a protocol being no distances.

    The area of the mean over images is the mean of the images' areas, so that its intervals, over images by
    `bootstrap` and over seeds by `mean_interval`, are those of means.

    Args:
        points: (points, N), each image's value at each point; or (points,).

    Returns:
        (N,) or a scalar, in the unit of the points.
    """
    return np.mean(points, axis=0)


def normal_half_width(values: np.ndarray) -> np.ndarray:
    """Half-width of the 95 % interval of a mean over hundreds of images or more, by the normal law.

    Args:
        values: (..., N) of the images.

    Returns:
        (...) in the unit of the values.
    """
    return NORMAL * values.std(-1) / math.sqrt(values.shape[-1])


def paired_power(difference: float, deviation: float, count: int) -> float:
    """How likely a two-sided paired t-test at 5 % shows a true difference with `count` seeds.

    Args:
        difference: the true mean of the differences.
        deviation: their standard deviation over seeds, above zero.
        count: seeds, two or more.
    """
    limit, shift = t_quantile(count), abs(difference) / deviation * math.sqrt(count)
    if shift > limit + 30:  # SciPy's series diverge there; the power is above 99.9 %
        return 1.0
    other_side = special.nctdtr(count - 1, shift, -limit) if shift < 5 else 0.0  # it is below 1e-6 from there on
    return float(1 - special.nctdtr(count - 1, shift, limit) + other_side)


def seeds_needed(difference: float, deviation: float) -> int:
    """The fewest seeds with which `paired_power` is 80 %, for a difference that is not zero."""
    if deviation == 0:
        return 2
    power = partial(paired_power, difference, deviation)
    # by the normal law, which takes a few seeds less than Student's: the search begins there, in doubling steps
    errors = (NORMAL + _NORMAL_POWER) * deviation / abs(difference)
    low, step = max(2, int(min(_MOST, errors * errors))), 1
    while low + step < _MOST and power(low + step) < POWER:
        step *= 2
    return bisect_left(range(_MOST), POWER, lo=low + step // 2, hi=min(_MOST, low + step), key=power)


def detectable_difference(deviation: float, count: int) -> float:
    """The smallest true difference for which `paired_power` is 80 % with `count` seeds, in the deviation's unit."""
    return deviation / math.sqrt(count) * float(special.nctdtrinc(count - 1, 1 - POWER, t_quantile(count)))


def estimate_numbers(name: str, found: Estimate | None) -> dict[str, float | None]:
    """A mean over seeds for programs: under its name, and its 95 % half-width."""
    return {name: found.mean if found else None, f"{name}_half_width_95": found.half_width if found else None}


def estimates_numbers(found: Mapping[str, Estimate | None]) -> dict[str, float | None]:
    """Several of them, by name."""
    return {key: value for name, estimate in found.items() for key, value in estimate_numbers(name, estimate).items()}


def interval_numbers(name: str, found: ImageInterval | None) -> dict[str, float | None]:
    """The ends of an interval over images for programs."""
    return {
        f"{name}_low_95_over_images": found.low if found else None,
        f"{name}_high_95_over_images": found.high if found else None,
    }
