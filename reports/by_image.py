"""One value an image of a run, where its record or a file beside it keeps them: for intervals over images."""

from __future__ import annotations

import numpy as np

from experiments.correctness import unpack
from reports.answers import UNREADABLE, read_answers
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
    answers = read_answers(result)
    if answers is None or not answers.curves.keys() >= set(curves):
        return None
    return answers.images, answers.areas(curves)
