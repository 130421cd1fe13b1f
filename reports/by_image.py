"""One value an image of a run, where its record or a file beside it keeps them: for intervals over images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.correctness import unpack
from reports.answers import FILE as ANSWERS
from reports.answers import UNREADABLE
from reports.collect import Result
from reports.table5 import FILE as SCORES

Values = tuple[np.ndarray, np.ndarray]  # (N,) which images, and (N,) the value of each


def right(result: Result) -> Values | None:
    """In percent, which validation images a trained model got right; None in a record without it."""
    try:
        found = unpack(result.record["right"], result.metrics["val_images"])
    except (KeyError, TypeError, ValueError):
        return None
    return np.arange(len(found)), 100.0 * found


def natural(result: Result) -> Values | None:
    """In percent, which hard images of known classes it got right; None without ``scores.npz``."""
    try:
        with np.load(result.run.folder / SCORES, allow_pickle=False) as file:
            correct = file["natural_correct"]
    except UNREADABLE:
        return None
    return np.arange(len(correct)), 100.0 * correct


def areas(result: Result, curves: tuple[str, ...]) -> Values | None:
    """In percent, each image's area under the curve, mean over some curves; None without ``answers.npz``."""
    found = sweep(result)
    if found is None or not set(curves) <= found.points.keys():
        return None
    return found.images, np.mean([100 * found.points[curve].mean((0, 1)) for curve in curves], axis=0)


@dataclass(frozen=True)
class Sweep:
    """A sweep's answers.

    Attributes:
        images: (N,) which images, by their places in the data set.
        clean: (N,) whether each was recognised as it is.
        points: by curve, (draws, points, N): whether each was recognised then; the first point is the clean image if
            the curve begins with it.
    """

    images: np.ndarray
    clean: np.ndarray
    points: dict[str, np.ndarray]


def sweep(result: Result) -> Sweep | None:
    """What a sweep keeps beside its record; None if the file is missing, or not as the run wrote it."""
    try:
        with np.load(result.run.folder / ANSWERS, allow_pickle=False) as file:
            rows, images = dict(zip(file["keys"].tolist(), file["right"], strict=True)), file["indices"]
        points = {}
        for name, curve in result.metrics["curves"].items():
            keys = [f"{name}/{severity}".replace(" ", "") for severity in curve["severities"]]
            begin = ["clean/0/0"] * curve["starts_clean"]
            draws = range(len(curve["top1"]))
            points[name] = np.array([[rows[key] for key in (*begin, *(f"{k}/{draw}" for k in keys))] for draw in draws])
        return Sweep(images, rows["clean/0/0"], points)
    except UNREADABLE:
        return None
