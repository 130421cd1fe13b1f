"""The figures of Table 1: what every model gains, published and measured, and its top-1 against its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reports.analysis.gains import GainRow
from reports.analysis.names import TRANSMIX, method_name
from reports.analysis.statistics import Estimate
from reports.analysis.words import estimate_text, gain_text, number
from reports.figures.colours import INK, MUTED, colour_of
from reports.figures.style import LARGE, Picture, by_family, label_right, mpl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAINS_CAPTION = (
    "Filled: measured here, with the 95 % interval over seeds where there are several. Hollow: published, for "
    "ImageNet-1k and the paper’s models."
)
SIZES = "Top-1 (%) against millions of parameters"
SIZES_CAPTION = (
    "Measured here; a grey line joins the trainings of a model, and letters give its size. Thin bars: 95 % interval "
    "over seeds, where there are several."
)
_LINE, _GAP = 0.25, 0.12  # inches a gain, and more between families
_MARKERS = "osD^vP*X"  # by family, in the order of the rows
_SIZE = 8  # points, of the letters
_WIDTH = 0.62 * _SIZE  # of a letter, about
_ROOM = 0.12  # beside the data, as a share of its extent
_SIDES = ((1, 0), (0, 1), (0, -1), (-1, 0))  # of a model's points: right, above, below, left
_Box = tuple[float, float, float, float]  # left, bottom, right, top, in points


@dataclass(frozen=True)
class Gain:
    """One line of the figure of gains.

    Attributes:
        name: the model's, with the method's where several are shown.
        method: what is compared with the baseline.
        measured: the gain in points.
        published: the paper's, where it has one.
    """

    name: str
    method: str
    measured: Estimate
    published: float | None

    @property
    def words(self) -> str:
        """The line for those who cannot see it."""
        paper = "" if self.published is None else f", published {number(self.published, 1, sign=True)}"
        return f"{self.name} {gain_text(self.measured)}{paper}"


def gain_figure(rows: Sequence[GainRow]) -> Picture | None:
    """Gains by model, families together; None for fewer than two, which Table 1 shows as well."""
    gains = {row.row: found for row in rows if (found := _gains(row))}
    listed = [gain for family in by_family(list(gains)) for row in family for gain in gains[row]]
    if len(listed) < 2:
        return None
    methods = list(dict.fromkeys(gain.method for gain in listed))
    alone = methods == [TRANSMIX]
    listed = listed if alone else [_named(gain) for gain in listed]
    title = f"Gain in top-1 {'with TransMix' if alone else 'over the baseline'} (points)"
    places, height = _places([[gain for row in family for gain in gains[row]] for family in by_family(list(gains))])
    colours = {method: colour_of(method) for method in methods}
    labels = {method: "measured here" if alone else method_name(method) for method in methods}
    left = 0.8 if alone else 0.2 + 0.075 * max(len(gain.name) for gain in listed)
    size = (LARGE[0] - 0.8 + left, height + 1.0)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        figure.subplots_adjust(left=left / size[0], right=1 - 1.05 / size[0], top=1 - 0.55 / size[1])
        axes.axvline(0, color=MUTED, linewidth=1)
        placed = list(zip(listed, places, strict=True))
        paper = [(gain.published, place) for gain, place in placed if gain.published is not None]
        hollow = {"marker": "D", "facecolors": "none", "edgecolors": MUTED}
        if paper:
            axes.scatter(*zip(*paper, strict=True), s=22, **hollow, label="published")
        for method in methods:
            found = [(gain.measured, place) for gain, place in placed if gain.method == method]
            axes.errorbar(
                [gain.mean for gain, _ in found],
                [place for _, place in found],
                xerr=[gain.half_width or 0 for gain, _ in found],
                fmt="o",
                markersize=5,
                color=colours[method],
                label=labels[method],
            )
        for gain, place in placed:
            label_right(axes, place, gain_text(gain.measured), colours[gain.method])
        axes.set_yticks(places, [gain.name for gain in listed], color=INK)
        axes.set_ylim(height, 0)
        axes.grid(False, axis="y")
        axes.grid(True, axis="x")
        axes.set_title(title, pad=18)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, frameon=False, borderpad=0, fontsize=8.5)

    words = "; ".join(gain.words for gain in listed)
    return Picture("gains", f"{title}, by model: {words}.", GAINS_CAPTION, size, paint)


def _gains(row: GainRow) -> list[Gain]:
    """A row's gains that can be formed; the paper's stands beside TransMix's."""
    return [
        Gain(row.model, method, found.gain, row.published_gain if method == TRANSMIX else None)
        for method, found in row.comparisons.items()
        if found.gain is not None
    ]


