"""Image by image: which images a model got right, and what that says about a difference between two models.

A training run keeps them in its record (`experiments.correctness`), a sweep those under each of its settings in
``answers.npz`` beside its record (`robustness.answers`).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from experiments.correctness import unpack
from experiments.kinds.natural import SCORES
from experiments.kinds.occlusion import ANSWERS
from experiments.protocols import CORRUPTIONS
from reports.analysis.statistics import ImageInterval, area_under_curve, bootstrap, normal_half_width
from reports.records.collect import Result

UNREADABLE = (  # what NumPy raises on archives that are damaged or of other arrays
    *(OSError, ValueError, TypeError, LookupError, OverflowError, EOFError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)
Values = tuple[np.ndarray, np.ndarray]  # (N,) which images, and (N,) the value of each


@dataclass(frozen=True)
class Sweep:
    """One model's answers under each setting.

    Attributes:
        images: (N,) which images, by their places in the data set.
        clean: (N,) whether each was recognised as it is.
        points: by curve, (draws, points, N): whether each was recognised then; the first point is the clean image if
            the curve begins with it.
    """

    images: np.ndarray
    clean: np.ndarray
    points: dict[str, np.ndarray]


@dataclass(frozen=True)
class Answers:
    """What a sweep's answers amount to; a mean over several curves has the tuple of their names for its key.

    Attributes:
        images: (N,) which images, by their places in the data set.
        areas: (N,) each image's area under the curve, in percent.
        half_widths: (points,) half-width of the 95 % interval over images of each point, in percent; the first point
            is the clean image if the curve begins with it.
    """

    images: np.ndarray
    areas: dict[tuple[str, ...], np.ndarray]
    half_widths: dict[tuple[str, ...], np.ndarray]


def right(result: Result) -> Values | None:
    """In percent, which validation images a trained model got right; None where the record does not say it."""
    try:
        found = unpack(result.record.right, result.metrics["val_images"])
    except (KeyError, TypeError, ValueError):
        return None
    return np.arange(len(found)), 100.0 * found


def natural(result: Result) -> Values | None:
    """In percent, which hard images of known classes a model got right; None without ``scores.npz``."""
    try:
        with np.load(result.folder / SCORES, allow_pickle=False) as file:
            correct = file["natural_correct"]
        _need_array(correct, "b", 1)
    except UNREADABLE:
        return None
    return np.arange(len(correct)), 100.0 * correct


def _need_array(array: np.ndarray, kinds: str, dimensions: int) -> None:
    """Raise `ValueError` unless an array has some values, of one of NumPy's kinds, and so many dimensions."""
    if array.dtype.kind not in kinds or array.ndim != dimensions or not array.size:
        raise ValueError(f"{array.dtype} of shape {array.shape}")


def areas(result: Result, curves: tuple[str, ...]) -> Values | None:
    """In percent, each image's area under the curve, mean over some curves; None where answers are missing."""
    found = read_answers(result)
    return None if found is None or curves not in found.areas else (found.images, found.areas[curves])


def sweep(result: Result) -> Sweep | None:
    """What a sweep keeps beside its record; None if the file is missing, or not as the run wrote it."""
    try:
        with np.load(result.folder / ANSWERS, allow_pickle=False) as file:
            keys, right, images = file["keys"], file["right"], file["indices"]
        _need_array(keys, "U", 1)
        _need_array(right, "i", 2)
        _need_array(images, "iu", 1)
        rows = dict(zip(keys.tolist(), right, strict=True))
        points = {}
        for name, curve in result.metrics["curves"].items():
            keys = [f"{name}/{severity}".replace(" ", "") for severity in curve["severities"]]
            begin = ["clean/0/0"] * curve["starts_clean"]
            draws = range(len(curve["top1"]))
            points[name] = np.array([[rows[key] for key in (*begin, *(f"{k}/{draw}" for k in keys))] for draw in draws])
        return Sweep(images, rows["clean/0/0"], points)
    except UNREADABLE:
        return None


@lru_cache(maxsize=4096)  # a table and several figures look at the same runs
def read_answers(result: Result) -> Answers | None:
    """The answers of a sweep that is done; None if they are missing, or some images were never asked about."""
    found = sweep(result)
    if found is None:
        return None
    if not all(points.shape[2:] == found.images.shape and points.min() >= 0 for points in found.points.values()):
        return None
    groups = {(name,): points.mean(0) for name, points in found.points.items()}
    if found.points.keys() >= set(CORRUPTIONS):
        groups[CORRUPTIONS] = np.mean([groups[name,] for name in CORRUPTIONS], axis=0)
    areas = {names: 100 * area_under_curve(points) for names, points in groups.items()}
    half_widths = {names: 100 * normal_half_width(points) for names, points in groups.items()}
    return Answers(found.images, areas, half_widths)


def image_difference(
    before: Sequence[Result], after: Sequence[Result], read: Callable[[Result], Values | None]
) -> ImageInterval | None:
    """Mean of ``after - before`` over images, with an interval over the images: the models are taken as given.

    Runs are paired by seed, and images with themselves; None if there is no pair, or if not all saw the same images.

    Args:
        before: runs of one method.
        after: runs of the other.
        read: a run's images (N,) and the value of each (N,), or None where they cannot be read.
    """
    others = {result.run.seed: result for result in after}
    pairs = [(read(one), read(others[one.run.seed])) for one in before if one.run.seed in others]
    found = [values for pair in pairs for values in pair]
    if not found or any(values is None or not np.array_equal(values[0], found[0][0]) for values in found):
        return None
    return bootstrap(np.mean([second[1] - first[1] for first, second in pairs], axis=0))
