"""Figures with axes: training curves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.published import model_name
from reports.analysis.arms import arm
from reports.analysis.words import number
from reports.figures.gallery import Gallery, small_multiples
from reports.figures.style import COLOURS, Picture, draw, label_ends
from reports.records.collect import Collected, Result
from reports.tables.occlusion import METHOD_NAMES

ACCURACY = "Top-1 on the validation images after each epoch."
LOSS = (
    "Mean training loss of each epoch, against mixed and smoothed targets. The two methods mix their targets "
    "differently, so the levels of their losses do not compare."
)

Reader = Callable[[dict], float]  # one value from a line of a training history
Trained = dict[str, list[Result]]  # a row's training runs that have a record, by method


def training_curves(collected: Collected) -> list[Gallery]:
    """Validation top-1 and training loss by epoch, for every row of the study that has a record."""
    trained = {row: _trained(collected, row) for row in collected.study.rows}
    trained = {row: done for row, done in trained.items() if done}
    if not trained:
        return []
    several = any(len(results) > 1 for done in trained.values() for results in done.values())
    thin = " Thin: single seeds; thick: their mean." if several else ""
    rows = list(trained)
    return [
        small_multiples(ACCURACY + thin, rows, lambda row, size: _accuracy(row, trained[row], size)),
        small_multiples(LOSS + thin, rows, lambda row, size: _loss(row, trained[row], size)),
    ]


def _trained(collected: Collected, row: str) -> Trained:
    found = {method: arm(collected, row, method).results for method in METHOD_NAMES}
    return {method: results for method, results in found.items() if results and results[0].record["history"]}


def _accuracy(row: str, done: Trained, size: tuple[float, float]) -> Picture:
    return _history(f"accuracy_{row}", f"{model_name(row)}: top-1 (%)", done, size, _top1, digits=1)


def _loss(row: str, done: Trained, size: tuple[float, float]) -> Picture:
    return _history(f"loss_{row}", f"{model_name(row)}: training loss", done, size, lambda epoch: epoch["loss"], 2)


def _top1(epoch: dict) -> float:
    return epoch["accuracy"]["top1"]


def _history(name: str, title: str, done: Trained, size: tuple[float, float], read: Reader, digits: int) -> Picture:
    lines = {
        method: np.array([[read(epoch) for epoch in result.record["history"]] for result in results])
        for method, results in done.items()
    }
    ends = {method: (line.shape[1], line[:, -1].mean()) for method, line in lines.items()}
    texts = {method: f"{METHOD_NAMES[method]} {number(end, digits)}" for method, (_, end) in ends.items()}

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for method, line in lines.items():
            _lines(axes, np.arange(1, line.shape[1] + 1), line, method)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.margins(y=0.08)
        label_ends(axes, ends, texts)

    return draw(name, f"{title} by epoch; at the end {', '.join(texts.values())}.", "", size, paint)


def _lines(axes: Axes, x: np.ndarray, lines: np.ndarray, method: str) -> None:
    """A thin line for each seed, if there are several, and a thick one for their mean."""
    if len(lines) > 1:
        axes.plot(x, lines.T, color=COLOURS[method], linewidth=0.7, alpha=0.45)
    axes.plot(x, lines.mean(0), color=COLOURS[method], marker="o" if len(x) == 1 else None)
