"""Figures of training, epoch by epoch: top-1, loss, and how far methods move the labels of CutMix images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.rows import model_name
from reports.analysis.arms import arm
from reports.analysis.names import TRANSMIX, method_name, methods_in, with_method
from reports.analysis.words import number
from reports.figures.colours import INK, MUTED, colour_of
from reports.figures.style import Gallery, Picture, label_ends, mpl, small_multiples
from reports.records.collect import Collected, Result
from transmix.training.log import LAMBDA_BINS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCURACY = "Top-1 on the validation images, after each epoch that was evaluated."
LOSS = (
    "Mean training loss of each epoch, against mixed and smoothed targets. The methods mix their targets differently, "
    "so the levels of their losses do not compare."
)
SHIFT = (
    "How far {method} moves λ, the pasted image’s share of the label, from its share of the area: every column is an "
    "epoch’s CutMix images, and the stronger the colour, the more of them moved that far (bins of 0.05). Above zero, "
    "the pasted image counts for more than its area."
)
_BINS = LAMBDA_BINS["shift"]
_EDGES = np.linspace(-1, 1, _BINS + 1)
_STAYED = slice(_BINS // 2 - 1, _BINS // 2 + 1)  # moved by 0.05 or less
_COLUMNS = 30  # at most; of longer trainings each is several epochs
_KEY = {0.01: "1 %", 0.05: "5 %", 0.2: "20 %", 0.5: "≥ 50 %"}  # shares that the key explains
_STEPS, _FULL = 12, 0.5  # of opacity, so that one hue does on a light and on a dark page; the share with all of it


Reader = Callable[[dict], float]  # one value from a line of a training history
Trained = dict[str, list[Result]]  # a row's training runs that have a record, by method
Epochs = dict[str, list[list[dict[str, Any]]]]  # lines of their histories, by method and run


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
    found = {method: arm(collected, row, method).results for method in methods_in(collected, "table1")}
    return {method: results for method, results in found.items() if results and results[0].record.history}


def _accuracy(row: str, done: Trained, size: tuple[float, float]) -> Picture:
    evaluated = {method: [result.record.evaluated for result in results] for method, results in done.items()}
    return _history(f"accuracy_{row}", f"{model_name(row)}: top-1 (%)", evaluated, size, _top1, digits=1)


def _loss(row: str, done: Trained, size: tuple[float, float]) -> Picture:
    every = {method: [result.record.history for result in results] for method, results in done.items()}
    return _history(f"loss_{row}", f"{model_name(row)}: training loss", every, size, lambda epoch: epoch["loss"], 2)


def _epochs(lines: list[dict[str, Any]]) -> np.ndarray:
    """Which epochs some lines of a history are of, counted from 1."""
    return np.array([line["epoch"] + 1 for line in lines])


def _top1(epoch: dict) -> float:
    return epoch["accuracy"]["top1"]


def _history(name: str, title: str, done: Epochs, size: tuple[float, float], read: Reader, digits: int) -> Picture:
    lines = {method: np.array([[read(epoch) for epoch in run] for run in runs]) for method, runs in done.items()}
    epochs = {method: _epochs(runs[0]) for method, runs in done.items()}
    ends = {method: (epochs[method][-1], line[:, -1].mean()) for method, line in lines.items()}
    texts = {method: f"{method_name(method)} {number(end, digits)}" for method, (_, end) in ends.items()}
    colours = {method: colour_of(method) for method in lines}

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for method, line in lines.items():
            _lines(axes, epochs[method], line, colours[method])
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.margins(y=0.08)
        label_ends(axes, ends, texts, colours)

    return Picture(name, f"{title} by epoch; at the end {', '.join(texts.values())}.", "", size, paint)


def _lines(axes: Axes, x: np.ndarray, lines: np.ndarray, colour: str) -> None:
    """A thin line for each seed, if there are several, and a thick one for their mean."""
    if len(lines) > 1:
        axes.plot(x, lines.T, color=colour, linewidth=0.7, alpha=0.45)
    axes.plot(x, lines.mean(0), color=colour, marker="o" if len(x) == 1 else None)


@dataclass(frozen=True)
class Shifts:
    """What a method did to the labels in the runs of a row, over their seeds.

    Attributes:
        epochs: (epochs,) which were looked at, counted from 1.
        counts: (epochs, bins) images by how far their label's lambda was moved.
        distance: (epochs,) mean distance of the labels from the area rule.
        seeds: number of runs.
    """

    epochs: np.ndarray
    counts: np.ndarray
    distance: np.ndarray
    seeds: int

    @property
    def moved(self) -> np.ndarray:
        """(epochs,) shares of the images whose label moved by more than 0.05; NaN in an epoch without images."""
        with np.errstate(invalid="ignore"):
            return 1 - self.counts[:, _STAYED].sum(1) / self.counts.sum(1)


def lambda_curves(collected: Collected) -> list[Gallery]:
    """A gallery for each method that the lambda study looks at, of the rows of which such runs counted labels."""
    galleries = []
    for method in methods_in(collected, "lambda"):
        shifts = {row: read_shifts(collected, row, method) for row in collected.study.rows}
        found = {row: counted for row, counted in shifts.items() if counted is not None}
        if found:
            caption = SHIFT.format(method=method_name(method))
            paint = partial(_shift, found=found, method=method)
            galleries.append(small_multiples(caption, list(found), paint))
    return galleries


def read_shifts(collected: Collected, row: str, method: str = TRANSMIX) -> Shifts | None:
    """The histograms of a row's runs by a method; None without any CutMix image."""
    histories = [result.record.evaluated for result in arm(collected, row, method).results]
    if not histories or not histories[0]:
        return None
    counts = np.sum([[epoch["lambda"]["shift"] for epoch in history] for history in histories], axis=0)
    distance = np.mean([[epoch["label_shift"] for epoch in history] for history in histories], axis=0)
    return Shifts(_epochs(histories[0]), counts, distance, len(histories)) if counts.any() else None


