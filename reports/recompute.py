"""Metrics computed again from what a record and the files beside it keep."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reports.answers import UNREADABLE, read_answers
from reports.collect import Result
from reports.table5 import FILE as SCORES

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
    metrics, last = result.metrics, result.record["history"][-1]["accuracy"]
    yield "metrics.top1", metrics["top1"], last["top1"]
    yield "metrics.val_images", metrics["val_images"], last["images"]
    if "right" in result.record:
        packed, images = base64.b64decode(result.record["right"], validate=True), metrics["val_images"]
        right = np.unpackbits(np.frombuffer(packed, np.uint8))
        yield "the number of bytes of right", len(packed), -(-images // 8)
        yield "metrics.top1", metrics["top1"], 100 * int(right[:images].sum()) / images


def _sweep(result: Result) -> Claims:
    metrics, answers = result.metrics, read_answers(result)
    for name, curve in metrics["curves"].items():
        points = [metrics["clean"]] * curve["starts_clean"] + np.mean(curve["top1"], axis=0).tolist()
        yield f"metrics.curves.{name}.area", curve["area"], float(np.mean(points))
        if answers is not None:
            yield f"metrics.curves.{name}.top1", points, (100 * answers.curves[name].mean(1)).tolist()


def _natural(result: Result) -> Claims:
    try:
        with np.load(result.run.folder / SCORES, allow_pickle=False) as file:
            correct = file["natural_correct"]
    except UNREADABLE:
        return
    yield "metrics.natural_top1", result.metrics["natural_top1"], 100 * float(correct.mean())


_BY_KIND: dict[str, Callable[[Result], Claims]] = {
    "train": _train,
    "natural": _natural,
    **dict.fromkeys(("occlusion", "shuffle", "corruptions"), _sweep),
}
