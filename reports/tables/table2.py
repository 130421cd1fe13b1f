"""Ways to mix: none, CutMix, Mixup + CutMix, TransMix and others, and the true labels where they are known."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from experiments.cards import cards
from experiments.kinds.cost import CUTMIX
from experiments.rows import model_name, rows
from experiments.scales import PAIR
from experiments.study_options import why_not
from reports.analysis.arms import Arm, Comparison, arm, gain_cell, mean_cell, verdict_notes
from reports.analysis.metrics import TOP1
from reports.analysis.names import BASELINE, TRANSMIX
from reports.analysis.power import power_note
from reports.analysis.statistics import estimate_numbers, interval_numbers
from reports.analysis.words import interval_text, number, title_list
from reports.formats.table import MEASURED, NOT_IN_SLIDES, NOT_PLANNED, NOT_RUN, PUBLISHED, Cell, Column, Table, missing
from reports.records.collect import Collected, Result, published_study
from reports.records.published_sets import (
    HEADING,
    NONE,
    agreement_notes,
    published_gain,
    published_mean,
    set_columns,
    set_key,
    sets_of,
)
from reports.tables import Cards, Numbers, Shown, TableSpec, _published_mixes, _step_cost
from transmix.labels import LABEL_RULES
from transmix.methods import Method, methods

Slides = dict[str, tuple[str, float | None, str]]  # by method: top-1 as printed, difference in points, source
OWN = "own"  # where a method's own functions decide
TRAINED = ("table1", "table2")  # Table 1's pair is shown here too
COLUMNS = (
    Column("name", "Method", align="left"),
    Column("mixup", "Mixup", "batches mixed (%)"),
    Column("cutmix", "CutMix", "batches mixed (%)"),
    Column("labels", "Labels of CutMix images by", align="left"),
    Column("published_top1", "Top-1 (%)", PUBLISHED),
    Column("published_difference", "Difference", PUBLISHED),
    Column("seeds", "Seeds", MEASURED),
    Column("top1", "Top-1 (%)", MEASURED),
    Column("difference", "Difference to {baseline}", MEASURED),
    Column("over_cutmix", "Difference to {cutmix}", MEASURED),
    *_step_cost.COLUMNS,
    *_published_mixes.COLUMNS,
)
CAPTION = (
    "Ways to mix, all on {model}: top-1 on the validation images of this study at scale {scale}, and the paired "
    "differences in points to {baseline}, the baseline of Table 1, and to {cutmix}; with two or more seeds means ± "
    "their 95 % intervals (Student’s t), each for itself. The oracle labels by the share of the objects’ visible "
    "pixels that is the partner’s: a ceiling for what better labels can bring. Of the slides, the two of Table 1 for "
    "this model; the others are not in the slides."
)


@dataclass(frozen=True)
class MixRow:
    """One way to mix.

    Attributes:
        method: its name.
        title: what it is called.
        arm: its runs.
        comparison: with the baseline; None for the baseline itself.
        over_cutmix: with CutMix alone; None for that itself.
    """

    method: str
    title: str
    arm: Arm
    comparison: Comparison | None
    over_cutmix: Comparison | None

    @property
    def status(self) -> str:
        """``done``, ``not run``, ``unreadable``, or ``not in this study``."""
        return NOT_PLANNED if self.arm.settings is None else self.arm.status


def mix_rows(collected: Collected, also: Collection[str] = ()) -> list[MixRow]:
    """The ways to mix that the study plans, and others: in any case the plainest and the oracle, measured or not."""
    shown = {*PAIR, "none", "cutmix", "oracle", *also}
    arms = {name: arm(collected, collected.study.mixed_row, name) for name in _declared()}
    listed = []
    for name, found in arms.items():
        if name in shown or found.settings is not None:
            over = {other: None if name == other else _over(arms[other], other, found) for other in (BASELINE, CUTMIX)}
            listed.append(MixRow(name, methods()[name].title, found, over[BASELINE], over[CUTMIX]))
    return listed


def _over(reference: Arm, name: str, found: Arm) -> Comparison:
    return Comparison(reference, found, f"The top-1 is {{}} here than with {methods()[name].title}")


def _declared() -> dict[str, Method]:
    return {name: method for name, method in methods().items() if "table2" in method.tables}


def mixed_batches(settings: dict[str, Any]) -> tuple[float, float]:
    """Shares of the training batches that a recipe mixes by Mixup and by CutMix."""
    mixup, cutmix = settings["mixup_alpha"] > 0, settings["cutmix_alpha"] > 0
    mixed = settings["mix_prob"] if mixup or cutmix else 0.0
    by_cutmix = settings["switch_prob"] if mixup and cutmix else float(cutmix)
    return mixed * (1 - by_cutmix), mixed * by_cutmix


def build(collected: Collected) -> Table:
    """Table 2 for people."""
    sets = _published_sets(collected)
    steps, paper = _step_cost.measured(collected), _paper(collected)
    shown = mix_rows(collected, {row.method for _, listed in sets for row in listed if row.arm.by_seed})
    lines = [_cells(row, steps, paper) for row in shown]
    for place, (_, listed) in enumerate(sets):
        found = {row.method: row for row in listed}
        for row, line in zip(shown, lines, strict=True):
            there = found.get(row.method)
            line[set_key(place, "top1")] = published_mean(there.arm) if there else missing(NONE)
            over = there.over_cutmix if there else None
            none = Cell("–") if row.method == CUTMIX else missing(NONE)
            line[set_key(place, "over_cutmix")] = published_gain(over) if over else none
    scale, called = collected.study.scale, {name: methods()[name].title for name in (BASELINE, CUTMIX)}
    caption = CAPTION.format(model=model_name(collected.study.mixed_row), scale=scale.name, **called)
    named = (replace(column, title=column.title.format(**called)) for column in COLUMNS)
    columns = (*named, *set_columns(sets, {"top1": "Top-1 (%)", "over_cutmix": f"Difference to {called[CUTMIX]}"}))
    return Table("table2", caption, columns, tuple(lines), _notes(collected, mix_rows(collected)))


def _published_sets(collected: Collected) -> list[tuple[str, list[MixRow]]]:
    """Published runs, each set under its heading: this study's, and all ways to mix that ran at scale desk."""
    study, sets = collected.study, [(heading, mix_rows(there)) for heading, there in sets_of(collected, *TRAINED)]
    if study.scale.name == "desk":
        if study.methods is not None:
            return sets
        sets = []  # they are among all
    desk = published_study("desk", methods="all", table="table2")
    if desk is None:
        return sets
    heading = f"{HEADING}: scale desk, {model_name(desk.collected.study.mixed_row)}, {desk.devices}"
    return [(heading, mix_rows(desk.collected)), *sets]


