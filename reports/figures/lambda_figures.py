"""Figures of lambda through training: how far TransMix moves the labels of an epoch's CutMix images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from experiments.published import model_name
from reports.analysis.arms import arm
from reports.analysis.words import number, plural
from reports.figures.gallery import Gallery, small_multiples
from reports.figures.style import COLOURS, INK, MUTED, Picture, draw
from reports.records.collect import Collected
from transmix.training.log import LAMBDA_BINS

CAPTION = (
    "How far TransMix moves λ, the pasted image’s share of the label, from its share of the area: every column is an "
    "epoch’s CutMix images, and the stronger the colour, the more of them moved that far (bins of 0.05). Above zero, "
    "the pasted image counts for more than its area."
)
_BINS = LAMBDA_BINS["shift"]
_EDGES = np.linspace(-1, 1, _BINS + 1)
_STAYED = slice(_BINS // 2 - 1, _BINS // 2 + 1)  # moved by 0.05 or less
_COLUMNS = 30  # at most; of longer trainings each is several epochs
_KEY = {0.01: "1 %", 0.05: "5 %", 0.2: "20 %", 0.5: "≥ 50 %"}  # shares that the key explains
_STEPS, _FULL = 12, 0.5  # of opacity, so that one hue does on a light and on a dark page; the share with all of it


@dataclass(frozen=True)
class Shifts:
    """What the TransMix runs of a row did to the labels, over their seeds.

    Attributes:
        counts: (epochs, bins) images by how far their label's lambda was moved.
        distance: (epochs,) mean distance of the labels from the area rule.
        seeds: number of runs.
    """

    counts: np.ndarray
    distance: np.ndarray
    seeds: int

    @property
    def moved(self) -> np.ndarray:
        """(epochs,) shares of the images whose label moved by more than 0.05; NaN in an epoch without images."""
        with np.errstate(invalid="ignore"):
            return 1 - self.counts[:, _STAYED].sum(1) / self.counts.sum(1)


def lambda_curves(collected: Collected) -> list[Gallery]:
    """One gallery, of every row of the study whose TransMix runs counted labels; none without such a row."""
    found = {row: shifts for row in collected.study.rows if (shifts := read_shifts(collected, row)) is not None}
    if not found:
        return []
    return [small_multiples(CAPTION, list(found), lambda row, size: _figure(row, found[row], size))]


def read_shifts(collected: Collected, row: str) -> Shifts | None:
    """The histograms of a row's TransMix runs; None without any CutMix image."""
    histories = [result.record["history"] for result in arm(collected, row, "transmix").results]
    if not histories or not histories[0]:
        return None
    counts = np.sum([[epoch["lambda"]["shift"] for epoch in history] for history in histories], axis=0)
    distance = np.mean([[epoch["label_shift"] for epoch in history] for history in histories], axis=0)
    return Shifts(counts, distance, len(histories)) if counts.any() else None


def _figure(row: str, found: Shifts, size: tuple[float, float]) -> Picture:
    edges, shares = columns(found.counts)
    title = f"{model_name(row)}: shift of λ"

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        low, high = _span(shares)
        _paint_cells(axes, edges, steps(shares))
        axes.set(xlim=(edges[0], edges[-1]), ylim=(_EDGES[low], _EDGES[high]))
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.grid(False)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.set_title(title)
        axes.set_xlabel("epoch")
        _write_key(axes)

    return draw(f"lambda_{row}", f"{title} by epoch. {_words(found)}", "", size, paint)


def columns(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the columns of a figure show.

    Args:
        counts: (epochs, bins) images.

    Returns:
        edges (columns + 1,) in epochs, the first of which is around 1, and shares (columns, bins) of the images of a
        column, all zero where there are none.
    """
    starts = np.unique(np.linspace(0, len(counts), min(len(counts), _COLUMNS) + 1).astype(int))
    sums = np.add.reduceat(counts, starts[:-1], axis=0)
    return starts + 0.5, sums / np.maximum(sums.sum(1, keepdims=True), 1)


def steps(shares: np.ndarray) -> np.ndarray:
    """The step of opacity of each share: 0 for nothing, then by the square root, so that small shares are seen too."""
    return np.ceil(_STEPS * np.sqrt(np.clip(shares / _FULL, 0, 1))).astype(int)


def _paint_cells(axes: Axes, edges: np.ndarray, found: np.ndarray) -> None:
    """All cells of a step as one shape: small files, and no seams between neighbours."""
    for step in range(1, _STEPS + 1):
        column, bin_ = np.nonzero(found == step)
        if len(column):
            left, right, low, high = edges[column], edges[column + 1], _EDGES[bin_], _EDGES[bin_ + 1]
            corners = [(left, low), (right, low), (right, high), (left, high)]
            cells = np.moveaxis(np.array(corners), 2, 0)
            path = Path.make_compound_path_from_polys(cells)
            axes.add_patch(PathPatch(path, antialiased=False, **_fill(step)))


def _fill(step: int) -> dict[str, Any]:
    return {"facecolor": COLOURS["transmix"], "alpha": step / _STEPS, "linewidth": 0}


def _span(shares: np.ndarray) -> tuple[int, int]:
    """First and last bin that anything is in, as far below zero as above, and at least to 0.1."""
    used = np.flatnonzero(shares.any(0))
    reach = max(2, _BINS // 2 - used[0], used[-1] + 1 - _BINS // 2)
    return _BINS // 2 - reach, _BINS // 2 + reach


def _write_key(axes: Axes) -> None:
    """Squares of some shares at the right of the axes, from top to bottom."""
    width, height = 72 * axes.figure.get_size_inches() * axes.get_position().size
    for line, (share, text) in enumerate(_KEY.items()):
        x, y = 1 + 8 / width, 1 - (9 + 14 * line) / height
        place = {"transform": axes.transAxes, "clip_on": False}
        axes.add_patch(Rectangle((x, y), 9 / width, 9 / height, **place, **_fill(int(steps(np.array(share))))))
        axes.text(x + 13 / width, y + 4.5 / height, text, va="center", color=INK, fontsize=8, **place)


def _words(found: Shifts) -> str:
    shares = [f"{number(100 * share, 0)} %" for share in found.moved[[0, -1]] if not np.isnan(share)]
    text = (
        f"Mean distance from the area’s share: {number(found.distance[0], 3)} in the first of "
        f"{plural(len(found.counts), 'epoch')}, {number(found.distance[-1], 3)} in the last"
    )
    if len(shares) == 2:
        text += f"; moved by more than 0.05: {shares[0]} of the images in the first, {shares[1]} in the last"
    return f"{text}."
