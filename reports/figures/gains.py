"""The figure of Table 1: every model's gain, published and measured."""

from __future__ import annotations

from matplotlib.figure import Figure

from reports.analysis.words import gain_text, number
from reports.figures.gallery import by_family
from reports.figures.style import COLOURS, INK, LARGE, MUTED, Picture, draw, label_right
from reports.records.collect import Collected
from reports.tables.table1 import GainRow, gain_rows

TITLE = "Gain in top-1 with TransMix (points)"
CAPTION = (
    "Filled: measured here, with the 95 % interval over seeds where there are several. Hollow: published, for "
    "ImageNet-1k and the paper’s models."
)
_LINE, _GAP = 0.25, 0.12  # inches a model, and more between families


def gain_figure(collected: Collected) -> Picture | None:
    """Gains by model, families together; None for fewer than two models, which Table 1 shows as well."""
    rows = {row.published.row: row for row in gain_rows(collected) if row.gain is not None}
    if len(rows) < 2:
        return None
    places, height = _places(list(rows))
    gains = [rows[row].gain for row in places]
    published = [rows[row].published.gain for row in places]
    names = [rows[row].published.model for row in places]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        figure.subplots_adjust(left=0.8 / LARGE[0], right=1 - 1.05 / LARGE[0], top=1 - 0.55 / figure.get_figheight())
        axes.axvline(0, color=MUTED, linewidth=1)
        hollow = {"marker": "D", "facecolors": "none", "edgecolors": MUTED}
        axes.scatter(published, list(places.values()), s=22, **hollow, label="published")
        axes.errorbar(
            [gain.mean for gain in gains],
            list(places.values()),
            xerr=[gain.half_width or 0 for gain in gains],
            fmt="o",
            markersize=5,
            color=COLOURS["transmix"],
            label="measured here",
        )
        for gain, place in zip(gains, places.values(), strict=True):
            label_right(axes, place, gain_text(gain), COLOURS["transmix"])
        axes.set_yticks(list(places.values()), names, color=INK)
        axes.set_ylim(height, 0)
        axes.grid(False, axis="y")
        axes.grid(True, axis="x")
        axes.set_title(TITLE, pad=18)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False, borderpad=0, fontsize=8.5)

    words = "; ".join(_words(rows[row]) for row in places)
    return draw("gains", f"{TITLE}, by model: {words}.", CAPTION, (LARGE[0], height + 1.0), paint)


def _words(row: GainRow) -> str:
    return f"{row.published.model} {gain_text(row.gain)}, published {number(row.published.gain, 1, sign=True)}"


def _places(rows: list[str]) -> tuple[dict[str, float], float]:
    """How far below the top each row goes, and the height of all, in inches."""
    places, height = {}, 0.0
    for place, family in enumerate(by_family(rows)):
        height += _GAP if place else 0
        for row in family:
            places[row] = height + _LINE / 2
            height += _LINE
    return places, height
