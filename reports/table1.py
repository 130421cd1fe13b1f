"""Table 1: top-1 with and without TransMix, published and measured side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments import published
from experiments.published import PublishedRow
from experiments.scales import PAIR
from reports.arms import Arm, Comparison, arm, compare, gain_cell, mean_cell, verdict_notes
from reports.collect import Collected
from reports.statistics import Estimate
from reports.table import MEASURED, NOT_RECORDED, PUBLISHED, Cell, Column, Table, missing
from reports.words import number

COLUMNS = (
    Column("name", "Model", align="left"),
    Column("params", "Params (M)", PUBLISHED),
    Column("flops", "FLOPs (G)", PUBLISHED),
    Column("published_baseline", "Baseline", PUBLISHED),
    Column("published_transmix", "TransMix", PUBLISHED),
    Column("published_gain", "Gain", PUBLISHED),
    Column("model", "Model", MEASURED, "left"),
    Column("parameters", "Params (M)", MEASURED),
    Column("gmacs", "GMACs", MEASURED),
    Column("baseline", "Baseline", MEASURED),
    Column("transmix", "TransMix", MEASURED),
    Column("gain", "Gain", MEASURED),
)
CAPTION = (
    "ImageNet-1k top-1 as the slides give it, and top-1 on the validation images of this study, both in "
    "percent. Measured: mean over seeds; gain in points, with two or more seeds the mean paired difference ± "
    "its 95 % interval (Student’s t). That interval covers the seeds, not the choice of validation images. GMACs: "
    "10⁹ multiply-accumulates of one image’s forward pass, those of attention included. The slides’ FLOPs are "
    "multiply-accumulates too."
)
CLAIM = "With TransMix the top-1 is {} here"


@dataclass(frozen=True)
class GainRow:
    """One row of Table 1.

    Attributes:
        published: what the paper says.
        comparison: our runs without and with TransMix.
    """

    published: PublishedRow
    comparison: Comparison

    @property
    def baseline(self) -> Arm:
        """Our runs without TransMix."""
        return self.comparison.before

    @property
    def transmix(self) -> Arm:
        """Our runs with it."""
        return self.comparison.after

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Both methods."""
        return self.comparison.arms

    @property
    def gain(self) -> Estimate | None:
        """Paired difference over seeds, in points; None where it cannot be formed."""
        return self.comparison.gain

    @property
    def verdict(self) -> str:
        """What may be concluded, in one sentence."""
        return self.comparison.verdict

    @property
    def status(self) -> str:
        """``done`` if there is a gain; else why not."""
        return self.comparison.status


def gain_rows(collected: Collected) -> list[GainRow]:
    """All rows of the paper's table, measured or not."""
    return [_gain_row(collected, row) for row in published.table1()]


def _gain_row(collected: Collected, row: PublishedRow) -> GainRow:
    baseline, transmix = (arm(collected, row.row, method) for method in PAIR)
    return GainRow(row, compare(baseline, transmix, CLAIM))


def build(collected: Collected) -> Table:
    """Table 1 for people."""
    rows = gain_rows(collected)
    notes = verdict_notes({row.published.model: row.comparison for row in rows})
    return Table("table1", CAPTION, COLUMNS, tuple(_cells(row) for row in rows), notes)


def _cells(row: GainRow) -> dict[str, Cell]:
    paper = row.published
    ours = next((arm for arm in row.arms if arm.results), None)
    none = missing(row.status)
    return {
        "name": Cell(paper.model),
        "params": Cell(paper.params, "published"),
        "flops": Cell(paper.flops, "published"),
        "published_baseline": Cell(paper.baseline, "published"),
        "published_transmix": Cell(paper.transmix, "published"),
        "published_gain": Cell(number(paper.gain, 1, sign=True), "published"),
        "model": Cell(ours.model, "measured", ours.sources) if ours else none,
        "parameters": Cell(number(ours.parameters / 1e6), "measured", ours.sources) if ours else none,
        "gmacs": _gmacs(ours) if ours else none,
        "baseline": mean_cell(row.baseline),
        "transmix": mean_cell(row.transmix),
        "gain": gain_cell(row.comparison),
    }


def _gmacs(arm: Arm) -> Cell:
    return missing(NOT_RECORDED) if arm.gmacs is None else Cell(number(arm.gmacs, 3), "measured", arm.sources)


def numbers(collected: Collected) -> list[dict[str, Any]]:
    """Table 1 for programs, unrounded; without a record a number is None and ``status`` says why."""
    return [_numbers(row) for row in gain_rows(collected)]


def _numbers(row: GainRow) -> dict[str, Any]:
    paper, gain = row.published, row.gain
    ours = next((arm for arm in row.arms if arm.results), None)
    return {
        "row": paper.row,
        "model": paper.model,
        "published_params_m": float(paper.params),
        "published_flops_g": float(paper.flops),
        "published_baseline": float(paper.baseline),
        "published_transmix": float(paper.transmix),
        "published_gain": paper.gain,
        "published_source": paper.source,
        "status": row.status,
        "measured_model": ours.model if ours else None,
        "measured_parameters": ours.parameters if ours else None,
        "measured_gmacs": ours.gmacs if ours else None,
        "measured_baseline": row.baseline.mean.mean if row.baseline.mean else None,
        "measured_transmix": row.transmix.mean.mean if row.transmix.mean else None,
        "measured_gain": gain.mean if gain else None,
        "gain_half_width_95": gain.half_width if gain else None,
        "paired_seeds": gain.count if gain else 0,
        "verdict": row.verdict,
        "baseline_records": " ".join(source.id for source in row.baseline.sources),
        "transmix_records": " ".join(source.id for source in row.transmix.sources),
    }
