"""Figures of a comparison: differences by run, and occlusion curves of both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.protocols import OCCLUSION, curve_name
from experiments.rows import model_name
from reports.analysis.arms import Comparison
from reports.analysis.names import head_name, method_name
from reports.analysis.words import estimate_text, number
from reports.compare.pairs import Pair, Pairing
from reports.figures.colours import BLUE, INK, MUTED, ORANGE
from reports.figures.occlusion import STYLES, line
from reports.figures.style import LARGE, SMALL, Gallery, Picture, label_ends, label_right, mpl
from reports.records.collect import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Filled: with the 95 % interval over seeds. Hollow: there is none, so with that over images, where answers are "
    "kept; it is about these very models. Grey: on different data."
)
CURVES = (
    "Top-1 by patches dropped, A in blue and B in orange: at random (solid), foreground first (dotted), background "
    "first (dashed)."
)
SIDES = {"A": BLUE, "B": ORANGE}
_LINE, _LETTER, _PLOT = 0.25, 0.072, 3.0  # inches: a run, a letter of its name, and what is beside the names


def difference_figures(pairing: Pairing) -> list[Picture]:
    """For each table, how the metric that stands for it changed, with one line for each run."""
    tables: dict[str, list[Pair]] = {}
    for pair in pairing.pairs:
        if pair.comparisons:
            tables.setdefault(pair.first.run.table, []).append(pair)
    return [_differences(table, pairs) for table, pairs in tables.items()]


def _differences(table: str, pairs: list[Pair]) -> Picture:
    names, compared = [_label(pair) for pair in pairs], [pair.comparisons[0] for pair in pairs]
    texts = ["equal" if one.equal else estimate_text(one.difference, True, one.metric.digits) for one in compared]
    points = [(one.difference.mean, *_ends(one), _looks(one)) for one in compared]
    title = f"{table.replace('table', 'Table ').capitalize()}: {compared[0].metric.title}, B − A"
    left = 0.15 + _LETTER * max(map(len, names))
    size = (left + _PLOT, _LINE * len(pairs) + 0.85)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        figure.subplots_adjust(left=left / size[0])
        axes.axvline(0, color=MUTED, linewidth=1)
        for place, ((mean, low, high, looks), text) in enumerate(zip(points, texts, strict=True)):
            axes.plot([low, high], [place, place], color=looks["color"], solid_capstyle="butt")
            axes.plot(mean, place, marker="o", markersize=5, **looks)
            label_right(axes, place, text)
        axes.set_yticks(range(len(names)), names, color=INK)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.margins(x=0.08)
        axes.grid(False, axis="y")
        axes.grid(True, axis="x")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
        figure.text(0.1 / size[0], 1 - 0.2 / size[1], title, fontsize=10)

    listed = "; ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
    return Picture(f"differences_{table}", f"{title}. {listed}.", "", size, paint)


def _ends(found: Comparison) -> tuple[float, float]:
    """The interval over seeds, else that over images, else none."""
    seen = found.difference
    if seen.half_width is not None:
        return seen.low, seen.high
    return (found.images.low, found.images.high) if found.images else (seen.mean, seen.mean)


def _looks(found: Comparison) -> dict[str, str]:
    colour = ORANGE if found.same_data else MUTED
    return {"color": colour, "markerfacecolor": "none" if found.difference.half_width is None else colour}


def _label(pair: Pair) -> str:
    """``DeiT-T TransMix``, ``XCiT-T UPerNet random``; a user's own model by its name."""
    run = pair.first.run
    part = head_name(run.part) if run.part else ""
    return " ".join(filter(None, (model_name(run.row), part, method_name(run.method))))


def curves_gallery(pairing: Pairing) -> Gallery | None:
    """The occlusion curves of every pair that has them; a line for each row of Table 1."""
    rows: dict[str, list[Pair]] = {}
    for pair in pairing.pairs:
        if all(_has_curves(result) for both in pair.both for result in both):
            rows.setdefault(pair.first.run.row, []).append(pair)
    size = LARGE if sum(map(len, rows.values())) == 1 else SMALL
    lines = tuple(tuple(_curves(pair, size) for pair in pairs) for pairs in rows.values())
    return Gallery(CURVES, lines) if lines else None


def _has_curves(result: Result) -> bool:
    return result.run.kind == "occlusion" and set(OCCLUSION) <= result.metrics.get("curves", {}).keys()


def _curves(pair: Pair, size: tuple[float, float]) -> Picture:
    results = {"A": list(pair.a.values()), "B": list(pair.b.values())}
    lines = {(side, curve): line(results[side], (curve,)) for side in SIDES for curve in OCCLUSION}
    ends = {side: (lines[side, "random"].x[-1], lines[side, "random"].top1[-1]) for side in SIDES}
    title = _label(pair)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for (side, curve), found in lines.items():
            axes.plot(found.x, found.top1, color=SIDES[side], linestyle=STYLES[curve], linewidth=1.3)
        axes.set_ylim(0)
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0, symbol=" %"))
        axes.set_title(f"{title}: top-1 (%)")
        axes.set_xlabel("patches dropped")
        label_ends(axes, ends, {side: side for side in SIDES}, SIDES)

    areas = {(side, one.metric.key): one.means[place] for one in pair.comparisons for place, side in enumerate("AB")}
    told = [f"{curve_name(key.removeprefix('area_'))}, {side} {number(value)}" for (side, key), value in areas.items()]
    name = f"occlusion_{pair.first.run.row}_{pair.first.run.method}"
    return Picture(name, f"{title}: top-1 by share of dropped patches. Areas: {'; '.join(told)}.", "", size, paint)
