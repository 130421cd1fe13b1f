"""Table 2: ways to mix, from none to the true labels, all on one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments import published
from experiments.published import PublishedRow, model_name
from experiments.scales import SCALES, TABLE2_ROW
from reports.analysis.arms import TOP1, Arm, Comparison, arm, gain_cell, mean_cell, verdict_notes
from reports.analysis.power import power_note
from reports.analysis.statistics import estimate_numbers, interval_numbers
from reports.analysis.words import LABEL_RULES, interval_text, number
from reports.formats.table import MEASURED, NOT_PLANNED, NOT_RUN, PUBLISHED, Cell, Column, Table, missing
from reports.records.collect import Collected
from reports.records.published_sets import agreement_notes, published_mean, set_columns, set_key, sets_of

NAMES = {
    "none": "No mixing",
    "cutmix": "CutMix",
    "baseline": "Mixup + CutMix",
    "transmix": "TransMix",
    "oracle": "Oracle",
}
REFERENCE = "baseline"  # what every other way is compared with
CLAIM = f"The top-1 is {{}} here than with {NAMES[REFERENCE]}"
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
    Column("difference", f"Difference to {NAMES[REFERENCE]}", MEASURED),
)
CAPTION = (
    "Ways to mix, all on {model}: top-1 on the validation images of this study at scale {scale}, and the paired "
    f"difference in points to {NAMES[REFERENCE]}, the baseline of Table 1; with two or more seeds means ± their 95 % "
    "intervals (Student’s t), each for itself. The oracle labels by the share of the objects’ visible pixels that is "
    "the partner’s: a ceiling for what better labels can bring. Published are the two of Table 1; the others are not "
    "in the slides."
)


@dataclass(frozen=True)
class MixRow:
    """One way to mix.

    Attributes:
        method: a key of `NAMES`.
        arm: its runs.
        comparison: with the reference; None for the reference itself.
    """

    method: str
    arm: Arm
    comparison: Comparison | None

    @property
    def status(self) -> str:
        """``done``, ``not run``, ``unreadable``, or ``not in this study``."""
        return NOT_PLANNED if self.arm.settings is None else self.arm.status


def mix_rows(collected: Collected) -> list[MixRow]:
    """All ways to mix, measured or not."""
    arms = {method: arm(collected, TABLE2_ROW, method) for method in NAMES}
    reference = arms[REFERENCE]
    return [
        MixRow(method, found, None if found is reference else Comparison(reference, found, CLAIM))
        for method, found in arms.items()
    ]


def mixed_batches(settings: dict[str, Any]) -> tuple[float, float]:
    """Shares of the training batches that a recipe mixes by Mixup and by CutMix."""
    mixup, cutmix = settings["mixup_alpha"] > 0, settings["cutmix_alpha"] > 0
    mixed = settings["mix_prob"] if mixup or cutmix else 0.0
    by_cutmix = settings["switch_prob"] if mixup and cutmix else float(cutmix)
    return mixed * (1 - by_cutmix), mixed * by_cutmix


def build(collected: Collected) -> Table:
    """Table 2 for people."""
    rows = mix_rows(collected)
    lines, sets = [_cells(row) for row in rows], sets_of(collected, *TRAINED)
    for place, (_, there) in enumerate(sets):
        for line, found in zip(lines, mix_rows(there), strict=True):
            line[set_key(place, "top1")] = published_mean(found.arm)
    caption = CAPTION.format(model=model_name(TABLE2_ROW), scale=collected.study.scale.name)
    columns = COLUMNS + set_columns(sets, {"top1": "Top-1 (%)"})
    return Table("table2", caption, columns, tuple(lines), _notes(collected, rows))


def _notes(collected: Collected, rows: list[MixRow]) -> tuple[str, ...]:
    compared = {NAMES[row.method]: row.comparison for row in rows if row.comparison}
    return (
        *filter(None, [regime(rows)]),
        *verdict_notes(compared),
        *power_note(compared, {NAMES["transmix"]: _paper().gain}),
        *agreement_notes(collected, TOP1, "table2"),
        *_remedies(collected, rows),
    )


def regime(rows: list[MixRow]) -> str:
    """A warning where mixing itself lowers the top-1: label rules cannot show their worth there; else empty."""
    loss = next(row.comparison.gain for row in rows if row.method == "none")
    if loss is None or loss.mean <= 0:
        return ""
    size = f"no mixing is {number(loss.mean)} points above {NAMES[REFERENCE]}"
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


def _remedies(collected: Collected, rows: list[MixRow]) -> list[str]:
    """How what is missing can be run."""
    study = collected.study
    if TABLE2_ROW not in study.rows:
        return [f"This study has no {model_name(TABLE2_ROW)}: make table2 SCALE={study.scale.name} runs it."]
    waiting = [NAMES[row.method] for row in rows if row.status == NOT_RUN]
    notes = [f"{', '.join(waiting)}: not run; {study.make('table2')} runs what is missing."] if waiting else []
    for method in [row.method for row in rows if row.status == NOT_PLANNED]:
        scale = next(name for name in SCALES if method in SCALES[name].methods(TABLE2_ROW))
        notes.append(f"{NAMES[method]}: not run at scale {study.scale.name}; make table2 SCALE={scale} runs it.")
    return notes


def _cells(row: MixRow) -> dict[str, Cell]:
    settings, count = row.arm.settings, len(row.arm.by_seed)
    cells = {"name": Cell(NAMES[row.method]), **_published_cells(row.method)}
    if settings is None:
        recipe, measured = ("mixup", "cutmix", "labels"), ("seeds", "top1", "difference")
        return cells | dict.fromkeys(recipe, Cell("")) | dict.fromkeys(measured, missing(NOT_PLANNED))
    mixup, cutmix = mixed_batches(settings)
    return cells | {
        "mixup": Cell(f"{100 * mixup:.3g}"),
        "cutmix": Cell(f"{100 * cutmix:.3g}"),
        "labels": Cell(LABEL_RULES[settings["label_rule"]] if cutmix else "–"),
        "seeds": Cell(f"{count:,}", "measured", row.arm.sources) if count else missing(row.status),
        "top1": mean_cell(row.arm, interval=True),
        "difference": gain_cell(row.comparison) if row.comparison else Cell("–"),
    }


def _paper() -> PublishedRow:
    return next(row for row in published.table1() if row.row == TABLE2_ROW)


def _published_cells(method: str) -> dict[str, Cell]:
    """What the slides say: top-1 and the difference to the reference."""
    top1 = {"baseline": _paper().baseline, "transmix": _paper().transmix}.get(method)
    gain = {"baseline": "–", "transmix": number(_paper().gain, 1, sign=True)}.get(method)
    if top1 is None:
        return dict.fromkeys(("published_top1", "published_difference"), missing("not in the slides"))
    return {"published_top1": Cell(top1, "published"), "published_difference": Cell(gain, "published")}


def numbers(collected: Collected) -> list[dict[str, Any]]:
    """Table 2 for programs, unrounded; without a record a number is None and ``status`` says why."""
    return [_numbers(row) for row in mix_rows(collected)]


def _numbers(row: MixRow) -> dict[str, Any]:
    settings, found = row.arm.settings, row.comparison
    paper = {"baseline": _paper().baseline, "transmix": _paper().transmix}.get(row.method)
    mixup, cutmix = mixed_batches(settings) if settings else (None, None)
    return {
        "method": row.method,
        "name": NAMES[row.method],
        "mixup_batches": mixup,
        "cutmix_batches": cutmix,
        "label_rule": settings["label_rule"] if settings else None,
        "published_top1": float(paper) if paper else None,
        "published_difference": _paper().gain if row.method == "transmix" else None,
        "published_source": _paper().source if paper else "",
        "status": row.status,
        "seeds": len(row.arm.by_seed),
        **estimate_numbers("top1", row.arm.mean),
        **estimate_numbers("difference", found.gain if found else None),
        **interval_numbers("difference", found.images if found else None),
        "paired_seeds": found.pairs if found else 0,
        "verdict": found.verdict if found else "",
        "records": " ".join(source.id for source in row.arm.sources),
    }
