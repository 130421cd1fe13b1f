"""Figures of robustness: top-1 against how much is done to the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.protocols import CORRUPTIONS, OCCLUSION, curve_name
from experiments.rows import model_name
from reports.analysis.metrics import area
from reports.analysis.names import method_name, methods_in
from reports.analysis.statistics import mean_interval
from reports.analysis.words import number
from reports.figures.colours import colour_of
from reports.figures.style import Gallery, Picture, label_ends, mpl, small_multiples
from reports.records.answers import read_answers
from reports.records.collect import Collected, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OCCLUDED = "Top-1 by patches dropped: at random (solid), foreground first (dotted), background first (dashed)."
BAND = "Band: 95 % interval over images, where all runs keep their answers."
STYLES = {"random": "-", "salient": (0, (1, 1.2)), "non_salient": (0, (5, 2))}
Done = dict[str, list[Result]]  # a row's sweeps that have a record, by method
Painter = Callable[[str, Done, tuple[float, float]], Picture]


@dataclass(frozen=True)
class Line:
    """Top-1 in percent along a curve: mean over runs and draws, and the half-width of its interval over images.

    Without the answers of every run there is no interval: its half-width is NaN, which draws nothing.
    """

    x: np.ndarray
    top1: np.ndarray
    half_width: np.ndarray


def robustness_curves(collected: Collected) -> list[Gallery]:
    """Occlusion, shuffling and corruptions, for every row of the study that has a record."""
    methods = methods_in(collected, "occlusion")
    found = {
        row: {method: done for method in methods if (done := collected.done("occlusion", row, method))}
        for row in collected.study.rows
    }
    kinds: list[tuple[str, Painter, tuple[str, ...]]] = [
        (OCCLUDED, _occlusion, OCCLUSION),
        ("Top-1 by the number of cells that an image is cut into and shuffled.", _shuffle, ("shuffle",)),
        ("Top-1 by the severity of corruptions, mean over them; 0 is clean.", _corruptions, CORRUPTIONS),
    ]
    galleries = []
    for caption, paint, curves in kinds:
        rows = [row for row, done in found.items() if done and _measured(done, curves)]
        if rows:
            galleries.append(
                small_multiples(f"{caption} {BAND}", rows, lambda row, size, paint=paint: paint(row, found[row], size))
            )
    return galleries


def _measured(done: Done, curves: tuple[str, ...]) -> bool:
    return all(curve in result.metrics["curves"] for results in done.values() for result in results for curve in curves)


def line(results: list[Result], curves: tuple[str, ...]) -> Line:
    """The mean of some curves of the same points, over runs."""
    means, spreads = [], []
    for result in results:
        found = [result.metrics["curves"][curve] for curve in curves]
        clean = [result.metrics["clean"]] * found[0]["starts_clean"]
        means.append(clean + np.mean([np.mean(curve["top1"], axis=0) for curve in found], axis=0).tolist())
        answers = read_answers(result)
        spreads.append(np.full(len(means[0]), np.nan) if answers is None else answers.half_widths[curves])
    half_width = np.mean(spreads, axis=0)  # the runs see the same images, so their spreads do not shrink
    return Line(_places(results[0], curves[0]), np.mean(means, axis=0), half_width)


def _places(result: Result, curve: str) -> np.ndarray:
    """Where the points of a curve lie: shares of patches or of saliency, numbers of cells, levels."""
    found = result.metrics["curves"][curve]
    places = np.array([np.prod(severity) for severity in found["severities"]], float)
    if curve in OCCLUSION:
        rows, columns = result.metrics["grid"]
        by_count = result.record.settings["protocol"] == "per_image" or curve == "random"
        places = np.array(found["patches"]) / (rows * columns) if by_count else places / 10
    return np.concatenate([[1.0 if curve == "shuffle" else 0.0] * found["starts_clean"], places])


def _occlusion(row: str, done: Done, size: tuple[float, float]) -> Picture:
    lines = {(method, curve): line(done[method], (curve,)) for method in done for curve in OCCLUSION}
    names, colours = _looks(done)
    label = "patches dropped" if _by_patch(done) else "patches dropped; of saliency where not random"

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for (method, curve), found in lines.items():
            _draw(axes, found, colours[method], STYLES[curve])
        axes.set_ylim(0)
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0, symbol=" %"))
        axes.set_title(f"{model_name(row)}, occluded: top-1 (%)")
        axes.set_xlabel(label)
        ends = {method: lines[method, "random"] for method in names}
        label_ends(axes, {method: (found.x[-1], found.top1[-1]) for method, found in ends.items()}, names, colours)

    mean = {key: mean_interval([area(result.metrics, (key[1],)) for result in done[key[0]]]).mean for key in lines}
    areas = [f"{curve_name(curve)}, {method_name(method)} {number(mean[method, curve])}" for method, curve in lines]
    named = {f"{curve_name(curve)}, {method_name(method)}": found for (method, curve), found in lines.items()}
    alt = f"{model_name(row)}: top-1 by share of dropped patches. {_ends(named)}"
    return Picture(f"occlusion_{row}", alt, f"Areas under the curves: {'; '.join(areas)}.", size, paint)


def _looks(done: Done) -> tuple[dict[str, str], dict[str, str]]:
    """Names and colours of the methods."""
    return {method: method_name(method) for method in done}, {method: colour_of(method) for method in done}


def _by_patch(done: Done) -> bool:
    return all(result.record.settings["protocol"] == "per_image" for results in done.values() for result in results)


def _ends(lines: dict[str, Line]) -> str:
    """Where some lines begin and end, by their names."""
    parts = [
        f"{name}: from {number(found.top1[0], 1)} % to {number(found.top1[-1], 1)} %" for name, found in lines.items()
    ]
    return "; ".join(parts) + "."


def _shuffle(row: str, done: Done, size: tuple[float, float]) -> Picture:
    return _pair(row, done, size, ("shuffle",), "shuffle", "shuffled", "cells")


def _corruptions(row: str, done: Done, size: tuple[float, float]) -> Picture:
    return _pair(row, done, size, CORRUPTIONS, "corruptions", "corrupted", "severity")


def _pair(
    row: str, done: Done, size: tuple[float, float], curves: tuple[str, ...], name: str, done_to: str, label: str
) -> Picture:
    """A line for each method; `done_to` says in the title what was done to the images."""
    lines = {method: line(results, curves) for method, results in done.items()}
    names, colours = _looks(done)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for method, found in lines.items():
            _draw(axes, found, colours[method], "-")
        places = next(iter(lines.values())).x
        if name == "shuffle":
            axes.set_xscale("log", base=2)
        shown = [name != "shuffle" or np.log2(place) % 2 == 0 for place in places]  # every other power of two has room
        axes.set_xticks(places, [f"{place:.0f}" if show else "" for place, show in zip(places, shown, strict=True)])
        axes.set_ylim(0)
        axes.set_title(f"{model_name(row)}, {done_to}: top-1 (%)")
        axes.set_xlabel(label)
        label_ends(axes, {method: (found.x[-1], found.top1[-1]) for method, found in lines.items()}, names, colours)

    mean = {method: mean_interval([area(result.metrics, curves) for result in done[method]]).mean for method in lines}
    found = ", ".join(f"{method_name(method)} {number(value)}" for method, value in mean.items())
    ends = _ends({method_name(method): one for method, one in lines.items()})
    alt = f"{model_name(row)}: top-1 by {label}. {ends} Area under the curve: {found}."
    return Picture(f"{name}_{row}", alt, f"Area under the curve: {found}.", size, paint)


def _draw(axes: Axes, found: Line, colour: str, style: object) -> None:
    low, high = found.top1 - found.half_width, found.top1 + found.half_width
    axes.fill_between(found.x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(found.x, found.top1, color=colour, linestyle=style, linewidth=1.3, marker="o", markersize=2)