def _notes(collected: Collected, shown: list[MixRow]) -> tuple[str, ...]:
    compared, paper = {row.title: row.comparison for row in shown if row.comparison}, _paper(collected)
    return (
        *filter(None, [regime(collected)]),
        *verdict_notes(compared),
        *power_note(
            compared, {methods()[name].title: gain for name, (_, gain, _) in paper.items() if gain is not None}
        ),
        *agreement_notes(collected, TOP1, "table2"),
        *_recipe_notes(collected, shown),
        *_step_cost.note(_step_cost.measured(collected)),
        *_remedies(collected, shown),
        _published_mixes.source_note(),
    )


def regime(collected: Collected) -> str:
    """A warning where mixing itself lowers the top-1: label rules cannot show their worth there; else empty."""
    unmixed, mixed = (arm(collected, collected.study.mixed_row, method) for method in ("none", BASELINE))
    loss = Comparison(mixed, unmixed).gain
    if loss is None or loss.mean <= 0:
        return ""
    size = f"no mixing is {number(loss.mean)} points above {methods()[BASELINE].title}"
    if loss.count == 1:
        return (
            f"In this one seed {size}: if more seeds confirm it, mixing hurts here, as it does where a model "
            "underfits, and no label rule can be judged."
        )
    if loss.low <= 0:
        return ""
    return (
        f"Mixing hurts here, as it does where a model underfits, and no label rule can be judged: {size}, and "
        f"{interval_text(loss)}."
    )


def _remedies(collected: Collected, shown: list[MixRow]) -> list[str]:
    """How what is missing can be run."""
    study = collected.study
    waiting = [row.title for row in shown if row.status == NOT_RUN]
    notes = [f"{title_list(waiting)}: not run; {study.make('table2')} runs what is missing."] if waiting else []
    for row in (row for row in shown if row.status == NOT_PLANNED):
        why = why_not(row.method, study)
        notes.append(f"{row.title}: not in this study{f': {why}' if why else ''}.")
    planned = {row.method for row in shown if row.status != NOT_PLANNED}
    more = [name for name in _declared() if name not in planned]
    if more:
        notes.append(f"METHODS=NAME,... on make’s command line trains by other methods, too: {', '.join(more)}.")
    return notes


def _cells(row: MixRow, steps: Result | None, paper: Slides) -> dict[str, Cell]:
    settings, count = row.arm.settings, len(row.arm.by_seed)
    cells = {"name": Cell(row.title), **_slides_cells(row.method, paper), **_published_mixes.cells(row.method)}
    cells |= _step_cost.cells(steps, row.method)
    if settings is None:
        recipe, measured = ("mixup", "cutmix", "labels"), ("seeds", "top1", "difference", "over_cutmix", "step")
        return cells | dict.fromkeys(recipe, Cell("")) | dict.fromkeys(measured, missing(NOT_PLANNED))
    return cells | {
        **_recipe_cells(methods()[row.method], settings),
        "seeds": Cell(f"{count:,}", "measured", row.arm.sources) if count else missing(row.status),
        "top1": mean_cell(row.arm, interval=True),
        "difference": gain_cell(row.comparison) if row.comparison else Cell("–"),
        "over_cutmix": gain_cell(row.over_cutmix) if row.over_cutmix else Cell("–"),
    }