def _named(gain: Gain) -> Gain:
    return Gain(f"{gain.name}, {method_name(gain.method)}", gain.method, gain.measured, gain.published)


def _places(families: Sequence[Sequence[Gain]]) -> tuple[list[float], float]:
    """How far below the top each gain goes, and the height of all, in inches."""
    places, height = [], 0.0
    for number_, family in enumerate(families):
        height += _GAP if number_ else 0
        places += [height + _LINE * (place + 0.5) for place in range(len(family))]
        height += _LINE * len(family)
    return places, height


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
        """Its row's name for people: ``DeiT-T``."""
        return f"{self.family}-{self.size}" if self.size else self.family


def accuracy_figure(rows: Sequence[GainRow]) -> Picture | None:
    """Every measured model; None for fewer than two, which Table 1 shows as well."""
    points = [point for point in map(_point, rows) if point.top1]
    if len(points) < 2:
        return None
    methods = list(dict.fromkeys(method for point in points for method in point.top1))
    colours = {method: colour_of(method) for method in methods}
    families = list(dict.fromkeys(row.model.partition("-")[0] for row in rows))
    markers = {family: _MARKERS[place % len(_MARKERS)] for place, family in enumerate(families)}
    labels = {method_name(method): colour for method, colour in colours.items()}
    shapes = {family: mark for family, mark in markers.items() if any(point.family == family for point in points)}

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        figure.subplots_adjust(right=1 - 0.3 / LARGE[0], top=1 - 0.55 / LARGE[1])
        axes.set_xscale("log")
        for point in points:
            _draw(axes, point, markers[point.family], colours)
        _format(axes, points)
        _write_sizes(axes, points)
        axes.set_title(SIZES, pad=18)
        _write_legend(axes, labels, shapes)

    found = "; ".join(_words(point) for point in points)
    return Picture("parameters", f"{SIZES}, with and without TransMix: {found}.", SIZES_CAPTION, LARGE, paint)


def _point(row: GainRow) -> Point:
    measured = {method: arm for method, arm in row.arms.items() if arm.mean is not None}
    parameters = next((arm.parameters for arm in measured.values()), 0)
    family, _, size = row.model.partition("-")
    return Point(family, size, parameters / 1e6, {method: arm.mean for method, arm in measured.items()})


def _words(point: Point) -> str:
    top1 = ", ".join(f"{method_name(method)} {estimate_text(found)}" for method, found in point.top1.items())
    return f"{point.name} with {number(point.millions)} million, {top1}"


def _draw(axes: Axes, point: Point, marker: str, colours: dict[str, str]) -> None:
    means = [found.mean for found in point.top1.values()]
    axes.plot([point.millions] * len(means), means, color=MUTED, linewidth=1.6, zorder=1)
    for method, found in point.top1.items():
        bar = {"color": colours[method], "elinewidth": 0.7, "markersize": 4.5}
        axes.errorbar(point.millions, found.mean, yerr=found.half_width, fmt=marker, **bar)


def _write_legend(axes: Axes, methods: dict[str, str], families: dict[str, str]) -> None:
    """Colours of the methods, then shapes of the families."""
    look = {"linestyle": "none", "markersize": 5}
    handles = [
        mpl.lines.Line2D([], [], color=colour, marker="o", label=name, **look) for name, colour in methods.items()
    ]
    handles += [
        mpl.lines.Line2D([], [], color=MUTED, marker=mark, label=family, **look) for family, mark in families.items()
    ]
    place = {
        "loc": "lower left",
        "bbox_to_anchor": (-0.03, 1.0),
        "borderpad": 0,
        "handletextpad": 0,
        "columnspacing": 0.9,
    }
    axes.legend(handles=handles, ncols=len(handles), frameon=False, fontsize=8, **place)


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
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
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
