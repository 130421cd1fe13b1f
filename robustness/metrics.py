"""Metrics of the natural adversarial benchmarks, on numpy arrays.

Source: "Natural Adversarial Examples" (Hendrycks et al., 2021), calibration_tools.py and eval.py of
hendrycks/natural-adv-examples @0777070.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

BIN = 100


def rms_calibration_error(confidence: ArrayLike, correct: ArrayLike, all_bins: bool = False) -> float:
    """Root mean square, over images, of the distance between confidence and accuracy in adaptive bins.

    Images are sorted by confidence and cut into bins of 100; the last bin takes the remainder too. The published
    script never looks at that last bin, the one with the most confident images, and neither does this function unless
    it is asked for `all_bins`.

    Args:
        confidence: (N,) of the predictions, 0 to 1.
        correct: (N,) whether they were right.
        all_bins: count the last bin.
    """
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    order = np.argsort(confidence, kind="stable")
    starts = range(0, max(1, len(order) // BIN) * BIN, BIN)
    bins = np.split(order, list(starts)[1:])
    squares = [len(b) * (confidence[b].mean() - correct[b].mean()) ** 2 for b in (bins if all_bins else bins[:-1])]
    return float(np.sqrt(sum(squares) / len(order)))


def aurra(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the response rate accuracy curve, 0 to 1.

    The mean, over k, of the accuracy on the k images of which the model is most certain.
    """
    order = np.argsort(-np.asarray(confidence, float), kind="stable")
    hits = np.cumsum(np.asarray(correct, float)[order])
    return float((hits / np.arange(1, len(order) + 1)).mean())


def aupr(in_distribution_score: ArrayLike, out_of_distribution_score: ArrayLike) -> float:
    """Area under the precision-recall curve (average precision) of detecting the out-of-distribution images, 0 to 1.

    Args:
        in_distribution_score: (N,); the higher, the stranger does the image look. The benchmark takes minus the largest
            softmax probability.
        out_of_distribution_score: (M,), the positives.
    """
    scores = np.concatenate([np.asarray(in_distribution_score, float), np.asarray(out_of_distribution_score, float)])
    positives = np.arange(len(scores)) >= len(scores) - len(np.asarray(out_of_distribution_score))
    order = np.argsort(-scores, kind="stable")
    # images of equal score cannot be told apart: the curve has a point after the last of them
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(positives[order])[ends]
    recall = found / positives.sum()
    return float(np.sum(np.diff(recall, prepend=0) * found / (ends + 1)))
