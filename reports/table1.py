"""Table 1: top-1 with and without TransMix, published and measured side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments import published
from experiments.published import PublishedRow
from reports.collect import DONE, Collected, Result
from reports.statistics import Estimate, binomial_standard_error, mean_interval, paired_difference
from reports.table import MEASURED, NOT_RECORDED, PUBLISHED, Cell, Column, Source, Table, missing
from reports.words import gain_text, interval_text, number

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


@dataclass(frozen=True)
class Arm:
    """One row trained by one method, over all seeds.

    Attributes:
        status: ``done``, ``not run`` or ``unreadable``.
        results: those that have a record.
        top1: in percent; None without a record.
    """

    status: str
    results: tuple[Result, ...]
    top1: Estimate | None

    @property
    def sources(self) -> tuple[Source, ...]:
        """The records behind `top1`."""
        return tuple(result.source for result in self.results)

    @property
    def model(self) -> str | None:
        """The model that was trained, by its timm name."""
        return self.results[0].record["settings"]["model"] if self.results else None

    @property
    def parameters(self) -> int | None:
        """Its number of parameters."""
        return self.results[0].metrics["parameters"] if self.results else None

    @property
    def gmacs(self) -> float | None:
        """10^9 multiply-accumulates of its forward pass; None in records of before they were counted."""
        return self.results[0].metrics.get("gmacs") if self.results else None


@dataclass(frozen=True)
class GainRow:
    """One row of Table 1.

    Attributes:
        published: what the paper says.
        baseline: our runs without TransMix.
        transmix: our runs with it.
        gain: paired difference over seeds, in points; None where it cannot be formed.
        verdict: what may be concluded, in one sentence.
    """

    published: PublishedRow
    baseline: Arm
    transmix: Arm
    gain: Estimate | None
    verdict: str

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Both methods."""
        return self.baseline, self.transmix

    @property
    def status(self) -> str:
        """``done`` if there is a gain; else why not."""
        if self.gain is not None:
            return DONE
        return next((arm.status for arm in self.arms if arm.status != DONE), "not paired")


def gain_rows(collected: Collected) -> list[GainRow]:
    """All rows of the paper's table, measured or not."""
    return [_gain_row(collected, row) for row in published.table1()]


def _gain_row(collected: Collected, row: PublishedRow) -> GainRow:
    arms = [_arm(collected, row.row, method) for method in ("baseline", "transmix")]
    tops = [collected.values("table1", row.row, method, "top1") for method in ("baseline", "transmix")]
    prints = {result.record["data"]["fingerprint"] for arm in arms for result in arm.results}
    if len(prints) > 1:
        verdict = f"Not compared: the records were made on different data ({', '.join(sorted(prints))})."
        return GainRow(row, *arms, None, verdict)
    gain = paired_difference(*tops)
    return GainRow(row, *arms, gain, _verdict(gain, arms) if gain else "")


def _arm(collected: Collected, row: str, method: str) -> Arm:
    top1 = collected.values("table1", row, method, "top1")
    return Arm(
        status=collected.status("table1", row, method),
        results=tuple(collected.done("table1", row, method)),
        top1=mean_interval(list(top1.values())) if top1 else None,
    )


def _verdict(gain: Estimate, arms: list[Arm]) -> str:
    """One sentence that claims no more than the interval allows."""
    size = f"{number(gain.mean, sign=True)} points"
    if gain.half_width is None:
        images = arms[0].results[0].metrics["val_images"]
        error = max(binomial_standard_error(arm.top1.mean, images) for arm in arms)
        return (
            f"One seed says little: the difference is {size}, while the top-1 of a single run alone has a "
            f"binomial standard error of {number(error)} points on {images:,} validation images."
        )
    if gain.low > 0:
        return f"With TransMix the top-1 is higher here, {size}: {interval_text(gain)}."
    if gain.high < 0:
        return f"With TransMix the top-1 is lower here, {size}: {interval_text(gain)}."
    return f"No difference is shown: {size}, and {interval_text(gain)}."


def build(collected: Collected) -> Table:
    """Table 1 for people."""
    rows = gain_rows(collected)
    notes = tuple(f"{row.published.model}: {row.verdict}" for row in rows if row.verdict)
    return Table("table1", CAPTION, COLUMNS, tuple(_cells(row) for row in rows), notes)


def _cells(row: GainRow) -> dict[str, Cell]:
    paper = row.published
    ours = next((arm for arm in row.arms if arm.results), None)
    sources = tuple(source for arm in row.arms for source in arm.sources)
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
        "baseline": _top1(row.baseline),
        "transmix": _top1(row.transmix),
        "gain": Cell(gain_text(row.gain), "measured", sources) if row.gain else none,
    }


def _gmacs(arm: Arm) -> Cell:
    return missing(NOT_RECORDED) if arm.gmacs is None else Cell(number(arm.gmacs, 3), "measured", arm.sources)


def _top1(arm: Arm) -> Cell:
    return Cell(number(arm.top1.mean), "measured", arm.sources, links=True) if arm.top1 else missing(arm.status)


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
        "measured_baseline": row.baseline.top1.mean if row.baseline.top1 else None,
        "measured_transmix": row.transmix.top1.mean if row.transmix.top1 else None,
        "measured_gain": gain.mean if gain else None,
        "gain_half_width_95": gain.half_width if gain else None,
        "paired_seeds": gain.count if gain else 0,
        "verdict": row.verdict,
        "baseline_records": " ".join(source.id for source in row.baseline.sources),
        "transmix_records": " ".join(source.id for source in row.transmix.sources),
    }
