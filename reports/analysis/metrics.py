"""The numbers that tables show, by kind of run: their names, and how to read them from a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from experiments.protocols import CORRUPTIONS
from reports.records import answers
from reports.records.answers import Values
from reports.records.checks import SEGMENTATION_METRICS
from reports.records.collect import Result

Metrics = dict[str, Any]  # what a record holds under that key
LINES = {  # what is done to images, and the curves whose mean says how a model bears it
    "random patches dropped": ("random",),
    "foreground dropped first": ("salient",),
    "background dropped first": ("non_salient",),
    "cells shuffled": ("shuffle",),
    "corruptions, mean": CORRUPTIONS,
}
_DETECTION = tuple(f"{what}_AP{overlap}" for what in ("box", "mask") for overlap in ("", "50", "75"))


@dataclass(frozen=True)
class Metric:
    """One number of a record.

    Attributes:
        key: names it in a CSV file.
        title: names it for people, with its unit.
        read: from a record's metrics.
        digits: after the point, as tables show it.
        by_image: a run's images and the value of each; None where runs keep none, or they cannot be read.
        exact: whether it is a property of the model, which has no spread.
    """

    key: str
    title: str
    read: Callable[[Metrics], float | None]
    digits: int = 2
    by_image: Callable[[Result], Values | None] | None = None
    exact: bool = False

    def of(self, metrics: Metrics) -> float | None:
        """The number in the unit of the title; None where the record has none."""
        try:
            return self.read(metrics)
        except (KeyError, TypeError):
            return None


def metric(key: str, title: str = "", digits: int = 2, factor: float = 1) -> Metric:
    """A number that records hold under a key, times a factor; without a title it is called by the key."""

    def read(metrics: Metrics) -> float | None:
        return None if metrics[key] is None else factor * metrics[key]

    return Metric(key, title or key, read, digits)


def area(metrics: Metrics, curves: tuple[str, ...]) -> float | None:
    """Area under the curve in a record's metrics, in percent; mean over some curves, None if one was not measured."""
    if not metrics["curves"].keys() >= set(curves):
        return None
    return float(np.mean([metrics["curves"][curve]["area"] for curve in curves]))


def _area(what: str, curves: tuple[str, ...]) -> Metric:
    key = f"area_{curves[0]}" if len(curves) == 1 else "area_corruptions"
    read, by_image = partial(area, curves=curves), partial(answers.areas, curves=curves)
    return Metric(key, f"Area, {what} (%)", read, by_image=by_image)


TOP1 = replace(metric("top1", "Top-1 (%)"), by_image=answers.right)
AREAS = {what: _area(what, curves) for what, curves in LINES.items()}
NATURAL = {
    found.key: found
    for found in (
        replace(metric("natural_top1", "Top-1 (%)"), by_image=answers.natural),
        metric("rms_calibration_error", "Calibration error (%), all bins", factor=100),
        metric("rms_calibration_error_published", "Calibration error (%), as published", factor=100),
        metric("aurra", "AURRA (%)", factor=100),
        metric("aupr", "AUPR (%)", factor=100),
    )
}
_SWEEP = tuple(AREAS.values())
METRICS: dict[str, tuple[Metric, ...]] = {
    "train": (
        TOP1,
        replace(metric("parameters", "Params (M)", 3, 1e-6), exact=True),
        replace(metric("gmacs", "GMACs", 3), exact=True),
    ),
    "segmentation": tuple(metric(key, f"{key.replace('_ms', ', multi-scale')} (%)") for key in SEGMENTATION_METRICS),
    "detection": tuple(metric(key, f"{key.replace('_', ' ')} (%)") for key in _DETECTION),
    "natural": tuple(NATURAL.values()),
    "occlusion": _SWEEP,
    "shuffle": _SWEEP,  # sweeps of a user's own model
    "corruptions": _SWEEP,
    "lambda": (
        metric("label_shift", "Label shift", 4),
        *(metric(f"error_{rule}", f"Error of λ, {rule}", 4) for rule in ("area", "attention", "mean")),
    ),
}
ORIGINS = {  # where the numbers of each kind come from
    "train": "counted on the validation images with {weights}, after the last epoch",
    "segmentation": "mmseg’s evaluation of the fine-tuned weights on all validation images",
    "detection": "COCO’s evaluation of the fine-tuned weights on all validation images",
    "natural": "computed from each image’s confidence and correctness, scores.npz",
    "occlusion": "counted from each image’s answer under each setting, answers.npz",
    "shuffle": "counted from each image’s answer under each setting, answers.npz",
    "corruptions": "counted from each image’s answer under each setting, answers.npz",
    "lambda": "means over the mixed images; some of these are kept as pictures, examples.npz",
}


def metrics_of(kind: str) -> tuple[Metric, ...]:
    """The metrics of a kind of run, the first being the one that stands for it; none of a kind that is unknown."""
    return METRICS.get(kind, ())
