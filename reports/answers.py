"""Image by image: which images a model got right under each setting of a sweep, and what that says about a difference.

A run keeps its answers in ``answers.npz`` beside its record (`robustness.answers`).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from experiments.protocols import CORRUPTIONS
from reports.collect import Result
from reports.statistics import CONFIDENCE
from reports.words import number

FILE = "answers.npz"
UNREADABLE = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error)
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Answers:
    """What one model's answers amount to; a mean over several curves has the tuple of their names for its key.

    Attributes:
        images: (N,) which images, by their places in the data set.
        areas: (N,) each image's area under the curve, in percent.
        errors: (points,) standard error over images of each point, in percent; the first point is the clean image if
            the curve begins with it.
    """

    images: np.ndarray
    areas: dict[tuple[str, ...], np.ndarray]
    errors: dict[tuple[str, ...], np.ndarray]


@dataclass(frozen=True)
class ImageInterval:
    """A 95 % interval of a mean over images, by the bootstrap; in the unit of the values."""

    mean: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """``+0.10 to +0.52``."""
        return f"{number(self.low, sign=True)} to {number(self.high, sign=True)}"


@lru_cache(maxsize=4096)  # a table and several figures look at the same runs
def read_answers(result: Result) -> Answers | None:
    """The answers of a run that is done; None if the file is missing, or not as the run wrote it."""
    try:
        with np.load(result.run.folder / FILE, allow_pickle=False) as file:
            rows = dict(zip(file["keys"].tolist(), file["right"].astype(float), strict=True))
            images = file["indices"]
        curves = {name: _points(rows, name, curve) for name, curve in result.metrics["curves"].items()}
    except UNREADABLE:
        return None
    if not all(points.shape[1:] == images.shape and points.min() >= 0 for points in curves.values()):
        return None
    groups = {(name,): points for name, points in curves.items()}
    if curves.keys() >= set(CORRUPTIONS):
        groups[CORRUPTIONS] = np.mean([curves[name] for name in CORRUPTIONS], axis=0)
    areas = {names: 100 * points.mean(0) for names, points in groups.items()}
    errors = {names: 100 * points.std(1) / np.sqrt(points.shape[1]) for names, points in groups.items()}
    return Answers(images, areas, errors)


def _points(rows: dict[str, np.ndarray], name: str, curve: dict) -> np.ndarray:
    """(points, N): how often each image was recognised, as a share of the draws."""
    draws = range(len(curve["top1"]))
    keys = [f"{name}/{severity}/".replace(" ", "") for severity in curve["severities"]]
    points = [sum(rows[f"{key}{draw}"] for draw in draws) / len(draws) for key in keys]
    return np.array([rows["clean/0/0"]] * curve["starts_clean"] + points)


def area_difference(before: list[Result], after: list[Result], curves: tuple[str, ...]) -> ImageInterval | None:
    """Area under the curve, `after` minus `before`, in points."""

    def read(result: Result) -> tuple[np.ndarray, np.ndarray] | None:
        answers = read_answers(result)
        return None if answers is None else (answers.images, answers.areas[curves])

    return image_difference(before, after, read)


def image_difference(
    before: list[Result], after: list[Result], read: Callable[[Result], tuple[np.ndarray, np.ndarray] | None]
) -> ImageInterval | None:
    """Mean of ``after - before`` over images, with an interval over the images: the models are taken as given.

    Runs are paired by seed, and images with themselves; None if there is no pair, or one of different images.

    Args:
        before: runs of one method.
        after: runs of the other.
        read: a run's images (N,) and the value of each (N,), or None where they cannot be read.
    """
    gains = []
    for one, other in ((one, other) for one in before for other in after if one.run.seed == other.run.seed):
        first, second = read(one), read(other)
        if first is None or second is None or not np.array_equal(first[0], second[0]):
            return None
        gains.append(second[1] - first[1])
    return bootstrap(np.mean(gains, axis=0)) if gains and len({len(gain) for gain in gains}) == 1 else None


def bootstrap(values: np.ndarray) -> ImageInterval:
    """Percentile bootstrap of the mean of one value an image.

    Resampling equal values is drawing how often each of them comes: exact, and fast where few are distinct.
    """
    distinct, counts = np.unique(values, return_counts=True)
    rng = np.random.default_rng(0)
    means = rng.multinomial(len(values), counts / len(values), _RESAMPLES) @ distinct / len(values)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return ImageInterval(float(values.mean()), float(low), float(high))
