"""The lambda study: which lambda is nearest to what a mixed image really shows."""

from __future__ import annotations

from typing import Any

from experiments.published import model_name
from reports.analysis.arms import arm_of, metric
from reports.analysis.statistics import estimate_numbers, mean_interval, paired_difference
from reports.analysis.words import interval_text, number
from reports.formats.table import Cell, Column, Table, missing
from reports.records.collect import Collected

_WORDS = {"area": "area-λ", "attention": "attention-λ", "mean": "their mean"}
_NAMES = {"area": "area (CutMix)", "attention": "attention", "mean": "mean", "true": "true share"}
ERRORS = "mean absolute error"
CAPTION = (
    "λ is the share of the pasted image in the label. The true share is the pasted image’s part of all "
    "object pixels that the mixed image shows; it is known where the data has masks. The label shift is the "
    "mean distance of the label that TransMix uses from area-λ, the error that from the true share. Measured at scale "
    "{scale}; means over seeds. Not in the paper, so nothing is published."
)
CAUTION = "Nearer to the visible share of pixels need not mean a better label."


def lambda_names(label_rule: str) -> dict[str, str]:
    """What each lambda is called where TransMix labels by `label_rule` (a recipe's setting)."""
    used = {"oracle": "true"}.get(label_rule, label_rule)
    return {name: f"{text}: the label" if name == used else text for name, text in _NAMES.items()}


def build(collected: Collected) -> Table:
    """One line for each row of the study: errors of the three lambdas, averaged over seeds."""
    names = lambda_names(collected.label_rule)
    columns = (
        Column("name", "Model", align="left"),
        Column("mixes", "Mixed images"),
        Column("label_shift", "Label shift"),
        *(Column(f"error_{rule}", names[rule], ERRORS) for rule in _WORDS),
    )
    rows = collected.study.rows
    done = [row for row in rows if _metric(collected, row, "mixes")]
    notes = [f"{model_name(row)}: {verdict(collected, row)}." for row in done]
    lines = tuple(_line(collected, row) for row in rows)
    caption = CAPTION.format(scale=collected.study.scale.name)
    return Table("lambda", caption, columns, lines, (*notes, CAUTION) if notes else ())


def verdict(collected: Collected, row: str) -> str:
    """What the errors allow to say, as a sentence without its full stop."""
    errors = {rule: _metric(collected, row, f"error_{rule}") for rule in _WORDS}
    if not all(errors.values()):
        return "the data has no masks, so the true share is unknown and no λ can be called better"
    used = collected.label_rule
    means = {rule: number(mean_interval(list(values.values())).mean, 3) for rule, values in errors.items()}
    area, attention, mean = (f"{words}, TransMix’s label," if rule == used else words for rule, words in _WORDS.items())
    text = (
        f"{area} errs by {means['area']} from the true share, {attention} by {means['attention']}, and {mean} by "
        f"{means['mean']}"
    )
    rule = "attention" if used == "attention" else "mean"
    gain = paired_difference(errors["area"], errors[rule])
    if gain is None or gain.count == 1:
        return f"{text}; this is one trained model, so without an interval"
    return f"{text}; {rule} minus area is {number(gain.mean, 3, sign=True)}, and {interval_text(gain, 3)}"


def _metric(collected: Collected, row: str, metric: str) -> dict[int, float]:
    return collected.values("lambda", row, "transmix", metric)


def _line(collected: Collected, row: str) -> dict[str, Cell]:
    cells = {"name": Cell(model_name(row))}
    done = collected.done("lambda", row, "transmix")
    if not done:
        none = missing(collected.status("lambda", row, "transmix"))
        return cells | {key: none for key in ("mixes", "label_shift", *(f"error_{rule}" for rule in _WORDS))}
    sources = tuple(result.source for result in done)
    mixes = sum(_metric(collected, row, "mixes").values())
    shift = mean_interval(list(_metric(collected, row, "label_shift").values())).mean
    cells["mixes"] = Cell(f"{mixes:,}", "measured", sources, links=True)
    cells["label_shift"] = Cell(number(shift, 3), "measured", sources)
    for rule in _WORDS:
        values = list(_metric(collected, row, f"error_{rule}").values())
        known = Cell(number(mean_interval(values).mean, 3), "measured", sources) if values else None
        cells[f"error_{rule}"] = known or missing("no masks")
    return cells


def numbers(collected: Collected) -> list[dict[str, Any]]:
    """The table for programs, unrounded: one line a row."""
    return [_numbers(collected, row) for row in collected.study.rows]


def _numbers(collected: Collected, row: str) -> dict[str, Any]:
    arm = arm_of(collected, "lambda", row, "transmix")
    line = {"row": row, "model": model_name(row), "status": arm.status}
    line["seeds"] = len(arm.results)
    line["mixes"] = sum(result.metrics["mixes"] for result in arm.results)
    for name in ("label_shift", *(f"error_{rule}" for rule in _WORDS)):
        line |= estimate_numbers(name, arm.of(metric(name)).mean)
    return line | {"label_rule": collected.label_rule, "records": " ".join(result.run.id for result in arm.results)}
