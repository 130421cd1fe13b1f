"""``python -m reports own DIR``: curves of your own models, from the records that ``python -m robustness`` wrote there.

Sweeps of one kind, of the same images and by the same protocol share a figure, ``DIR/<kind>.png``, and a table of the
areas under their curves; every model is compared with the first, image by image.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.protocols import CURVES, OCCLUSION, curve_name
from experiments.records import NAME
from reports.analysis.words import number
from reports.figures.colours import PALETTE
from reports.figures.occlusion import line
from reports.figures.style import Picture, mpl
from reports.formats.render import print_table, warn
from reports.formats.table import Cell, Column, Table
from reports.records import answers
from reports.records.collect import Result
from reports.records.found import readable
from transmix.common.errors import UserError
from transmix.common.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Area under the curve: top-1 in percent, mean over its points. The difference is from the first model; its 95 % "
    "interval is a paired bootstrap over images."
)


def own(args: argparse.Namespace) -> None:
    """Draw and print what is there.

    Raises:
        UserError: no sweeps in that folder.
    """
    folder = args.folder
    groups = collect_own(folder)
    if not groups:
        raise UserError(
            f"no records of sweeps of your own models in {folder}: make some with python -m robustness ... --out DIR; "
            "'python -m reports' shows the runs of a study, and 'python -m reports compare' two folders of them"
        )
    kinds = [results[0].run.kind for results in groups]
    for place, (kind, results) in enumerate(zip(kinds, groups, strict=True)):
        name = kind if kinds.count(kind) == 1 else f"{kind}-{1 + kinds[:place].count(kind)}"
        path = folder / f"{name}.png"
        with replacing(path) as file:
            file.write(picture(name, results))
        print_table(areas(name, results))
        print(f"figure: {path}")


def collect_own(folder: Path) -> list[list[Result]]:
    """The sweeps below a folder, those together that compare: of one kind, with the same images and settings.

    Raises:
        UserError: there is no such folder, or no record in it.
    """
    results, problems = readable(folder)
    warn(problems)
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=_written):  # the first model was first
        record = result.record
        if result.run.scale == "own" and "curves" in record.metrics:
            alike = [result.run.kind, record.data.identity, record.settings, record.metrics["grid"]]
            groups.setdefault(json.dumps(alike, sort_keys=True), []).append(result)
    return list(groups.values())


def _written(result: Result) -> int:
    return (result.folder / NAME).stat().st_mtime_ns


def names_of(results: list[Result]) -> list[str]:
    """What each model is called: by its weights file where two are of one architecture."""
    rows = [result.run.row for result in results]
    files = [Path(result.record.weights).name for result in results]
    return [row if rows.count(row) == 1 else f"{row}, {file}" for row, file in zip(rows, files, strict=True)]


def curves_of(results: list[Result]) -> list[str]:
    """The curves of a group, in their usual order."""
    return [curve for curve in CURVES if curve in results[0].metrics["curves"]]


def picture(name: str, results: list[Result]) -> bytes:
    """A PNG: a panel for each curve, a line for each model, and its 95 % interval over images as a band."""
    curves = curves_of(results)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
        for axes, curve in zip(panels, curves, strict=True):
            for place, (label, result) in enumerate(zip(names_of(results), results, strict=True)):
                found, colour = line([result], (curve,)), PALETTE[place % len(PALETTE)]
                low, high = found.top1 - found.half_width, found.top1 + found.half_width
                axes.fill_between(found.x, low, high, color=colour, alpha=0.15, linewidth=0)
                axes.plot(found.x, found.top1, color=colour, linewidth=1.3, marker="o", markersize=2, label=label)
            axes.set_ylim(0)
            axes.set_title(curve_name(curve))
            axes.set_xlabel(axis_of(curve, results[0].record.settings["protocol"]))
            if curve in OCCLUSION:
                axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0, symbol=" %"))
            elif curve == "shuffle":
                axes.set_xscale("log", base=2)
        panels[0].set_ylabel("top-1 (%)")
        figure.subplots_adjust(left=0.6 / width, right=1 - 0.1 / width, bottom=(0.55 + legend) / height)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="lower left", frameon=False)

    legend = 0.1 + 0.19 * len(results)
    width, height = max(4.5, 0.9 + 2.2 * len(curves)), 2.7 + legend
    return Picture(name, "", "", (width, height), paint).png


def axis_of(curve: str, protocol: str) -> str:
    """What the severities of a curve are."""
    if curve in OCCLUSION:
        by_count = protocol == "per_image" or curve == "random"
        kept = curve == "non_salient"
        return "patches dropped" if by_count else f"saliency {'kept' if kept else 'dropped'}"
    return "cells" if curve == "shuffle" else "severity"


def areas(name: str, results: list[Result]) -> Table:
    """A line a model and curve."""
    columns = (
        Column("curve", "Curve", align="left"),
        Column("model", "Model", align="left"),
        Column("area", "Area under the curve"),
        Column("difference", "Difference"),
        Column("images", "95 % over images"),
    )
    rows = []
    for curve in curves_of(results):
        for label, result in zip(names_of(results), results, strict=True):
            read = partial(answers.areas, curves=(curve,))
            found = None if result is results[0] else answers.image_difference(results[:1], [result], read)
            texts: dict[str, Any] = {
                "curve": curve_name(curve),
                "model": label,
                "area": number(result.metrics["curves"][curve]["area"]),
                "difference": number(found.mean, sign=True) if found else "",
                "images": found.text if found else "",
            }
            rows.append({key: Cell(text) for key, text in texts.items()})
    return Table(name, CAPTION, columns, tuple(rows))
