"""Robustness to dropped and shuffled patches, noise, blur, low contrast, compression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from experiments.kinds.occlusion import SHEET, sweep
from experiments.protocols import CORRUPTIONS, Sweep, curve_name
from experiments.rows import model_name
from experiments.scales import PUBLIC
from reports.analysis.arms import Arm, Comparison, gain_cell, mean_cell, seeds_text, verdict_notes
from reports.analysis.gains import arms_in, with_baseline
from reports.analysis.metrics import AREAS
from reports.analysis.names import (
    BASELINE,
    difference_key,
    difference_name,
    method_name,
    methods_in,
    with_method,
)
from reports.analysis.power import power_note
from reports.analysis.statistics import estimate_numbers, interval_numbers, mean_interval
from reports.formats.table import NOT_PLANNED, Cell, Column, Table, missing
from reports.records.collect import Collected, Result
from reports.records.published_sets import (
    agreement_notes,
    published_gain,
    published_mean,
    set_columns,
    set_key,
    sets_of,
)
from reports.tables import Numbers, Shown, TableSpec

FIRST = "random patches dropped"  # what the verdicts are about
SUBJECT = "the area"  # of the verdicts
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
        "As published, the images of a batch share their draws, and with the foreground or the background first a "
        "ratio is a share of saliency (protocol published), so that their axes differ from that of random dropping."
    ),
}
_SALIENCY = {
    "objects": "the objects’ masks in the data",
    "attention": "the class attention of the model under test",
    "dino": "one head of a DINO ViT-S/16",
}


def protocol(sweep: Sweep) -> str:
    """What was done, in plain words."""
    some = f" Measured on {sweep.images:,} of the validation images, drawn at random." if sweep.images else ""
    return (
        f"Patches are dropped (painted {sweep.fill}) at random, the foreground first, or the background first, before "
        f"normalisation, as in “Intriguing Properties of Vision Transformers”; then images are cut into cells and "
        f"shuffled, and corrupted by {', '.join(CORRUPTIONS).replace('_', ' ')}. {_SHARING[sweep.protocol]} The "
        f"foreground comes from {_SALIENCY[sweep.saliency]}.{some}"
    )


def _methods(collected: Collected) -> tuple[str, ...]:
    public = (PUBLIC,) if collected.study.weights else ()
    return tuple(dict.fromkeys((BASELINE, *methods_in(collected, "occlusion"), *public)))


def arms_of(collected: Collected, row: str, what: str = FIRST) -> dict[str, Arm]:
    """A row's methods, by the area under a kind of perturbation's curves."""
    return arms_in(collected, "occlusion", row, AREAS[what], _methods(collected))


def build(collected: Collected) -> Table:
    """A line for each row of the study and each kind of perturbation."""
    sets, methods = sets_of(collected, "occlusion"), _methods(collected)
    means = {method: method_name(method) for method in methods}
    others = [method for method in methods[1:] if method != PUBLIC]
    gains = {difference_key(name, "gain"): difference_name(name, len(others)) for name in others}
    columns = (
        Column("name", "Model", align="left"),
        Column("what", "What is done to the images", align="left"),
        Column("seeds", "Seeds"),
        *(Column(method, title, "area under the curve") for method, title in means.items()),
        *(
            column
            for name in others
            for column in (
                Column(difference_key(name, "gain"), difference_name(name, len(others))),
                Column(difference_key(name, "images"), "95 % over images"),
            )
        ),
        *set_columns(sets, means | gains),
    )
    rows = []
    for row in collected.study.rows:
        for what in AREAS:
            line = _line(row, what, arms_of(collected, row, what))
            for place, (_, there) in enumerate(sets):
                theirs = arms_of(there, row, what)
                cells = {method: published_mean(arm) for method, arm in theirs.items()}
                pairs = with_baseline(theirs, SUBJECT)
                cells |= {difference_key(name, "gain"): published_gain(pair) for name, pair in pairs.items()}
                line |= {set_key(place, key): cell for key, cell in cells.items()}
            rows.append(line)
    caption = CAPTION.format(scale=collected.study.scale.name)
    return Table("occlusion", caption, columns, tuple(rows), _notes(collected))


def _line(row: str, what: str, arms: dict[str, Arm]) -> dict[str, Cell]:
    means = {method: _area_cell(arm, links=what == FIRST) for method, arm in arms.items()}
    own = [arm for method, arm in arms.items() if method != PUBLIC]
    planned = [arm for arm in own if arm.settings is not None] or own
    cells = {"name": Cell(model_name(row)), "what": Cell(what), "seeds": Cell(seeds_text(*planned))} | means
    for method, found in with_baseline(arms, SUBJECT).items():
        gain, images = difference_key(method, "gain"), difference_key(method, "images")
        if found.gain is None:
            lacking = (means[name] for name in (BASELINE, method) if means[name].kind == "missing")
            cells[gain] = cells[images] = next(lacking, missing(found.status))
        else:
            text = Cell(found.images.text, "measured", found.sources) if found.images else missing("no answers")
            cells |= {gain: gain_cell(found), images: text}
    return cells


def _area_cell(arm: Arm, links: bool) -> Cell:
    if arm.settings is None:
        return missing(NOT_PLANNED)
    return missing("not in the sweep") if arm.results and arm.mean is None else mean_cell(arm, links=links)


def _compared(collected: Collected) -> dict[str, Comparison]:
    """Every row and method with the baseline, by the first kind of perturbation."""
    return {
        with_method(row, method): pair
        for row in collected.study.rows
        for method, pair in with_baseline(arms_of(collected, row), SUBJECT).items()
    }


def _notes(collected: Collected) -> tuple[str, ...]:
    """What may be concluded about random dropping."""
    found = _compared(collected)
    return (*verdict_notes(found, FIRST), *power_note(found), *agreement_notes(collected, AREAS[FIRST], "occlusion"))


def numbers(collected: Collected) -> Numbers:
    """The table for programs, unrounded: one line for each row and kind of perturbation."""
    return [_numbers(row, what, arms_of(collected, row, what)) for row in collected.study.rows for what in AREAS]


def _numbers(row: str, what: str, arms: dict[str, Arm]) -> dict[str, Any]:
    pairs = with_baseline(arms, SUBJECT)
    line = {"row": row, "model": model_name(row), "perturbation": what}
    line |= {difference_key(method, "status"): pair.status for method, pair in pairs.items()}
    line |= {f"{method}_seeds": len(arm.by_seed) for method, arm in arms.items()}
    line |= {difference_key(method, "paired_seeds"): pair.pairs for method, pair in pairs.items()}
    for method, arm in arms.items():
        line |= estimate_numbers(method, arm.mean)
    for method, pair in pairs.items():
        name = difference_key(method)
        line |= estimate_numbers(name, pair.gain) | interval_numbers(name, pair.images)
    line |= {difference_key(method, "verdict"): pair.verdict for method, pair in pairs.items()}
    sources = dict.fromkeys(source.id for arm in arms.values() for source in arm.sources)
    return line | {"records": " ".join(sources)}


def figures(collected: Collected) -> Shown:
    """Curves of every row, and what a sweep does to an image."""
    from reports.figures.occlusion import robustness_curves  # matplotlib takes a second to import
    from reports.figures.run_images import Album, Wanted, read_images
    from reports.figures.style import Panel

    curves = tuple(robustness_curves(collected))
    done = (result for result in collected.results if result.run.kind == "occlusion" and result.record)
    caption = "What the settings do to one image, in their first draw"
    wanted = (Wanted(result, SHEET, caption, _alt(result)) for result in done if (result.folder / SHEET).exists())
    sheets, problems = read_images(wanted, most=1, exact=True)
    return Shown((*([Panel(curves)] if curves else []), *([Album("", sheets)] if sheets else [])), problems)


def _alt(result: Result) -> str:
    curves = ", ".join(map(curve_name, result.metrics["curves"]))
    return f"One image, clean and under each setting of: {curves}."


def points(collected: Collected) -> Numbers:
    """Every point of every curve for programs, unrounded: a line for each run, curve and severity."""
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


TABLE = TableSpec(
    label="Occlusion",
    title="Occlusion and other perturbations",
    build=build,
    numbers=numbers,
    position=6,
    text=lambda collected: protocol(sweep(collected.study)),
    figures=figures,
    files={"occlusion_curves": points},
)