def _shift(row: str, size: tuple[float, float], found: dict[str, Shifts], method: str) -> Picture:
    edges, shares = columns(found[row].epochs, found[row].counts)
    title = f"{with_method(row, method)}: shift of λ"
    name = f"lambda_{row}" if method == TRANSMIX else f"lambda_{row}_{method}"
    colour = colour_of(method)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        low, high = _span(shares)
        _paint_cells(axes, edges, steps(shares), colour)
        axes.set(xlim=(edges[0], edges[-1]), ylim=(_EDGES[low], _EDGES[high]))
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.grid(False)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.set_title(title)
        axes.set_xlabel("epoch")
        _write_key(axes, colour)

    return Picture(name, f"{title} by epoch. {_words(found[row])}", "", size, paint)


def columns(epochs: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the columns of a figure show.

    Args:
        epochs: (epochs,) which they are; a column reaches back to the one before.
        counts: (epochs, bins) images.

    Returns:
        edges (columns + 1,) in epochs, the first of which is around 1, and shares (columns, bins) of the images of a
        column, all zero where there are none.
    """
    starts = np.unique(np.linspace(0, len(counts), min(len(counts), _COLUMNS) + 1).astype(int))
    sums = np.add.reduceat(counts, starts[:-1], axis=0)
    return np.array([0, *epochs])[starts] + 0.5, sums / np.maximum(sums.sum(1, keepdims=True), 1)


def steps(shares: np.ndarray) -> np.ndarray:
    """The step of opacity of each share: 0 for nothing, then by the square root, so that small shares are seen too."""
    return np.ceil(_STEPS * np.sqrt(np.clip(shares / _FULL, 0, 1))).astype(int)


def _paint_cells(axes: Axes, edges: np.ndarray, found: np.ndarray, colour: str) -> None:
    """All cells of a step as one shape: small files, and no seams between neighbours."""
    for step in range(1, _STEPS + 1):
        column, bin_ = np.nonzero(found == step)
        if len(column):
            left, right, low, high = edges[column], edges[column + 1], _EDGES[bin_], _EDGES[bin_ + 1]
            corners = [(left, low), (right, low), (right, high), (left, high)]
            cells = np.moveaxis(np.array(corners), 2, 0)
            path = mpl.path.Path.make_compound_path_from_polys(cells)
            axes.add_patch(mpl.patches.PathPatch(path, antialiased=False, **_fill(step, colour)))


def _fill(step: int, colour: str) -> dict[str, Any]:
    return {"facecolor": colour, "alpha": step / _STEPS, "linewidth": 0}


def _span(shares: np.ndarray) -> tuple[int, int]:
    """First and last bin that anything is in, as far below zero as above, and at least to 0.1."""
    used = np.flatnonzero(shares.any(0))
    reach = max(2, _BINS // 2 - used[0], used[-1] + 1 - _BINS // 2)
    return _BINS // 2 - reach, _BINS // 2 + reach


def _write_key(axes: Axes, colour: str) -> None:
    """Squares of some shares at the right of the axes, from top to bottom."""
    width, height = 72 * axes.figure.get_size_inches() * axes.get_position().size
    for line, (share, text) in enumerate(_KEY.items()):
        x, y = 1 + 8 / width, 1 - (9 + 14 * line) / height
        place = {"transform": axes.transAxes, "clip_on": False}
        axes.add_patch(
            mpl.patches.Rectangle((x, y), 9 / width, 9 / height, **place, **_fill(int(steps(np.array(share))), colour))
        )
        axes.text(x + 13 / width, y + 4.5 / height, text, va="center", color=INK, fontsize=8, **place)


def _words(found: Shifts) -> str:
    shares = [f"{number(100 * share, 0)} %" for share in found.moved[[0, -1]] if not np.isnan(share)]
    text = (
        f"Mean distance from the area’s share: {number(found.distance[0], 3)} in epoch {found.epochs[0]}, "
        f"{number(found.distance[-1], 3)} in epoch {found.epochs[-1]}"
    )
    if len(shares) == 2:
        text += f"; moved by more than 0.05: {shares[0]} of the images first, {shares[1]} at the end"
    return f"{text}."
