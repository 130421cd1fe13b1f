"""Table 1: top-1 with and without TransMix, published and measured side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments import published
from experiments.published import PublishedRow
from experiments.scales import PAIR
from reports.analysis.arms import TOP1, Arm, Comparison, arm, gain_cell, mean_cell, seeds_text, verdict_notes
from reports.analysis.power import power_note
from reports.analysis.statistics import Estimate, estimate_numbers, interval_numbers
from reports.analysis.words import number
from reports.formats.table import MEASURED, PUBLISHED, Cell, Column, Table, missing
from reports.records.collect import Collected
from reports.records.published_sets import (
    agreement_notes,
    published_gain,
    published_mean,
    set_columns,
    set_key,
    sets_of,
)

COLUMNS = (
    Column("name", "Model", align="left"),
    Column("params", "Params (M)", PUBLISHED),
    Column("flops", "FLOPs (G)", PUBLISHED),
    Column("published_baseline", "Baseline", PUBLISHED),
    Column("published_transmix", "TransMix", PUBLISHED),
    Column("published_gain", "Gain", PUBLISHED),
    Column("seeds", "Seeds", MEASURED),
    Column("baseline", "Baseline", MEASURED),
    Column("transmix", "TransMix", MEASURED),
    Column("gain", "Gain", MEASURED),
    Column("model", "Model", MEASURED, "left"),
    Column("parameters", "Params (M)", MEASURED),
    Column("gmacs", "GMACs", MEASURED),
)
CAPTION = (
    "ImageNet-1k top-1 as the slides give it, and top-1 on the validation images of this study at scale {scale}, both "
    "in percent. Measured: mean over seeds, and gain in points as the mean paired difference; with two or more seeds "
    "± their 95 % intervals (Student’s t), each for itself, which cover the seeds and not the choice of validation "
    "images. GMACs: 10⁹ multiply-accumulates of one image’s forward pass, those of attention included. The slides’ "
    "FLOPs are multiply-accumulates too."
)
SET_COLUMNS = {"baseline": "Baseline", "transmix": "TransMix", "gain": "Gain"}
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
    def status(self) -> str:
        """``done`` if there is a gain; else why not."""
        return self.comparison.status


def gain_rows(collected: Collected) -> list[GainRow]:
    """All rows of the paper's table, measured or not."""
    return [_gain_row(collected, row) for row in published.table1()]


def _gain_row(collected: Collected, row: PublishedRow) -> GainRow:
    baseline, transmix = (arm(collected, row.row, method) for method in PAIR)
    return GainRow(row, Comparison(baseline, transmix, CLAIM))


def build(collected: Collected) -> Table:
    """Table 1 for people."""
    rows = gain_rows(collected)
    lines = [_cells(row) for row in rows]
    sets = sets_of(collected, "table1")
    for place, (_, there) in enumerate(sets):
        for line, found in zip(lines, gain_rows(there), strict=True):
            cells = (*map(published_mean, found.arms), published_gain(found.comparison))
            line |= {set_key(place, key): cell for key, cell in zip(SET_COLUMNS, cells, strict=True)}
    comparisons = {row.published.model: row.comparison for row in rows}
    gains = {row.published.model: row.published.gain for row in rows}
    notes = (
        *verdict_notes(comparisons),
        *power_note(comparisons, gains),
        *agreement_notes(collected, TOP1, "table1"),
    )
    caption = CAPTION.format(scale=collected.study.scale.name)
    return Table("table1", caption, COLUMNS + set_columns(sets, SET_COLUMNS), tuple(lines), notes)


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
        "gmacs": Cell(number(ours.gmacs, 3), "measured", ours.sources) if ours else none,
        "seeds": Cell(seeds_text(row.comparison), "measured", row.comparison.sources) if ours else none,
        "baseline": mean_cell(row.baseline),
        "transmix": mean_cell(row.transmix),
        "gain": gain_cell(row.comparison),
    }


def numbers(collected: Collected) -> list[dict[str, Any]]:
    """Table 1 for programs, unrounded; without a record a number is None and ``status`` says why."""
    return [_numbers(row) for row in gain_rows(collected)]


def _numbers(row: GainRow) -> dict[str, Any]:
    paper, found = row.published, row.comparison
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
        **estimate_numbers("measured_baseline", row.baseline.mean),
        **estimate_numbers("measured_transmix", row.transmix.mean),
        **estimate_numbers("measured_gain", found.gain),
        **interval_numbers("measured_gain", found.images),
        "baseline_seeds": len(row.baseline.by_seed),
        "transmix_seeds": len(row.transmix.by_seed),
        "paired_seeds": found.pairs,
        "verdict": found.verdict,
        "baseline_records": " ".join(source.id for source in row.baseline.sources),
        "transmix_records": " ".join(source.id for source in row.transmix.sources),
    }
