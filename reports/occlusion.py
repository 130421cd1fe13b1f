"""Occlusion: top-1 against the share of patches dropped, as a table and as curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.published import model_name
from reports.collect import Collected
from reports.statistics import mean_interval, paired_difference
from reports.table import Cell, Column, Table, missing
from reports.words import gain_text, interval_text, number

METHOD_NAMES = {"baseline": "baseline", "transmix": "TransMix"}
PROTOCOL = (
    "Random PatchDrop as published with “Intriguing Properties of Vision Transformers”: patches drawn at "
    "random are painted black, and all images of a batch lose the same ones."
)
CAPTION = (
    "Top-1 in percent by the share of patches dropped: mean over mask draws and seeds. The area under the "
    "curve is the mean over the shares."
)


@dataclass(frozen=True)
class Curve:
    """Top-1 of one row and method against the share of dropped patches.

    Attributes:
        dropped: shares from 0 to 1, as they really were (whole patches).
        top1: in percent: (draws, shares), a draw being one seed's model under one draw of the masks.
        chance: top-1 in percent of guessing.
        draws: mask draws a model.
        models: models, one a seed.
    """

    dropped: np.ndarray
    top1: np.ndarray
    chance: float
    draws: int
    models: int


def curve(collected: Collected, row: str, method: str) -> Curve | None:
    """The curve over all seeds that have a record; None without any."""
    done = collected.done("occlusion", row, method)
    if not done:
        return None
    metrics = done[0].metrics
    draws = [np.array(result.metrics["top1"], dtype=float) for result in done]
    return Curve(
        dropped=np.array(metrics["dropped"]) / metrics["tokens"],
        top1=np.concatenate(draws),
        chance=100 / done[0].record["data"]["classes"],
        draws=len(draws[0]),
        models=len(done),
    )


def areas(collected: Collected, row: str, method: str) -> dict[int, float]:
    """Area under the curve by seed, in percent."""
    return collected.values("occlusion", row, method, "area_under_curve")


def build(collected: Collected) -> Table:
    """A line for each row and method of the study, and their difference where both were measured."""
    tenths = collected.study.scale.patch_drop.tenths
    columns = (
        Column("name", "Model", align="left"),
        Column("method", "Method", align="left"),
        *(Column(f"tenth{tenth}", f"{10 * tenth} %", "dropped") for tenth in tenths),
        Column("area", "Area under curve"),
    )
    rows = [line for row in collected.study.rows for line in _lines(collected, row, tenths)]
    return Table("occlusion", CAPTION, columns, tuple(rows), _notes(collected))


def _notes(collected: Collected) -> tuple[str, ...]:
    """For each row measured with both methods, what may be concluded from the areas."""
    notes = []
    for row in collected.study.rows:
        gain = paired_difference(*(areas(collected, row, method) for method in METHOD_NAMES))
        if gain is not None:
            reach = "one seed, so without an interval" if gain.half_width is None else interval_text(gain)
            size = number(gain.mean, sign=True)
            notes.append(f"{model_name(row)}: the area under the curve differs by {size} points; {reach}.")
    return tuple(notes)


def _lines(collected: Collected, row: str, tenths: tuple[int, ...]) -> list[dict[str, Cell]]:
    curves = {method: curve(collected, row, method) for method in METHOD_NAMES}
    lines = [_line(collected, row, method, curves[method], tenths) for method in METHOD_NAMES]
    gain = paired_difference(*(areas(collected, row, method) for method in METHOD_NAMES))
    if gain is not None:
        before, after = (curves[method].top1.mean(0) for method in METHOD_NAMES)
        done = [result for method in METHOD_NAMES for result in collected.done("occlusion", row, method)]
        sources = tuple(result.source for result in done)
        cells = [Cell(number(value, sign=True), "measured", sources) for value in after - before]
        labels = {"name": Cell(model_name(row)), "method": Cell("difference")}
        lines.append(labels | _values(tenths, cells) | {"area": Cell(gain_text(gain), "measured", sources)})
    return lines


def _line(
    collected: Collected, row: str, method: str, measured: Curve | None, tenths: tuple[int, ...]
) -> dict[str, Cell]:
    labels = {"name": Cell(model_name(row)), "method": Cell(METHOD_NAMES[method])}
    if measured is None:
        none = missing(collected.status("occlusion", row, method))
        return labels | _values(tenths, [none] * len(tenths)) | {"area": none}
    sources = tuple(result.source for result in collected.done("occlusion", row, method))
    area = mean_interval(list(areas(collected, row, method).values()))
    cells = [Cell(number(value), "measured", sources) for value in measured.top1.mean(0)]
    return labels | _values(tenths, cells) | {"area": Cell(number(area.mean), "measured", sources, links=True)}


def _values(tenths: tuple[int, ...], cells: list[Cell]) -> dict[str, Cell]:
    return {f"tenth{tenth}": cell for tenth, cell in zip(tenths, cells, strict=True)}
