"""What a training step costs by each way to mix, beside CutMix's: columns of Table 2, from the study's run of it."""

from __future__ import annotations

from typing import Any

from experiments.kinds.cost import CUTMIX
from reports.analysis.words import number, plural
from reports.formats.table import MEASURED, NOT_PLANNED, Cell, Column, missing
from reports.records.collect import DONE, Collected, Result
from transmix.methods import methods

COLUMNS = (
    Column("step", "Step’s time / CutMix’s", MEASURED),
    Column("passes", "Further passes a step", "declared"),
)
WHERE = ("table2", CUTMIX, "cost")  # table, method and part of the run


def measured(collected: Collected) -> Result | None:
    """The study's run that measured it, done or not; None where it plans none."""
    table, method, part = WHERE
    found = collected.of(table, collected.study.mixed_row, method, part)
    return found[0] if found else None


def cells(result: Result | None, method: str) -> dict[str, Cell]:
    """Both columns of a method."""
    passes = Cell(f"{methods()[method].extra_passes:.3g}")
    if result is None or result.status != DONE:
        return {"step": missing(result.status if result else NOT_PLANNED), "passes": passes}
    ratio = result.metrics["relative"].get(method)
    step = missing(NOT_PLANNED) if ratio is None else Cell(number(ratio), "measured", (result.source,))
    return {"step": step, "passes": passes}


def numbers(result: Result | None, method: str) -> dict[str, Any]:
    """The same for programs, with the ratio's lowest and highest round, and the passes that were counted."""
    metrics = result.metrics if result and result.status == DONE else {}
    names = {
        "step_relative": "relative",
        "step_relative_lowest": "lowest",
        "step_relative_highest": "highest",
        "step_seconds": "step_seconds",
        "counted_passes": "extra_passes",
    }
    return {
        **{column: metrics.get(name, {}).get(method) for column, name in names.items()},
        "step_clock": metrics.get("clock", ""),
        "declared_passes": methods()[method].extra_passes,
        "cost": methods()[method].passes,
        "step_record": result.run.id if metrics else "",
    }


def note(result: Result | None) -> tuple[str, ...]:
    """How the ratios were measured."""
    if result is None or result.status != DONE:
        return ()
    settings, metrics = result.run.settings, result.metrics
    device = result.record.environment.computed_on
    return (
        f"A step’s time: {metrics['clock']} of a training step of {settings['model']} on {settings['batch']} images of "
        f"{settings['image_size']} px, {device}, all methods by turns in one run of "
        f"{plural(settings['rounds'], 'round')} of {settings['steps']} steps; CutMix’s takes "
        f"{1000 * metrics['step_seconds'][CUTMIX]:.3g} ms. Further passes are counted in forward passes, a backward "
        "pass as two.",
    )
