"""Figures with axes: training curves and occlusion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from experiments.published import model_name
from reports.collect import Collected, Result
from reports.occlusion import METHOD_NAMES, Curve, areas, curve
from reports.statistics import mean_interval
from reports.style import COLOURS, MUTED, Picture, draw, label_ends
from reports.words import number, plural

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


def occlusion_curves(collected: Collected) -> list[Picture]:
    """Top-1 against the share of dropped patches, for every row of the study that has a record."""
    pictures = []
    for row in collected.study.rows:
        curves = {method: curve(collected, row, method) for method in METHOD_NAMES}
        curves = {method: found for method, found in curves.items() if found is not None}
        if curves:
            area = {method: mean_interval(list(areas(collected, row, method).values())).mean for method in curves}
            pictures.append(_occlusion(row, curves, area))
    return pictures


def _occlusion(row: str, curves: dict[str, Curve], area: dict[str, float]) -> Picture:
    first = next(iter(curves.values()))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for method, found in curves.items():
            low, high = found.top1.min(0), found.top1.max(0)
            axes.fill_between(found.dropped, low, high, color=COLOURS[method], alpha=0.2, linewidth=0)
            axes.plot(found.dropped, found.top1.mean(0), color=COLOURS[method], marker="o", markersize=3)
        axes.axhline(first.chance, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate("chance", (0, first.chance), xytext=(0, 3), textcoords="offset points", color=MUTED, fontsize=8)
        axes.set_ylim(0, 1.12 * max(first.chance, *(found.top1.max() for found in curves.values())))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        axes.set_title(f"{model_name(row)}: top-1 (%) by share of patches dropped")
        axes.set_xlabel("patches dropped")
        ends = {method: (found.dropped[-1], found.top1.mean(0)[-1]) for method, found in curves.items()}
        label_ends(axes, ends, METHOD_NAMES)

    found = ", ".join(f"{METHOD_NAMES[method]} {number(area[method])}" for method in curves)
    draws = plural(first.draws, "mask draw") + (f" and {first.models} seeds" if first.models > 1 else "")
    caption = f"Line: mean; band: lowest and highest of {draws}. Area under the curve: {found}."
    return draw(f"occlusion_{row}", _occlusion_alt(row, curves, area), caption, SIZE, paint)


def _occlusion_alt(row: str, curves: dict[str, Curve], area: dict[str, float]) -> str:
    parts = []
    for method, found in curves.items():
        mean = found.top1.mean(0)
        ends = f"{number(mean[0], 1)} % to {number(mean[-1], 1)} %"
        parts.append(f"{METHOD_NAMES[method]} goes from {ends}, area under the curve {number(area[method])}")
        chance = f"Chance is {found.chance:.3g} %."
    return f"{model_name(row)}: top-1 by share of dropped patches. {'; '.join(parts)}. {chance}"
