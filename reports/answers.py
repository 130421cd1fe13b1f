"""Image by image: which images a model got right, and what that says about a difference between two models.

A training run keeps them in its record (`experiments.correctness`), a sweep those under each of its settings in
``answers.npz`` beside its record (`robustness.answers`).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.correctness import unpack
from reports.collect import Result
from reports.statistics import ImageInterval, area_under_curve, bootstrap

FILE = "answers.npz"
UNREADABLE = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error)
Values = tuple[np.ndarray, np.ndarray]  # (N,) which images, and (N,) the value of each


@dataclass(frozen=True)
class Answers:
    """One model's answers.

    Attributes:
        images: (N,) which images, by their places in the data set.
        curves: for each curve (points, N): how often each image was recognised, as a share of the draws; the first
            point is the clean image if the curve begins with it.
    """

    images: np.ndarray
    curves: dict[str, np.ndarray]

    def areas(self, curves: tuple[str, ...]) -> np.ndarray:
        """(N,) in percent: each image's area under the curve, mean over some curves."""
        return 100 * np.mean([area_under_curve(self.curves[curve]) for curve in curves], axis=0)


def read_right(result: Result) -> Values | None:
    """In percent, which validation images a trained model got right; None in a record of before that was kept."""
    if "right" not in result.record:
        return None
    right = unpack(result.record["right"], result.metrics["val_images"])
    return np.arange(len(right)), 100.0 * right


def read_answers(result: Result) -> Answers | None:
    """The answers of a run that is done; None if the file is missing, or not as the run wrote it."""
    try:
        with np.load(result.run.folder / FILE, allow_pickle=False) as file:
            rows = dict(zip(file["keys"].tolist(), file["right"], strict=True))
            images = file["indices"]
        curves = {name: _points(rows, name, curve) for name, curve in result.metrics["curves"].items()}
    except UNREADABLE:
        return None
    whole = all(points.shape[1:] == images.shape and points.min() >= 0 for points in curves.values())
    return Answers(images, curves) if whole else None


def _points(rows: dict[str, np.ndarray], name: str, curve: dict) -> np.ndarray:
    draws = range(len(curve["top1"]))
    keys = [f"{name}/{severity}/".replace(" ", "") for severity in curve["severities"]]
    points = [np.mean([rows[f"{key}{draw}"] for draw in draws], axis=0) for key in keys]
    return np.array([rows["clean/0/0"]] * curve["starts_clean"] + points)


def read_areas(result: Result, curves: tuple[str, ...]) -> Values | None:
    """In percent, each image's area under the curve, mean over some curves; None where answers are missing."""
    answers = read_answers(result)
    if answers is None or not answers.curves.keys() >= set(curves):
        return None
    return answers.images, answers.areas(curves)


def image_difference(
    before: Sequence[Result], after: Sequence[Result], read: Callable[[Result], Values | None]
) -> ImageInterval | None:
    """Mean of ``after - before`` over images, with an interval over the images: the models are taken as given.

    Runs are paired by seed, and images with themselves; None if there is no pair, or one of different images.

    Args:
        before: runs of one method.
        after: runs of the other.
        read: a run's images (N,) and the value of each (N,), or None where they cannot be read.
    """
    others = {result.run.seed: result for result in after}
    gains = []
    for one in before:
        if one.run.seed in others:
            first, second = read(one), read(others[one.run.seed])
            if first is None or second is None or not np.array_equal(first[0], second[0]):
                return None
            gains.append(second[1] - first[1])
    return bootstrap(np.mean(gains, axis=0)) if gains and len({len(gain) for gain in gains}) == 1 else None
