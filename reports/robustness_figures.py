"""Figures of robustness: top-1 against how much is done to the images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from experiments.protocols import CORRUPTIONS, OCCLUSION
from reports.answers import read_answers
from reports.collect import Collected, Result
from reports.occlusion import METHOD_NAMES, area
from reports.published import model_name
from reports.statistics import mean_interval
from reports.style import COLOURS, MUTED, Picture, draw, label_ends
from reports.words import number

SIZE = (4.6, 3.0)
BAND = "Band: 95 % interval over images."
_STYLES = {"random": "-", "salient": (0, (1, 1.2)), "non_salient": (0, (5, 2))}
_NAMES = {"random": "random", "salient": "foreground first", "non_salient": "background first"}
_Z95 = 1.959964  # normal quantile: curves are means over hundreds of images or more


@dataclass(frozen=True)
class Line:
    """Top-1 in percent along a curve: mean over runs and draws, and the half-width of its interval over images."""

    x: np.ndarray
    top1: np.ndarray
    half_width: np.ndarray


def robustness_curves(collected: Collected) -> list[Picture]:
    """Occlusion, shuffling and corruptions, for every row of the study that has a record."""
    pictures = []
    for row in collected.study.rows:
        done = {method: collected.done("occlusion", row, method) for method in METHOD_NAMES}
        done = {method: results for method, results in done.items() if results}
        for paint in (_occlusion, _shuffle, _corruptions) if done else ():
            picture = paint(row, done)
            pictures += [picture] if picture else []
    return pictures


def line(results: list[Result], curves: tuple[str, ...]) -> Line | None:
    """The mean of some curves of the same points, over runs; None unless all runs have them."""
    if not all(curve in result.metrics["curves"] for result in results for curve in curves):
        return None
    means, spreads = [], []
    for result in results:
        found = [result.metrics["curves"][curve] for curve in curves]
        clean = [result.metrics["clean"]] * found[0]["starts_clean"]
        means.append(clean + np.mean([np.mean(curve["top1"], axis=0) for curve in found], axis=0).tolist())
        answers = read_answers(result)
        points = None if answers is None else np.mean([answers.curves[curve] for curve in curves], axis=0)
        spreads.append(np.zeros(len(means[0])) if points is None else points.std(1) / np.sqrt(points.shape[1]))
    half_width = 100 * _Z95 * np.mean(spreads, axis=0)  # the runs see the same images, so their spreads do not shrink
    return Line(_places(results[0], curves[0]), np.mean(means, axis=0), half_width)


def _places(result: Result, curve: str) -> np.ndarray:
    """Where the points of a curve lie: shares of patches or of saliency, numbers of cells, levels."""
    found = result.metrics["curves"][curve]
    places = np.array([np.prod(severity) for severity in found["severities"]], float)
    if curve in OCCLUSION:
        rows, columns = result.metrics["grid"]
        by_count = result.record["settings"]["protocol"] == "per_image" or curve == "random"
        places = np.array(found["patches"]) / (rows * columns) if by_count else places / 10
    return np.concatenate([[1.0 if curve == "shuffle" else 0.0] * found["starts_clean"], places])


def _occlusion(row: str, done: dict[str, list[Result]]) -> Picture | None:
    lines = {(method, curve): line(done[method], (curve,)) for method in done for curve in OCCLUSION}
    lines = {key: found for key, found in lines.items() if found is not None}
    if not lines:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for (method, curve), found in lines.items():
            _draw(axes, found, method, _STYLES[curve])
        for curve in {curve for _, curve in lines}:
            ends = [found for (_, name), found in lines.items() if name == curve]
            place = (max(found.x[-1] for found in ends), np.mean([found.top1[-1] for found in ends]))
            axes.annotate(
                _NAMES[curve], place, (7, 0), textcoords="offset points", va="center", color=MUTED, fontsize=8
            )
        handles = [Line2D([], [], color=COLOURS[method], label=METHOD_NAMES[method]) for method in done]
        axes.legend(handles=handles, loc="lower left", frameon=False, fontsize=8)
        axes.set_ylim(0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        axes.set_title(f"{model_name(row)}: top-1 (%) by share of patches dropped")
        axes.set_xlabel("patches dropped" if _by_patch(done) else "patches dropped; of saliency where not random")

    mean = {key: mean_interval([area(result, (key[1],)) for result in done[key[0]]]).mean for key in lines}
    found = "; ".join(
        f"{_NAMES[curve]}, {METHOD_NAMES[method]} {number(mean[method, curve])}" for method, curve in lines
    )
    caption = f"Areas under the curves: {found}. {BAND}"
    alt = f"{model_name(row)}: top-1 by share of dropped patches. {_ends(lines)}"
    return draw(f"occlusion_{row}", alt, caption, SIZE, paint)


def _by_patch(done: dict[str, list[Result]]) -> bool:
    return all(result.record["settings"]["protocol"] == "per_image" for results in done.values() for result in results)


def _ends(lines: dict[tuple[str, str], Line]) -> str:
    parts = [
        f"{_NAMES[curve]}, {METHOD_NAMES[method]}: from {number(found.top1[0], 1)} % to {number(found.top1[-1], 1)} %"
        for (method, curve), found in lines.items()
    ]
    return "; ".join(parts) + "."


def _shuffle(row: str, done: dict[str, list[Result]]) -> Picture | None:
    return _pair(row, done, ("shuffle",), "shuffle", "number of cells shuffled", "cells")


def _corruptions(row: str, done: dict[str, list[Result]]) -> Picture | None:
    return _pair(row, done, CORRUPTIONS, "corruptions", "severity of corruptions", "severity, 0 = clean")


def _pair(
    row: str, done: dict[str, list[Result]], curves: tuple[str, ...], name: str, by: str, label: str
) -> Picture | None:
    """A line for each method."""
    lines = {method: line(results, curves) for method, results in done.items()}
    lines = {method: found for method, found in lines.items() if found is not None}
    if not lines:
        return None
    title = f"{model_name(row)}: top-1 (%) by {by}"

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for method, found in lines.items():
            _draw(axes, found, method, "-")
        if name == "shuffle":
            places = next(iter(lines.values())).x
            axes.set_xscale("log", base=2)
            axes.set_xticks(places, [f"{place:.0f}" for place in places], minor=False)
        axes.set_ylim(0)
        axes.set_title(title)
        axes.set_xlabel(label)
        label_ends(axes, {method: (found.x[-1], found.top1[-1]) for method, found in lines.items()}, METHOD_NAMES)

    mean = {method: mean_interval([area(result, curves) for result in done[method]]).mean for method in lines}
    found = ", ".join(f"{METHOD_NAMES[method]} {number(value)}" for method, value in mean.items())
    many = " (mean over them)" if len(curves) > 1 else ""
    caption = f"Area under the curve{many}: {found}. {BAND}"
    return draw(f"{name}_{row}", f"{title}. Area under the curve: {found}.", caption, SIZE, paint)


def _draw(axes: Axes, found: Line, method: str, style: object) -> None:
    low, high = found.top1 - found.half_width, found.top1 + found.half_width
    axes.fill_between(found.x, low, high, color=COLOURS[method], alpha=0.15, linewidth=0)
    axes.plot(found.x, found.top1, color=COLOURS[method], linestyle=style, marker="o", markersize=2.5)
