"""Trained rows and what their differences show: the pieces of every table that compares methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from experiments.scales import table_of
from reports.analysis.metrics import TOP1, Metric
from reports.analysis.statistics import Estimate, ImageInterval, mean_interval, paired_difference
from reports.analysis.verdicts import Evidence
from reports.analysis.words import estimate_text, finding, gain_text, interval_text, number, plural, quoted, title_list
from reports.formats.table import NOT_RECORDED, NOT_RUN, Cell, Source, missing
from reports.records.answers import image_difference
from reports.records.collect import DONE, Collected, Result


@dataclass(frozen=True)
class Arm:
    """One row by one method, over all seeds.

    Attributes:
        status: ``done``, ``not run`` or ``unreadable``.
        settings: the recipe of its planned runs; None where none is planned.
        results: those that have a record.
        metric: what of them is looked at.
        planned: how many runs are planned, one a seed.
        waiting: how many of them have not been run.
    """

    status: str
    settings: dict[str, Any] | None
    results: tuple[Result, ...]
    metric: Metric = TOP1
    planned: int = 0
    waiting: int = 0

    def of(self, metric: Metric) -> Arm:
        """The same runs by another metric."""
        return replace(self, metric=metric)

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """The metric in its unit, of the records that have it."""
        values = {result.run.seed: self.metric.of(result.metrics) for result in self.results}
        return {seed: value for seed, value in values.items() if value is not None}

    @cached_property
    def mean(self) -> Estimate | None:
        """Over the seeds; None without a value."""
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
        return self.results[0].record.settings["model"] if self.results else None

    @property
    def parameters(self) -> int | None:
        """Its number of parameters."""
        return self.results[0].metrics["parameters"] if self.results else None

    @property
    def gmacs(self) -> float | None:
        """10^9 multiply-accumulates of its forward pass."""
        return self.results[0].metrics["gmacs"] if self.results else None


@dataclass(frozen=True)
class Comparison:
    """Two arms, seed by seed, both by the same metric.

    Attributes:
        before: what is compared with.
        after: what is compared.
        claim: the sentence for a difference that the interval allows to claim, with ``{}`` where ``higher`` or
            ``lower`` goes: ``"With TransMix the top-1 is {} here"``.
    """

    before: Arm
    after: Arm
    claim: str = ""

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Both arms: before, then after."""
        return self.before, self.after

    @property
    def metric(self) -> Metric:
        """By which both arms are compared."""
        return self.before.metric

    @cached_property
    def values(self) -> tuple[dict[int, float], dict[int, float]]:
        """The metric by seed, before and after, of the seeds that both have."""
        before, after = (arm.by_seed for arm in self.arms)
        shared = sorted(before.keys() & after.keys())
        return {seed: before[seed] for seed in shared}, {seed: after[seed] for seed in shared}

    @cached_property
    def difference(self) -> Estimate | None:
        """After minus before, paired by seed, on whatever data; None where they share no seed."""
        return paired_difference(*self.values)

    @property
    def gain(self) -> Estimate | None:
        """The same, None where the data differ, too: the difference would be one of the data as well."""
        return self.difference if self.same_data else None

    @property
    def means(self) -> tuple[float, float]:
        """Before and after, over the seeds that both have; at least one."""
        return tuple(mean_interval(list(values.values())).mean for values in self.values)

    @property
    def equal(self) -> bool:
        """Whether every seed gave the same number, to the last digit."""
        return self.values[0] == self.values[1]

    @property
    def judged(self) -> bool:
        """Whether the gain has an interval over seeds that says something: of a number that training decides."""
        return self.gain is not None and self.gain.half_width is not None and not self.metric.exact

    @property
    def shown(self) -> bool:
        """Whether that interval excludes zero."""
        return self.judged and finding(self.gain) == "excludes zero"

    @cached_property
    def images(self) -> ImageInterval | None:
        """The same difference with its interval over images; None without a gain, or without all answers."""
        if self.gain is None or self.metric.by_image is None:
            return None
        return image_difference(self.before.results, self.after.results, self.metric.by_image)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The records behind `gain`."""
        return self.before.sources + self.after.sources

    @property
    def pairs(self) -> int:
        """Number of seeds behind `gain`."""
        return self.gain.count if self.gain else 0

    @property
    def planned(self) -> int:
        """Number of seeds that are planned of both."""
        return min(arm.planned for arm in self.arms)

    @property
    def so_far(self) -> str:
        """``3 of 5 seeds``; empty once all are there that are planned."""
        return f"{self.pairs} of {plural(self.planned, 'seed')}" if self.pairs < self.planned else ""

    @property
    def status(self) -> str:
        """``done`` if there is a gain; else why not."""
        if self.gain is not None:
            return DONE
        return next((arm.lack for arm in self.arms if arm.lack), "not paired")

    @property
    def single(self) -> bool:
        """Whether there is a difference, but of one seed."""
        return self.gain is not None and self.gain.count == 1

    @property
    def verdict(self) -> str:
        """What may be concluded, in a sentence or two; empty while there is nothing to compare."""
        if not self.same_data:
            return f"Not compared: the records were made on different data ({', '.join(self._data)})."
        gain = self.gain
        if gain is None:
            return ""
        size = f"{number(gain.mean, sign=True)} points"
        if gain.count == 1:
            return f"One seed says little about other trainings: the difference is {size}{_over_images(self.images)}."
        if gain.half_width is None:
            return f"The difference is {size} with each of {gain.count} seeds: too few to see a spread, so no interval."
        if gain.low > 0:
            return f"{self.claim.format('higher')}, {size}: {interval_text(gain)}."
        if gain.high < 0:
            return f"{self.claim.format('lower')}, {size}: {interval_text(gain)}."
        return f"No difference is shown: {size}, and {interval_text(gain)}."

    @property
    def same_data(self) -> bool:
        """Whether all runs saw the same images."""
        return len(self._data) < 2

    @cached_property
    def _data(self) -> list[str]:
        return sorted({result.record.data_identity for arm in self.arms for result in arm.results})


def _over_images(found: ImageInterval | None) -> str:
    if found is None:
        return ", without an interval"
    return (
        f"; for these two very models the 95 % interval over images (paired bootstrap), {found.text}, {finding(found)}"
    )


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
        planned=len(planned),
        waiting=sum(result.status == NOT_RUN for result in planned),
    )


def verdict_notes(comparisons: Mapping[str, Comparison], about: str = "") -> tuple[str, ...]:
    """The verdicts, each after its name; several of one seed, which would all say the same, are one note.

    Args:
        comparisons: by name.
        about: what all of them are about, where the table has more than that.
    """
    about = f", {about}" if about else ""
    single = {name: found for name, found in comparisons.items() if found.single}
    merged = single if len(single) > 1 else {}
    judged = {name: found for name, found in comparisons.items() if found.verdict and name not in merged}
    notes = [f"{quoted(name) if about else name}{about}: {found.verdict}" for name, found in judged.items()]
    return (*notes, *([f"{title_list(merged)}{about}: {_single_verdict(merged)}"] if merged else []))


def _single_verdict(single: Mapping[str, Comparison]) -> str:
    """The verdict of several comparisons of one seed each."""
    text = "One seed each says little about other trainings"
    known = {name: found.images for name, found in single.items() if found.images is not None}
    if not known:
        return f"{text}, and gives no interval."
    intervals = ", ".join(f"{quoted(name)} {found.text}" for name, found in known.items())
    shown = sum(finding(found) == "excludes zero" for found in known.values())
    return (
        f"{text}. For these very models the 95 % intervals over images (paired bootstrap) are {intervals}; {shown} of "
        f"{len(known)} {'excludes' if shown == 1 else 'exclude'} zero."
    )


def evidence_of(comparison: Comparison) -> Evidence:
    """What a comparison has for a verdict, and of how many of its planned seeds."""
    return Evidence(() if comparison.gain is None else (comparison.gain,), so_far=comparison.so_far)


def seeds_text(*arms: Arm) -> str:
    """How many seeds each of some arms has: ``3``, of two ``3 and 2``, of more ``0 to 5``."""
    counts = [len(arm.by_seed) for arm in arms]
    if len(set(counts)) == 1:
        return f"{counts[0]:,}"
    return " and ".join(f"{count:,}" for count in counts) if len(counts) == 2 else f"{min(counts):,} to {max(counts):,}"


def mean_cell(arm: Arm, interval: bool = True, links: bool = True) -> Cell:
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