def _recipe_cells(method: Method, settings: dict[str, Any]) -> dict[str, Cell]:
    """What is mixed and how it is labelled; a method's own functions do both in their own way."""
    mixup, cutmix = mixed_batches(settings)
    labels = LABEL_RULES[settings["label_rule"]] if cutmix else "–"
    if method.own.keys() & {"lam", "targets"}:
        labels = OWN
    shares = (OWN, OWN) if "mix" in method.own else (f"{100 * mixup:.3g}", f"{100 * cutmix:.3g}")
    return {"mixup": Cell(shares[0]), "cutmix": Cell(shares[1]), "labels": Cell(labels)}


def _recipe_notes(collected: Collected, shown: list[MixRow]) -> list[str]:
    """How many batches are mixed, where that is not as in the row's recipe for ImageNet, and what is a method's own."""
    notes, row = [], collected.study.mixed_row
    ours = arm(collected, row, BASELINE).settings
    shares = [mixed_batches(settings) for settings in (ours, asdict(rows()[row].recipe())) if settings]
    if len(set(shares)) == 2:
        here, there = (f"{100 * mixup:.3g} % by Mixup and {100 * cutmix:.3g} % by CutMix" for mixup, cutmix in shares)
        notes.append(
            f"Batches mixed: {here} in this study’s recipe of the baseline and TransMix, the others not; {there} in "
            f"{model_name(row)}’s recipe for ImageNet."
        )
    recipes = [_recipe_cells(methods()[found.method], found.arm.settings) for found in shown if found.arm.settings]
    if any(cell.text == OWN for cells in recipes for cell in cells.values()):
        notes.append(
            f"Where a column says “{OWN}”, the method has a rule of its own for the batches or their labels; its card "
            "says which (python -m experiments methods)."
        )
    return notes


def _paper(collected: Collected) -> Slides:
    """What the slides say of the study's row, by method."""
    paper = rows()[collected.study.mixed_row].published
    if paper is None:
        return {}
    return {BASELINE: (paper.baseline, None, paper.source), TRANSMIX: (paper.transmix, paper.gain, paper.source)}


def _slides_cells(method: str, paper: Slides) -> dict[str, Cell]:
    if method not in paper:
        return dict.fromkeys(("published_top1", "published_difference"), missing(NOT_IN_SLIDES))
    top1, gain, _ = paper[method]
    difference = "–" if gain is None else number(gain, 1, sign=True)
    return {"published_top1": Cell(top1, "published"), "published_difference": Cell(difference, "published")}


def numbers(collected: Collected) -> Numbers:
    """Table 2 for programs, unrounded; without a record a number is None and ``status`` says why."""
    steps, paper = _step_cost.measured(collected), _paper(collected)
    return [_numbers(row, paper) | _step_cost.numbers(steps, row.method) for row in mix_rows(collected)]


def published_numbers(collected: Collected) -> Numbers:
    """Every published number of the methods that are shown, with its source."""
    return _published_mixes.numbers(row.method for row in mix_rows(collected))


def _numbers(row: MixRow, paper: Slides) -> dict[str, Any]:
    settings, found, over = row.arm.settings, row.comparison, row.over_cutmix
    top1, gain, source = paper.get(row.method, (None, None, ""))
    mixup, cutmix = mixed_batches(settings) if settings else (None, None)
    return {
        "method": row.method,
        "name": row.title,
        "mixup_batches": mixup,
        "cutmix_batches": cutmix,
        "label_rule": settings["label_rule"] if settings else None,
        "published_top1": float(top1) if top1 else None,
        "published_difference": gain,
        "published_source": source,
        "status": row.status,
        "seeds": len(row.arm.by_seed),
        **estimate_numbers("top1", row.arm.mean),
        **estimate_numbers("difference", found.gain if found else None),
        **interval_numbers("difference", found.images if found else None),
        "paired_seeds": found.pairs if found else 0,
        "verdict": found.verdict if found else "",
        **estimate_numbers("over_cutmix", over.gain if over else None),
        **interval_numbers("over_cutmix", over.images if over else None),
        "records": " ".join(source.id for source in row.arm.sources),
    }


TABLE = TableSpec(
    label="Table 2",
    title="Table 2: ways to mix",
    build=build,
    numbers=numbers,
    position=2,
    figures=lambda collected: Shown((Cards("What each way to mix is", cards()),)),
    files={"table2_published": published_numbers},
    details=("mixup", "cutmix", "labels", "passes", "published_difference"),
)
