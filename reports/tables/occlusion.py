"""Robustness to what is done to images: areas under the curves of top-1 against how much of it is done."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from experiments.protocols import CORRUPTIONS, Sweep
from experiments.published import model_name
from reports.analysis.arms import Arm, Comparison, Measure, arm_of, gain_cell, mean_cell, seeds_text, verdict_notes
from reports.analysis.metrics import LINES, area
from reports.analysis.power import power_note
from reports.analysis.statistics import estimate_numbers, interval_numbers, mean_interval
from reports.formats.table import Cell, Column, Table, missing
from reports.records import answers
from reports.records.collect import Collected, Result
from reports.records.published_sets import (
    agreement_notes,
    published_gain,
    published_mean,
    set_columns,
    set_key,
    sets_of,
)

METHOD_NAMES = {"baseline": "baseline", "transmix": "TransMix"}
FIRST = "random patches dropped"  # what the verdicts are about
CLAIM = "With TransMix the area is {} here"
SET_COLUMNS = {"baseline": "baseline", "transmix": "TransMix", "gain": "Difference"}
CAPTION = (
    "Area under the curve at scale {scale}: top-1 in percent, mean over the points of a curve that begins with the "
    "clean images. Mean over seeds and paired difference in points, with two or more seeds ± their 95 % intervals over "
    "seeds (Student’s t); the interval over images is a paired bootstrap, with these very models. Each interval is for "
    "itself. Published numbers: not in the slides."
)
_SHARING = {
    "per_image": (
        "Every image has draws of its own, and a ratio is a share of patches on each curve (protocol per_image)."
    ),
    "published": (
        "As published, the images of a batch share their draws, and on the two salient curves a ratio is a share of "
        "saliency (protocol published), so that their axes differ from that of random dropping."
    ),
}
_SALIENCY = {
    "objects": "the objects’ masks in the data",
    "attention": "the class attention of the model under test",
    "dino": "one head of a DINO ViT-S/16",
}


def protocol(sweep: Sweep) -> str:
    """What was done, in plain words."""
    return (
        f"Patches are dropped (painted {sweep.fill}) at random, the foreground first, or the background first, before "
        f"normalisation, as in “Intriguing Properties of Vision Transformers”; then images are cut into cells and "
        f"shuffled, and corrupted by {', '.join(CORRUPTIONS).replace('_', ' ')}. {_SHARING[sweep.protocol]} The "
        f"foreground comes from {_SALIENCY[sweep.saliency]}."
    )


def measure(what: str) -> Measure:
    """Area under the curves of a line of the table."""
    return Measure(partial(area, curves=LINES[what]), partial(answers.areas, curves=LINES[what]))


def comparison(collected: Collected, row: str, what: str = FIRST) -> Comparison:
    """Our runs of a row without and with TransMix."""
    before, after = (arm_of(collected, "occlusion", row, method).of(measure(what)) for method in METHOD_NAMES)
    return Comparison(before, after, CLAIM)


def build(collected: Collected) -> Table:
    """A line for each row of the study and each kind of perturbation."""
    sets = sets_of(collected, "occlusion")
    columns = (
        Column("name", "Model", align="left"),
        Column("what", "What is done to the images", align="left"),
        Column("seeds", "Seeds"),
        *(Column(method, name, "area under the curve") for method, name in METHOD_NAMES.items()),
        Column("gain", "Difference"),
        Column("images", "95 % over images"),
        *set_columns(sets, SET_COLUMNS),
    )
    rows = []
    for row in collected.study.rows:
        for what in LINES:
            line = _line(row, what, comparison(collected, row, what))
            for place, (_, there) in enumerate(sets):
                theirs = comparison(there, row, what)
                cells = (*map(published_mean, theirs.arms), published_gain(theirs))
                line |= {set_key(place, key): cell for key, cell in zip(SET_COLUMNS, cells, strict=True)}
            rows.append(line)
    return Table("occlusion", CAPTION.format(scale=collected.study.scale.name), columns, tuple(rows), _notes(collected))


def _line(row: str, what: str, found: Comparison) -> dict[str, Cell]:
    cells = {"name": Cell(model_name(row)), "what": Cell(what), "seeds": Cell(seeds_text(found))}
    for method, arm in zip(METHOD_NAMES, found.arms, strict=True):
        cells[method] = _area_cell(arm, links=what == FIRST)
    if found.gain is None:
        none = next((cell for cell in cells.values() if cell.kind == "missing"), missing(found.status))
        return cells | {"gain": none, "images": none}
    images = Cell(found.images.text, "measured", found.sources) if found.images else missing("no answers")
    return cells | {"gain": gain_cell(found), "images": images}


def _area_cell(arm: Arm, links: bool) -> Cell:
    return missing("not in the sweep") if arm.results and arm.mean is None else mean_cell(arm, links=links)


def _notes(collected: Collected) -> tuple[str, ...]:
    """For each row measured with both methods, what may be concluded about random dropping."""
    found = {model_name(row): comparison(collected, row) for row in collected.study.rows}
    return (*verdict_notes(found, FIRST), *power_note(found), *agreement_notes(collected, measure(FIRST), "occlusion"))


def numbers(collected: Collected) -> list[dict[str, Any]]:
    """The table for programs, unrounded: one line a row and kind of perturbation."""
    return [_numbers(row, what, comparison(collected, row, what)) for row in collected.study.rows for what in LINES]


def _numbers(row: str, what: str, found: Comparison) -> dict[str, Any]:
    return {
        "row": row,
        "model": model_name(row),
        "perturbation": what,
        "status": found.status,
        "baseline_seeds": len(found.before.by_seed),
        "transmix_seeds": len(found.after.by_seed),
        "paired_seeds": found.pairs,
        **estimate_numbers("baseline", found.before.mean),
        **estimate_numbers("transmix", found.after.mean),
        **estimate_numbers("difference", found.gain),
        **interval_numbers("difference", found.images),
        "verdict": found.verdict,
        "records": " ".join(source.id for source in found.sources),
    }


def points(collected: Collected) -> list[dict[str, Any]]:
    """Every point of every curve for programs, unrounded: one line a run, curve and severity; one for a missing run."""
    return [line for result in collected.results if result.run.kind == "occlusion" for line in _points(result)]


def _points(result: Result) -> Iterator[dict[str, Any]]:
    run = result.run
    names = {"row": run.row, "method": run.method, "seed": run.seed, "id": run.id, "status": result.status}
    if result.record is None:
        none = dict.fromkeys(("curve", "grid"), "") | dict.fromkeys(("severity", "top1", "half_width_95_over_draws"))
        yield names | none | {"draws": 0}
        return
    clean = {"curve": "clean", "grid": "", "severity": 0, "top1": result.metrics["clean"]}
    yield names | clean | {"half_width_95_over_draws": None, "draws": 1}
    for name, curve in result.metrics["curves"].items():
        for severity, values in zip(curve["severities"], zip(*curve["top1"], strict=True), strict=True):
            found, cells = mean_interval(values), isinstance(severity, list)
            yield names | {
                "curve": name,
                "grid": "x".join(map(str, severity)) if cells else "",
                "severity": int(np.prod(severity)),  # the number of cells, of tenths, or a level
                "top1": found.mean,
                "half_width_95_over_draws": found.half_width,
                "draws": len(values),
            }
