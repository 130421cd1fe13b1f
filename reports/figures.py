"""Figures with axes: training curves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.collect import Collected, Result
from reports.occlusion import METHOD_NAMES
from reports.published import model_name
from reports.style import COLOURS, Picture, draw, label_ends
from reports.words import number

SIZE = (4.6, 3.0)

Reader = Callable[[dict], float]  # one value from a line of a training history


def training_curves(collected: Collected) -> list[Picture]:
    """Validation top-1 and training loss by epoch, for every row of the study that has a record."""
    pictures = []
    for row in collected.study.rows:
        done = {method: collected.done("table1", row, method) for method in METHOD_NAMES}
        if any(result.record["history"] for results in done.values() for result in results):
            pictures += [_accuracy(row, done), _loss(row, done)]
    return pictures


def _accuracy(row: str, done: dict[str, list[Result]]) -> Picture:
    return _history(
        name=f"accuracy_{row}",
        title=f"{model_name(row)}: validation top-1 (%)",
        caption="Top-1 on the validation images after each epoch.",
        done=done,
        read=lambda epoch: epoch["accuracy"]["top1"],
        digits=1,
    )


def _loss(row: str, done: dict[str, list[Result]]) -> Picture:
    return _history(
        name=f"loss_{row}",
        title=f"{model_name(row)}: training loss",
        caption=(
            "Mean training loss of each epoch, against mixed and smoothed targets. The two methods mix their "
            "targets differently, so the levels of their losses do not compare."
        ),
        done=done,
        read=lambda epoch: epoch["loss"],
        digits=2,
    )


def _history(name: str, title: str, caption: str, done: dict[str, list[Result]], read: Reader, digits: int) -> Picture:
    lines = {
        method: np.array([[read(epoch) for epoch in result.record["history"]] for result in results])
        for method, results in done.items()
        if results and results[0].record["history"]
    }
    if any(len(line) > 1 for line in lines.values()):
        caption += " Thin: single seeds; thick: their mean."
    ends = ", ".join(
        f"{METHOD_NAMES[method]} ends at {number(line[:, -1].mean(), digits)}" for method, line in lines.items()
    )

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for method, line in lines.items():
            _lines(axes, np.arange(1, line.shape[1] + 1), line, method)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(y=0.08)
        label_ends(
            axes,
            {method: (line.shape[1], line[:, -1].mean()) for method, line in lines.items()},
            {method: f"{METHOD_NAMES[method]} {number(line[:, -1].mean(), digits)}" for method, line in lines.items()},
        )

    return draw(name, f"{title} by epoch. {ends}.", caption, SIZE, paint)


def _lines(axes: Axes, x: np.ndarray, lines: np.ndarray, method: str) -> None:
    """A thin line for each seed, if there are several, and a thick one for their mean."""
    if len(lines) > 1:
        axes.plot(x, lines.T, color=COLOURS[method], linewidth=0.7, alpha=0.45)
    axes.plot(x, lines.mean(0), color=COLOURS[method], marker="o" if len(x) == 1 else None)
