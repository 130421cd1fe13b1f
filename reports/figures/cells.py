"""The figures of Table 6: gains over CutMix by length of training, and how near labels come to the truth by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.rows import model_name
from reports.analysis.cells import CEILING, REFERENCE, CellRow, LabelErrors
from reports.analysis.names import TRANSMIX, method_title
from reports.analysis.statistics import Estimate
from reports.analysis.words import gain_text, number, plural
from reports.figures.colours import INK, MUTED, colour_of
from reports.figures.style import LARGE, SMALL, Gallery, Picture, label_ends, mpl

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAINS = (
    "Top-1 over {reference} in points, against the epochs of a training; bars: 95 % intervals over seeds, where there "
    "are several. {ceiling} knows the true share of every pasted object: a label rule’s ceiling."
)
ERRORS = (
    "Mean distance of the labels’ λ from the visible share of the pasted object, over the CutMix images of each epoch "
    "of TransMix’s longest training, mean over seeds; grey: the same images labelled by area."
)
_SPANS = 30


def gain_gallery(rows: Sequence[CellRow]) -> Gallery | None:
    """A figure for each model and object size that was trained for several lengths; None without one."""
    groups: dict[tuple[str, str], list[CellRow]] = {}
    for row in rows:
        groups.setdefault((row.row, row.cell.size), []).append(row)
    lengths = {key: [row for row in group if row.gains[TRANSMIX].gain is not None] for key, group in groups.items()}
    shown = {key: group for key, group in lengths.items() if len(group) > 1}
    size = LARGE if len(shown) == 1 else SMALL
    pictures = tuple(_gains(*key, group, size) for key, group in shown.items())
    caption = GAINS.format(reference=method_title(REFERENCE), ceiling=method_title(CEILING))
    return Gallery(caption, (pictures,)) if pictures else None


def _gains(row: str, objects: str, group: list[CellRow], size: tuple[float, float]) -> Picture:
    lines = {name: _line(group, name) for name in (CEILING, TRANSMIX)}
    lines = {name: line for name, line in lines.items() if line}
    title = f"{model_name(row)}, {objects}: gain (points)"
    colours = {name: INK if name == CEILING else colour_of(name) for name in lines}
    texts = {name: f"{method_title(name)} {number(line[-1][1].mean, sign=True)}" for name, line in lines.items()}
    ends = {name: (line[-1][0], line[-1][1].mean) for name, line in lines.items()}
    epochs = [cell.cell.epochs for cell in group]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.axhline(0, color=MUTED, linewidth=1)
        for place, (name, line) in enumerate(lines.items()):
            x = np.array([length for length, _ in line]) * (1 + 0.03 * place)  # bars side by side
            means = [gain.mean for _, gain in line]
            bars = [gain.half_width or 0 for _, gain in line]
            axes.errorbar(x, means, yerr=bars, fmt="o-", markersize=4.5, elinewidth=1, color=colours[name])
        axes.set_xticks(epochs, [f"{length:,}" for length in epochs])
        axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.set_xlabel("epochs")
        axes.set_title(title)
        axes.margins(y=0.08)
        label_ends(axes, ends, texts, colours)

    words = "; ".join(
        f"{method_title(name)} {', '.join(f'{gain_text(gain)} after {length} epochs' for length, gain in line)}"
        for name, line in lines.items()
    )
    return Picture(f"cells_{row}_{objects}", f"{title} by length of training: {words}.", "", size, paint)


def _line(group: list[CellRow], method: str) -> list[tuple[int, Estimate]]:
    found = [(row.cell.epochs, row.gains[method].gain) for row in group if method in row.gains]
    return [(epochs, gain) for epochs, gain in found if gain is not None]


def error_gallery(rows: Sequence[CellRow]) -> Gallery | None:
    """A figure for each model and object size, of its longest training that counted errors; None without one."""
    longest: dict[tuple[str, str], tuple[CellRow, LabelErrors]] = {}
    for row in rows:
        errors = row.label_errors(TRANSMIX)
        if errors is not None:
            longest[row.row, row.cell.size] = (row, errors)  # lengths rise
    size = LARGE if len(longest) == 1 else SMALL
    pictures = tuple(_errors(row, errors, size) for row, errors in longest.values())
    return Gallery(ERRORS, (pictures,)) if pictures else None


def in_spans(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Means over spans of epochs, at most 30 of them, as few CutMix batches an epoch make a line of noise.

    Args:
        values: (epochs,) from epoch 1 on.

    Returns:
        The middle of each span, its mean, and how many epochs a span has; the last may have fewer.
    """
    width = -(-len(values) // _SPANS)
    starts = np.arange(0, len(values), width)
    counts = np.diff(np.append(starts, len(values)))
    return starts + (counts + 1) / 2, np.add.reduceat(values, starts) / counts, width


def _errors(row: CellRow, errors: LabelErrors, size: tuple[float, float]) -> Picture:
    spans = {"area": in_spans(errors.area.mean(0)), TRANSMIX: in_spans(errors.label.mean(0))}
    lines = {name: line for name, (_, line, _) in spans.items()}
    middles, _, width = spans["area"]
    texts = {name: f"{'area' if name == 'area' else 'label'} {number(line[-1], 3)}" for name, line in lines.items()}
    colours = {"area": MUTED, TRANSMIX: colour_of(TRANSMIX)}
    title = f"{model_name(row.row)}, {row.cell.size}: error of λ"

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for name, line in lines.items():
            axes.plot(middles, line, color=colours[name])
        axes.set_title(title)
        axes.set_xlabel("epoch" if width == 1 else f"epoch, means of {width}")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.margins(y=0.08)
        ends = {name: (middles[-1], float(line[-1])) for name, line in lines.items()}
        label_ends(axes, ends, texts, colours)

    alt = f"{title} by epoch, {plural(row.cell.epochs, 'epoch')}; at the end {', '.join(texts.values())}."
    return Picture(f"error_{row.row}_{row.cell.size}", alt, "", size, paint)
