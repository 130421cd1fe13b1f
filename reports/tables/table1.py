"""ImageNet classification, without and with TransMix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiments.public import lacking_text
from experiments.rows import PublishedRow, model_name
from experiments.scales import PUBLIC
from reports.analysis.arms import Arm, arm_of, gain_cell, mean_cell, seeds_text, verdict_notes
from reports.analysis.gains import GainRow, gain_rows
from reports.analysis.metrics import TOP1
from reports.analysis.names import BASELINE, TRANSMIX, difference_key, difference_name, method_name
from reports.analysis.power import power_note
from reports.analysis.statistics import estimate_numbers, interval_numbers
from reports.analysis.words import number
from reports.formats.table import MEASURED, NOT_IN_SLIDES, NOT_PLANNED, PUBLISHED, Cell, Column, Table, missing
from reports.records.collect import Collected
from reports.records.published_sets import (
    agreement_notes,
    published_gain,
    published_mean,
    set_columns,
    set_key,
    sets_of,
)
from reports.tables import Numbers, Shown, TableSpec

_PUBLISHED = (
    Column("params", "Params (M)", PUBLISHED),
    Column("flops", "FLOPs (G)", PUBLISHED),
    Column("published_baseline", "Baseline", PUBLISHED),
    Column("published_transmix", "TransMix", PUBLISHED),
    Column("published_gain", "Gain", PUBLISHED),
)
_MODEL = (
    Column("model", "Model", MEASURED, "left"),
    Column("parameters", "Params (M)", MEASURED),
    Column("gmacs", "GMACs", MEASURED),
)
EVALUATED = "evaluated here"
CAPTION = (
    "ImageNet-1k top-1 as the slides give it, and top-1 on the validation images of this study at scale {scale}, both "
    "in percent. Measured: mean over seeds, and gain in points as the mean paired difference; with two or more seeds "
    "± their 95 % intervals (Student’s t), each for itself, which cover the seeds and not the choice of validation "
    "images. GMACs: 10⁹ multiply-accumulates of one image’s forward pass, those of attention included. The slides’ "
    "FLOPs are multiply-accumulates too."
)


def build(collected: Collected) -> Table:
    """Table 1 for people: rows of the paper, measured or not, and those that the study has beside them."""
    rows = gain_rows(collected)
    arms = {method: "Baseline" if method == BASELINE else method_name(method) for method in rows[0].arms}
    gains = {difference_key(name, "gain"): difference_name(name, len(arms) - 1, "Gain") for name in rows[0].comparisons}
    columns = (
        Column("name", "Model", align="left"),
        *_PUBLISHED,
        Column("seeds", "Seeds", MEASURED),
        *(Column(key, title, MEASURED) for key, title in (arms | gains).items()),
        *_MODEL,
        *([Column("public", "Public weights, not trained here", EVALUATED)] if collected.study.weights else []),
    )
    public = public_arms(collected)
    lines = [_cells(row) | ({"public": _public_cell(public.get(row.row))} if public else {}) for row in rows]
    sets = sets_of(collected, "table1")
    for place, (_, there) in enumerate(sets):
        for line, found in zip(lines, gain_rows(there), strict=True):
            cells = {method: published_mean(arm) for method, arm in found.arms.items()}
            cells |= {difference_key(name, "gain"): published_gain(pair) for name, pair in found.comparisons.items()}
            line |= {set_key(place, key): cell for key, cell in cells.items()}
    caption = CAPTION.format(scale=collected.study.scale.name)
    return Table("table1", caption, columns + set_columns(sets, arms | gains), tuple(lines), _notes(collected, rows))


def _notes(collected: Collected, rows: list[GainRow]) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    for method in rows[0].comparisons:
        found = {row.model: row.comparisons[method] for row in rows}
        published = {row.model: row.published_gain for row in rows if row.published} if method == TRANSMIX else None
        about = "" if method == TRANSMIX else method_name(method)
        notes += verdict_notes(found, about) + power_note(found, published)
    return notes + _public_notes(collected) + agreement_notes(collected, TOP1, "table1")


def public_arms(collected: Collected) -> dict[str, Arm]:
    """What the study has of its rows' public weights; nothing where it asks for none."""
    rows = collected.study.rows if collected.study.weights else ()
    return {row: arm_of(collected, "table1", row, PUBLIC) for row in rows}


def _public_cell(arm: Arm | None) -> Cell:
    if arm is None or arm.settings is None:
        return missing(NOT_PLANNED)
    cell, variant = mean_cell(arm), arm.settings["variant"]
    return replace(cell, text=f"{cell.text} ({variant})") if variant and arm.mean else cell


