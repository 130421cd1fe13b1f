"""Trained rows and what their differences show: the pieces of every table that compares methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any

from experiments.scales import table_of
from reports.analysis.statistics import Estimate, ImageInterval, mean_interval, paired_difference
from reports.analysis.words import estimate_text, finding, gain_text, interval_text, number
from reports.formats.table import NOT_RECORDED, Cell, Source, missing
from reports.records.answers import Values, image_difference, right
from reports.records.collect import DONE, Collected, Result


@dataclass(frozen=True)
class Measure:
    """What is looked at of a run.

    Attributes:
        read: it from a record's metrics, in percent; None where they lack it.
        by_image: a run's images and the value of each, where runs keep answers; None where they cannot be read.
    """

    read: Callable[[dict[str, Any]], float | None]
    by_image: Callable[[Result], Values | None] | None = None


TOP1 = Measure(itemgetter("top1"), right)


def metric(name: str) -> Measure:
    """A metric that records have in percent, without answers of single images."""
    return Measure(itemgetter(name))


@dataclass(frozen=True)
class Arm:
    """One row by one method, over all seeds.

    Attributes:
        status: ``done``, ``not run`` or ``unreadable``.
        settings: the recipe of its planned runs; None where none is planned.
        results: those that have a record.
        measure: what of them is looked at.
    """

    status: str
    settings: dict[str, Any] | None
    results: tuple[Result, ...]
    measure: Measure = TOP1

    def of(self, measure: Measure) -> Arm:
        """The same runs by another measure."""
        return replace(self, measure=measure)

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """The measure in percent, of the records that have it."""
        values = {result.run.seed: self.measure.read(result.metrics) for result in self.results}
        return {seed: value for seed, value in values.items() if value is not None}

    @cached_property
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
    """Two arms, seed by seed, both by the same measure.

    Attributes:
        before: what is compared with.
        after: what is compared.
        claim: the sentence for a difference that the interval allows to claim, with ``{}`` where ``higher`` or
            ``lower`` goes: ``"With TransMix the top-1 is {} here"``.
    """

    before: Arm
    after: Arm
    claim: str

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Both arms: before, then after."""
        return self.before, self.after

    @cached_property
    def gain(self) -> Estimate | None:
        """Paired difference over seeds, in points; None where it cannot be formed."""
        return None if self._data_apart else paired_difference(self.before.by_seed, self.after.by_seed)

    @cached_property
    def images(self) -> ImageInterval | None:
        """The same difference with its interval over images; None without a gain, or without all answers."""
        if self.gain is None or self.before.measure.by_image is None:
            return None
        return image_difference(self.before.results, self.after.results, self.before.measure.by_image)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The records behind `gain`."""
        return self.before.sources + self.after.sources

    @property
    def pairs(self) -> int:
        """Number of seeds behind `gain`."""
        return self.gain.count if self.gain else 0

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
        if self._data_apart:
            return f"Not compared: the records were made on different data ({', '.join(self._data_apart)})."
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

    @cached_property
    def _data_apart(self) -> list[str]:
        """Fingerprints of the data sets, if they are not the same one."""
        prints = {result.record.fingerprints for arm in self.arms for result in arm.results}
        return sorted(prints) if len(prints) > 1 else []


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
    notes = [f"{name}{about}: {found.verdict}" for name, found in judged.items()]
    return (*notes, *([f"{', '.join(merged)}{about}: {_single_verdict(merged)}"] if merged else []))


def _single_verdict(single: Mapping[str, Comparison]) -> str:
    """The verdict of several comparisons of one seed each."""
    text = "One seed each says little about other trainings"
    known = {name: found.images for name, found in single.items() if found.images is not None}
    if not known:
        return f"{text}, and gives no interval."
    listed = ", ".join(f"{name} {found.text}" for name, found in known.items())
    shown = sum(finding(found) == "excludes zero" for found in known.values())
    return (
        f"{text}. For these very models the 95 % intervals over images (paired bootstrap) are {listed}; {shown} of "
        f"{len(known)} {'excludes' if shown == 1 else 'exclude'} zero."
    )


def seeds_text(*arms: Arm) -> str:
    """How many seeds each of some arms has: ``3``, or ``3 and 2``."""
    counts = [len(arm.by_seed) for arm in arms]
    return f"{counts[0]:,}" if len(set(counts)) == 1 else " and ".join(f"{count:,}" for count in counts)


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
