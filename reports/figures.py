"""Figures with axes: training curves and occlusion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from experiments.published import model_name
from reports.arms import arm
from reports.collect import Collected, Result
from reports.gallery import Gallery, small_multiples
from reports.occlusion import METHOD_NAMES, Curve, areas, curve
from reports.statistics import mean_interval
from reports.style import COLOURS, MUTED, Picture, draw, label_ends
from reports.words import number, plural

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
    return [
        small_multiples(
            f"{caption}{thin}", list(trained), lambda row, size, paint=paint: paint(row, trained[row], size)
        )
        for caption, paint in ((ACCURACY, _accuracy), (LOSS, _loss))
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
        axes.margins(y=0.08)
        label_ends(axes, ends, texts)

    return draw(name, f"{title} by epoch; at the end {', '.join(texts.values())}.", "", size, paint)


def _lines(axes: Axes, x: np.ndarray, lines: np.ndarray, method: str) -> None:
    """A thin line for each seed, if there are several, and a thick one for their mean."""
    if len(lines) > 1:
        axes.plot(x, lines.T, color=COLOURS[method], linewidth=0.7, alpha=0.45)
    axes.plot(x, lines.mean(0), color=COLOURS[method], marker="o" if len(x) == 1 else None)


def occlusion_curves(collected: Collected) -> list[Gallery]:
    """Top-1 against the share of dropped patches, for every row of the study that has a record."""
    curves = {row: {method: curve(collected, row, method) for method in METHOD_NAMES} for row in collected.study.rows}
    curves = {row: {method: line for method, line in found.items() if line} for row, found in curves.items()}
    curves = {row: found for row, found in curves.items() if found}
    if not curves:
        return []
    first = next(iter(next(iter(curves.values())).values()))
    draws = plural(first.draws, "mask draw") + (f" and {first.models} seeds" if first.models > 1 else "")
    caption = f"Top-1 by the share of patches dropped. Line: mean; band: lowest and highest of {draws}."

    def paint(row: str, size: tuple[float, float]) -> Picture:
        area = {method: mean_interval(list(areas(collected, row, method).values())).mean for method in curves[row]}
        return _occlusion(row, curves[row], area, size)

    return [small_multiples(caption, list(curves), paint)]


def _occlusion(row: str, curves: dict[str, Curve], area: dict[str, float], size: tuple[float, float]) -> Picture:
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
        axes.set_title(f"{model_name(row)}: top-1 (%)")
        axes.set_xlabel("patches dropped")
        ends = {method: (found.dropped[-1], found.top1.mean(0)[-1]) for method, found in curves.items()}
        label_ends(axes, ends, METHOD_NAMES)

    found = ", ".join(f"{METHOD_NAMES[method]} {number(area[method])}" for method in curves)
    caption = f"Area under the curve: {found}."
    return draw(f"occlusion_{row}", _occlusion_alt(row, curves, area), caption, size, paint)


def _occlusion_alt(row: str, curves: dict[str, Curve], area: dict[str, float]) -> str:
    parts = []
    for method, found in curves.items():
        mean = found.top1.mean(0)
        ends = f"{number(mean[0], 1)} % to {number(mean[-1], 1)} %"
        parts.append(f"{METHOD_NAMES[method]} goes from {ends}, area under the curve {number(area[method])}")
        chance = f"Chance is {found.chance:.3g} %."
    return f"{model_name(row)}: top-1 by share of dropped patches. {'; '.join(parts)}. {chance}"
