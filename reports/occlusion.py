"""Robustness to what is done to images: areas under the curves of top-1 against how much of it is done."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.protocols import CORRUPTIONS, Sweep
from experiments.published import model_name
from reports.answers import ImageInterval, area_difference
from reports.collect import Collected, Result
from reports.statistics import Estimate, mean_interval, paired_difference
from reports.table import Cell, Column, Table, missing
from reports.words import gain_text, interval_text, number

METHOD_NAMES = {"baseline": "baseline", "transmix": "TransMix"}
LINES = {  # lines of the table, and the curves that each one is the mean of
    "random patches dropped": ("random",),
    "foreground dropped first": ("salient",),
    "background dropped first": ("non_salient",),
    "cells shuffled": ("shuffle",),
    "corruptions, mean": CORRUPTIONS,
}
CAPTION = (
    "Area under the curve: top-1 in percent, mean over the points of a curve that begins with the clean images. "
    "Difference in points, with two or more seeds ± its 95 % interval over seeds (Student’s t); the interval over "
    "images is a paired bootstrap, with these very models."
)
_SHARING = {
    "per_image": (
        "Every image has draws of its own, and a ratio is a share of patches on each curve (protocol per_image)."
    ),
    "published": (
        "As published, the images of a batch share their draws, and on the two salient curves a ratio is a share of "
        "saliency (protocol published), so that their axes differ from that of random dropping."
    ),
}
_SALIENCY = {
    "objects": "the objects’ masks in the data",
    "attention": "the class attention of the model under test",
    "dino": "one head of a DINO ViT-S/16",
}


def protocol(sweep: Sweep) -> str:
    """What was done, in plain words."""
    return (
        f"Patches are dropped (painted {sweep.fill}) at random, the foreground first, or the background first, before "
        f"normalisation, as in “Intriguing Properties of Vision Transformers”; then images are cut into cells and "
        f"shuffled, and corrupted by {', '.join(CORRUPTIONS).replace('_', ' ')}. {_SHARING[sweep.protocol]} The "
        f"foreground comes from {_SALIENCY[sweep.saliency]}."
    )


def areas(collected: Collected, row: str, method: str, curves: tuple[str, ...] = ("random",)) -> dict[int, float]:
    """Area under the curve by seed, in percent; mean over some curves."""
    done = collected.done("occlusion", row, method)
    return {result.run.seed: area(result, curves) for result in done if _has(result, curves)}


def area(result: Result, curves: tuple[str, ...]) -> float:
    """Area under the curve of one run, in percent; mean over some curves."""
    return float(np.mean([result.metrics["curves"][curve]["area"] for curve in curves]))


def _has(result: Result, curves: tuple[str, ...]) -> bool:
    return all(curve in result.metrics["curves"] for curve in curves)


def build(collected: Collected) -> Table:
    """A line for each row of the study and each kind of perturbation."""
    columns = (
        Column("name", "Model", align="left"),
        Column("what", "What is done to the images", align="left"),
        *(Column(method, name, "area under the curve") for method, name in METHOD_NAMES.items()),
        Column("gain", "Difference"),
        Column("images", "95 % over images"),
    )
    rows = [_line(collected, row, what) for row in collected.study.rows for what in LINES]
    return Table("occlusion", CAPTION, columns, tuple(rows), _notes(collected))


def _line(collected: Collected, row: str, what: str) -> dict[str, Cell]:
    curves = LINES[what]
    done = {method: collected.done("occlusion", row, method) for method in METHOD_NAMES}
    values = {method: areas(collected, row, method, curves) for method in METHOD_NAMES}
    cells = {"name": Cell(model_name(row)), "what": Cell(what)}
    for method, results in done.items():
        sources = tuple(result.source for result in results)
        status = collected.status("occlusion", row, method)
        none = missing("not in the sweep" if results else status)
        mean = number(mean_interval(list(values[method].values())).mean) if values[method] else ""
        cells[method] = Cell(mean, "measured", sources, links=what == next(iter(LINES))) if mean else none
    gain = paired_difference(*values.values())
    if gain is None:
        none = next(cell for cell in (*cells.values(), missing("not paired")) if cell.kind == "missing")
        return cells | {"gain": none, "images": none}
    sources = tuple(result.source for results in done.values() for result in results)
    found = area_difference(*done.values(), curves)
    cells["gain"] = Cell(gain_text(gain), "measured", sources)
    cells["images"] = Cell(found.text, "measured", sources) if found else missing("no answers")
    return cells


def _notes(collected: Collected) -> tuple[str, ...]:
    """For each row measured with both methods, what may be concluded about random dropping."""
    notes = []
    for row in collected.study.rows:
        done = [collected.done("occlusion", row, method) for method in METHOD_NAMES]
        gain = paired_difference(*(areas(collected, row, method) for method in METHOD_NAMES))
        if gain is not None:
            notes.append(f"{model_name(row)}: {_conclusion(gain, area_difference(*done, ('random',)))}")
    return tuple(notes)


def _conclusion(gain: Estimate, found: ImageInterval | None) -> str:
    text = f"with random patches dropped the area differs by {number(gain.mean, sign=True)} points; "
    if gain.half_width is not None:
        return f"{text}{interval_text(gain)}."
    text += "one seed, so nothing is known about other trainings"
    if found is None:
        return f"{text}."
    finding = "excludes zero" if found.low > 0 or found.high < 0 else "includes zero"
    return f"{text}; for these two models the 95 % interval over images {finding}."


def numbers(collected: Collected) -> list[dict[str, Any]]:
    """Every point of every curve for programs, unrounded: one line a run, curve and severity."""
    lines = []
    for result in collected.results:
        if result.run.kind == "occlusion" and result.record is not None:
            clean = {"curve": "clean", "severity": "0", "draws": 1, "top1": result.metrics["clean"]}
            for point in (clean | {"half_width_95_over_draws": None}, *_points(result)):
                lines.append({name: getattr(result.run, name) for name in ("row", "method", "seed", "id")} | point)
    return lines


def _points(result: Result) -> list[dict[str, Any]]:
    points = []
    for name, curve in result.metrics["curves"].items():
        for severity, values in zip(curve["severities"], zip(*curve["top1"], strict=True), strict=True):
            found = mean_interval(values)
            shown = "x".join(map(str, severity)) if isinstance(severity, list) else str(severity)
            points.append(
                {"curve": name, "severity": shown, "draws": len(values), "top1": found.mean}
                | {"half_width_95_over_draws": found.half_width}
            )
    return points
