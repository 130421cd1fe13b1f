"""Metrics computed again from what a record and the files beside it keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reports.records import answers
from reports.records.collect import Result

Claims = Iterator[tuple[str, Any, Any]]  # name of a number, the record's value, the value computed again


def claims(result: Result) -> Claims:
    """The numbers of a record that can be computed again; none where the files that it takes are not there.

    Raises:
        KeyError, TypeError, IndexError, ValueError: the record is not as a run writes it.
    """
    return _BY_KIND.get(result.run.kind, _nothing)(result)


def _nothing(result: Result) -> Claims:
    yield from ()


def _train(result: Result) -> Claims:
    metrics, last = result.metrics, result.record.history[-1]["accuracy"]
    yield "metrics.top1", metrics["top1"], last["top1"]
    yield "metrics.val_images", metrics["val_images"], last["images"]
    yield from _right(result)


def _right(result: Result) -> Claims:
    metrics = result.metrics
    found = answers.right(result)
    if found is None:
        raise ValueError("right does not hold an answer for each of val_images")
    yield "metrics.top1", metrics["top1"], float(found[1].mean())


def _sweep(result: Result) -> Claims:
    metrics, kept = result.metrics, answers.sweep(result)
    if kept is not None:
        yield "metrics.clean", metrics["clean"], 100 * float(kept.clean.mean())
    for name, curve in metrics["curves"].items():
        points = [metrics["clean"]] * curve["starts_clean"] + np.mean(curve["top1"], axis=0).tolist()
        yield f"metrics.curves.{name}.area", curve["area"], float(np.mean(points))
        if kept is not None:
            right = kept.points[name][:, int(curve["starts_clean"]) :]
            yield f"metrics.curves.{name}.top1", curve["top1"], (100 * right.mean(2)).tolist()


def _natural(result: Result) -> Claims:
    found = answers.natural(result)
    if found is not None:
        yield "metrics.natural_top1", result.metrics["natural_top1"], float(found[1].mean())


_BY_KIND: dict[str, Callable[[Result], Claims]] = {
    "train": _train,
    "public": _right,
    "natural": _natural,
    **dict.fromkeys(("occlusion", "shuffle", "corruptions"), _sweep),
}
