"""Trained rows and what their differences show: the pieces of every table of trained models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from experiments.scales import table_of
from reports.collect import DONE, Collected, Result
from reports.statistics import Estimate, binomial_standard_error, mean_interval, paired_difference
from reports.table import NOT_RECORDED, Cell, Source, missing
from reports.words import estimate_text, gain_text, interval_text, number


@dataclass(frozen=True)
class Arm:
    """One row trained by one method, over all seeds.

    Attributes:
        status: ``done``, ``not run`` or ``unreadable``.
        settings: the recipe of its planned runs; None where none is planned.
        results: those that have a record.
        metric: what of them is looked at, in percent.
    """

    status: str
    settings: dict[str, Any] | None
    results: tuple[Result, ...]
    metric: str = "top1"

    def of(self, metric: str) -> Arm:
        """The same runs by another metric."""
        return replace(self, metric=metric)

    @property
    def by_seed(self) -> dict[int, float]:
        """The metric in percent, of the records that have it."""
        values = {result.run.seed: result.metrics[self.metric] for result in self.results}
        return {seed: value for seed, value in values.items() if value is not None}

    @property
    def mean(self) -> Estimate | None:
        """In percent, over the seeds; None without a value."""
        return mean_interval(list(self.by_seed.values())) if self.by_seed else None

    @property
    def lack(self) -> str:
        """Why there is no mean: ``not run``, ``unreadable`` or ``not recorded``; empty where there is one."""
        if self.mean is not None:
            return ""
        return NOT_RECORDED if self.results else self.status

    @property
    def sources(self) -> tuple[Source, ...]:
        """The records behind `mean`."""
        return tuple(result.source for result in self.results if result.run.seed in self.by_seed)

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

    @property
    def error(self) -> float:
        """Binomial standard error, in points, of the top-1 of one of its runs."""
        return binomial_standard_error(self.mean.mean, self.images)

    @property
    def images(self) -> int:
        """Validation images that a top-1 was counted on."""
        return self.results[0].metrics["val_images"]


@dataclass(frozen=True)
class Comparison:
    """Two arms, seed by seed.

    Attributes:
        before: what is compared with.
        after: what is compared.
        gain: paired difference over seeds, in points; None where it cannot be formed.
        verdict: what may be concluded, in one sentence; empty while there is nothing to compare.
    """

    before: Arm
    after: Arm
    gain: Estimate | None
    verdict: str

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Both."""
        return self.before, self.after

    @property
    def sources(self) -> tuple[Source, ...]:
        """The records behind `gain`."""
        return self.before.sources + self.after.sources

    @property
    def status(self) -> str:
        """``done`` if there is a gain; else why not."""
        if self.gain is not None:
            return DONE
        return next((arm.lack for arm in self.arms if arm.lack), "not paired")

    @property
    def single(self) -> bool:
        """Whether there is a difference, but of one seed."""
        return self.gain is not None and self.gain.half_width is None


def arm(collected: Collected, row: str, method: str) -> Arm:
    """What a study has of one row trained by one method."""
    return arm_of(collected, table_of(method), row, method)


def arm_of(collected: Collected, *key: str) -> Arm:
    """What a study has of a table, row, method and, where the table has them, part."""
    planned = collected.of(*key)
    return Arm(
        status=collected.status(*key),
        settings=planned[0].run.settings if planned else None,
        results=tuple(collected.done(*key)),
    )


def compare(before: Arm, after: Arm, claim: str) -> Comparison:
    """How `after` differs from `before`.

    Args:
        before: what is compared with.
        after: what is compared.
        claim: the sentence for a difference that the interval allows to claim, with ``{}`` where ``higher`` or
            ``lower`` goes: ``"With TransMix the top-1 is {} here"``.

    Both arms look at the same metric.
    """
    prints = {result.record["data"]["fingerprint"] for arm in (before, after) for result in arm.results}
    if len(prints) > 1:
        verdict = f"Not compared: the records were made on different data ({', '.join(sorted(prints))})."
        return Comparison(before, after, None, verdict)
    gain = paired_difference(before.by_seed, after.by_seed)
    return Comparison(before, after, gain, _verdict(gain, (before, after), claim) if gain else "")


def _verdict(gain: Estimate, arms: tuple[Arm, Arm], claim: str) -> str:
    """One sentence that claims no more than the interval allows."""
    size = f"{number(gain.mean, sign=True)} points"
    if gain.half_width is None:
        return f"One seed says little: the difference is {size}, {_noise(arms)}."
    if gain.low > 0:
        return f"{claim.format('higher')}, {size}: {interval_text(gain)}."
    if gain.high < 0:
        return f"{claim.format('lower')}, {size}: {interval_text(gain)}."
    return f"No difference is shown: {size}, and {interval_text(gain)}."


def _noise(arms: Iterable[Arm]) -> str:
    arms = list(arms)
    if arms[0].metric != "top1":
        return "without an interval"
    error, images = max((arm.error, arm.images) for arm in arms)
    return (
        f"while the top-1 of a single run alone has a binomial standard error of up to {number(error)} points on "
        f"{images:,} validation images"
    )


def verdict_notes(comparisons: Mapping[str, Comparison]) -> tuple[str, ...]:
    """The verdicts, each after its name; several of one seed, which would all say the same, are one note."""
    single = {name: found for name, found in comparisons.items() if found.single}
    merged = single if len(single) > 1 else {}
    notes = [f"{name}: {found.verdict}" for name, found in comparisons.items() if found.verdict and name not in merged]
    if merged:
        noise = _noise(arm for found in merged.values() for arm in found.arms)
        notes.append(f"{', '.join(merged)}: One seed each says little about a difference, {noise}.")
    return tuple(notes)


def mean_cell(arm: Arm, interval: bool = False, links: bool = True) -> Cell:
    """The mean in percent, with its interval and links to its records if asked for."""
    if arm.mean is None:
        return missing(arm.lack)
    text = estimate_text(arm.mean) if interval else number(arm.mean.mean)
    return Cell(text, "measured", arm.sources, links=links)


def gain_cell(comparison: Comparison) -> Cell:
    """The paired difference with its interval, or why there is none."""
    if comparison.gain is None:
        return missing(comparison.status)
    return Cell(gain_text(comparison.gain), "measured", comparison.sources)
