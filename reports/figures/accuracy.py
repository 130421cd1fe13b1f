"""The other figure of Table 1: top-1 against the number of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from reports.analysis.statistics import Estimate
from reports.analysis.words import estimate_text, number
from reports.figures.style import COLOURS, INK, LARGE, MUTED, Picture, draw
from reports.records.collect import Collected
from reports.tables.occlusion import METHOD_NAMES
from reports.tables.table1 import GainRow, gain_rows

TITLE = "Top-1 (%) against millions of parameters"
CAPTION = (
    "Measured here; a grey line joins the two trainings of a model, and letters give its size. Thin bars: 95 % "
    "interval over seeds, where there are several."
)
_MARKERS = {"DeiT": "o", "PVT": "s", "XCiT": "D", "CaiT": "^"}  # by family
_SIZE = 8  # points, of the letters
_WIDTH = 0.62 * _SIZE  # of a letter, about
_ROOM = 0.12  # beside the data, as a share of its extent
_SIDES = ((1, 0), (0, 1), (0, -1), (-1, 0))  # of a model's points: right, above, below, left
_Box = tuple[float, float, float, float]  # left, bottom, right, top, in points


@dataclass(frozen=True)
class Point:
    """A model.

    Attributes:
        family: as the paper calls it, ``CaiT``.
        size: its letters, ``XXS``.
        millions: of parameters.
        top1: in percent, by method; without those that were not measured.
    """

    family: str
    size: str
    millions: float
    top1: dict[str, Estimate]

    @property
    def name(self) -> str:
        """The paper's name of its row."""
        return f"{self.family}-{self.size}"


def accuracy_figure(collected: Collected) -> Picture | None:
    """Every measured model of Table 1; None for fewer than two, which the table shows as well."""
    points = [point for point in map(_point, gain_rows(collected)) if point.top1]
    if len(points) < 2:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        figure.subplots_adjust(right=1 - 0.3 / LARGE[0], top=1 - 0.55 / LARGE[1])
        axes.set_xscale("log")
        for point in points:
            _draw(axes, point)
        _format(axes, points)
        _write_sizes(axes, points)
        axes.set_title(TITLE, pad=18)
        _write_legend(axes, [family for family in _MARKERS if any(point.family == family for point in points)])

    found = "; ".join(_words(point) for point in points)
    return draw("parameters", f"{TITLE}, with and without TransMix: {found}.", CAPTION, LARGE, paint)


def _point(row: GainRow) -> Point:
    measured = {name: arm for name, arm in zip(METHOD_NAMES, row.arms, strict=True) if arm.mean is not None}
    parameters = next((arm.parameters for arm in measured.values()), 0)
    family, _, size = row.published.model.partition("-")
    return Point(family, size, parameters / 1e6, {name: arm.mean for name, arm in measured.items()})


def _words(point: Point) -> str:
    top1 = ", ".join(f"{METHOD_NAMES[method]} {estimate_text(found)}" for method, found in point.top1.items())
    return f"{point.name} with {number(point.millions)} million, {top1}"


def _draw(axes: Axes, point: Point) -> None:
    means = [found.mean for found in point.top1.values()]
    axes.plot([point.millions] * len(means), means, color=MUTED, linewidth=1.6, zorder=1)
    for method, found in point.top1.items():
        bar = {"color": COLOURS[method], "elinewidth": 0.7, "markersize": 4.5}
        axes.errorbar(point.millions, found.mean, yerr=found.half_width, fmt=_MARKERS[point.family], **bar)


def _write_legend(axes: Axes, families: list[str]) -> None:
    look = {"linestyle": "none", "markersize": 5}
    methods = [
        Line2D([], [], color=COLOURS[method], marker="o", label=name, **look) for method, name in METHOD_NAMES.items()
    ]
    shapes = [Line2D([], [], color=MUTED, marker=_MARKERS[family], label=family, **look) for family in families]
    place = {
        "loc": "lower left",
        "bbox_to_anchor": (-0.03, 1.0),
        "borderpad": 0,
        "handletextpad": 0,
        "columnspacing": 0.9,
    }
    axes.legend(handles=methods + shapes, ncols=len(methods + shapes), frameon=False, fontsize=8, **place)


def limits(points: Sequence[Point]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ends of both axes: of the data, and room on both sides, also where all models have one size or one top-1."""
    sizes = [math.log10(point.millions) for point in points]
    bars = [(found.mean, found.half_width or 0) for point in points for found in point.top1.values()]
    ends = [mean + sign * half_width for mean, half_width in bars for sign in (-1, 1)]
    low, high = _with_room(sizes, least=0.1)
    return (10**low, 10**high), _with_room(ends, least=0.1)


def _with_room(values: Sequence[float], least: float) -> tuple[float, float]:
    room = max(_ROOM * (max(values) - min(values)), least)
    return min(values) - room, max(values) + room


def _format(axes: Axes, points: Sequence[Point]) -> None:
    """A few round numbers on both axes, the logarithmic one too; what is drawn after that moves neither."""
    (low, high), heights = limits(points)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    round_ones = [step * 10.0**exponent for exponent in exponents for step in (1, 2, 5)]
    ticks = [tick for tick in round_ones if low <= tick <= high]
    if len(ticks) < 3:
        ticks = sorted({float(f"{tick:.2g}") for tick in np.geomspace(low * 1.02, high / 1.02, 5)})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlim(low, high)
    axes.set_ylim(heights)


def _write_sizes(axes: Axes, points: list[Point]) -> None:
    """Each model's letters beside its points, where they cover the least of other letters and of what is drawn."""
    drawn = {point.name: _extent(axes, point) for point in points}
    taken = list(drawn.values())
    for point in points:
        width = len(point.size) * _WIDTH
        box = min((_box(drawn[point.name], width, *side) for side in _SIDES), key=lambda box: _covered(box, taken))
        taken.append(box)
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        place = axes.transData.inverted().transform(np.array(middle) * axes.figure.dpi / 72)
        axes.text(*place, point.size, ha="center", va="center", fontsize=_SIZE, color=INK)


def _extent(axes: Axes, point: Point) -> _Box:
    """The box around a model's points and bars, in points."""
    bars = [(found.mean, found.half_width or 0) for found in point.top1.values()]
    ends = [mean + sign * half_width for mean, half_width in bars for sign in (-1, 1)]
    places = axes.transData.transform([(point.millions, end) for end in ends]) * 72 / axes.figure.dpi
    return places[0, 0] - 3, places[:, 1].min() - 3, places[0, 0] + 3, places[:, 1].max() + 3


def _box(around: _Box, width: float, right: int, up: int) -> _Box:
    """Where a text of some width lies on one side of a box."""
    left, bottom, right_end, top = around
    x = (left + right_end) / 2 + right * ((right_end - left) / 2 + width / 2 + 1)
    y = (bottom + top) / 2 + up * ((top - bottom) / 2 + _SIZE / 2 + 1)
    return x - width / 2, y - _SIZE / 2, x + width / 2, y + _SIZE / 2


def _covered(box: _Box, taken: list[_Box]) -> float:
    """Area of some boxes that a box covers."""
    return sum(
        max(min(box[2], other[2]) - max(box[0], other[0]), 0) * max(min(box[3], other[3]) - max(box[1], other[1]), 0)
        for other in taken
    )