def _public_notes(collected: Collected) -> tuple[str, ...]:
    """Which public weights were evaluated, and what they are not."""
    arms = public_arms(collected)
    given = {row: arm.settings for row, arm in arms.items() if arm.settings is not None}
    if not given:
        return ()
    listed = "; ".join(
        f"{model_name(row)}, {settings['weights']}" + (f", {settings['variant']}" if settings["variant"] else "")
        for row, settings in given.items()
    )
    lacking = lacking_text(row for row in arms if row not in given)
    return (
        f"Public weights, not trained here: {listed}. They check data and evaluation against the published baseline; "
        "no difference to trainings of this study is formed, for recipe and machine differ as well."
        + (f" {lacking}" if lacking else ""),
    )


def _cells(row: GainRow) -> dict[str, Cell]:
    ours = next(iter(row.trained), None)
    none = missing(row.comparison.status)
    planned = [method for method, arm in row.arms.items() if arm.settings is not None] or [*row.arms]
    means = {method: mean_cell(arm) for method, arm in row.arms.items()}
    gains = {difference_key(method, "gain"): gain_cell(found) for method, found in row.comparisons.items()}
    for method in row.arms.keys() - planned:  # the row is in the study, this method is not
        means[method] = gains[difference_key(method, "gain")] = missing(NOT_PLANNED)
    counts = seeds_text(*(row.arms[method] for method in planned))
    return {
        "name": Cell(row.model),
        **_published_cells(row.published),
        "model": Cell(ours.model, "measured", ours.sources) if ours else none,
        "parameters": Cell(number(ours.parameters / 1e6), "measured", ours.sources) if ours else none,
        "gmacs": Cell(number(ours.gmacs, 3), "measured", ours.sources) if ours else none,
        "seeds": Cell(counts, "measured", row.comparison.sources) if ours else none,
        **means,
        **gains,
    }


def _published_cells(paper: PublishedRow | None) -> dict[str, Cell]:
    if paper is None:
        return {column.key: missing(NOT_IN_SLIDES) for column in _PUBLISHED}
    texts = (paper.params, paper.flops, paper.baseline, paper.transmix, number(paper.gain, 1, sign=True))
    return {column.key: Cell(text, "published") for column, text in zip(_PUBLISHED, texts, strict=True)}


def numbers(collected: Collected) -> Numbers:
    """Table 1 for programs, unrounded; without a record a number is None and ``status`` says why."""
    public = public_arms(collected)
    return [_numbers(row) | (_public_numbers(public.get(row.row)) if public else {}) for row in gain_rows(collected)]


def _public_numbers(arm: Arm | None) -> dict[str, Any]:
    settings = arm.settings if arm and arm.settings else {}
    return {
        "public_top1": arm.mean.mean if arm and arm.mean else None,
        "public_weights": settings.get("weights", ""),
        "public_variant": settings.get("variant", ""),
        "public_records": " ".join(source.id for source in arm.sources) if arm else "",
    }


def _numbers(row: GainRow) -> dict[str, Any]:
    paper, found = row.published, row.comparison
    ours = next(iter(row.trained), None)
    line = {
        "row": row.row,
        "model": row.model,
        "published_params_m": float(paper.params) if paper else None,
        "published_flops_g": float(paper.flops) if paper else None,
        "published_baseline": float(paper.baseline) if paper else None,
        "published_transmix": float(paper.transmix) if paper else None,
        "published_gain": row.published_gain,
        "published_source": paper.source if paper else "",
        "status": found.status,
        "measured_model": ours.model if ours else None,
        "measured_parameters": ours.parameters if ours else None,
        "measured_gmacs": ours.gmacs if ours else None,
    }
    for method, arm in row.arms.items():
        line |= estimate_numbers(f"measured_{method}", arm.mean)
    for method, pair in row.comparisons.items():
        name = difference_key(method, "measured_gain")
        line |= estimate_numbers(name, pair.gain) | interval_numbers(name, pair.images)
    line |= {f"{method}_seeds": len(arm.by_seed) for method, arm in row.arms.items()}
    line |= {difference_key(method, "paired_seeds"): pair.pairs for method, pair in row.comparisons.items()}
    line |= {difference_key(method, "verdict"): pair.verdict for method, pair in row.comparisons.items()}
    records = {method: " ".join(source.id for source in arm.sources) for method, arm in row.arms.items()}
    return line | {f"{method}_records": text for method, text in records.items()}


def figures(collected: Collected) -> Shown:
    """Gains, top-1 against size, and the curves of the trainings."""
    from reports.figures.style import Panel  # matplotlib takes a second to import
    from reports.figures.top1 import accuracy_figure, gain_figure
    from reports.figures.training import lambda_curves, training_curves

    rows = gain_rows(collected)
    overview = tuple(picture for picture in (gain_figure(rows), accuracy_figure(rows)) if picture is not None)
    curves = (*training_curves(collected), *lambda_curves(collected))
    return Shown(tuple(Panel(drawn, title) for drawn, title in ((overview, ""), (curves, "Training curves")) if drawn))


TABLE = TableSpec(
    label="Table 1",
    title="Table 1: classification",
    build=build,
    numbers=numbers,
    position=1,
    figures=figures,
    details=("params", "flops", "model", "parameters", "gmacs"),
)
