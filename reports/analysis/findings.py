"""What a study has about one claim: the effect over seeds, of which models, and how much of what was planned."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from reports.analysis.arms import Comparison
from reports.analysis.statistics import Estimate, mean_interval
from reports.analysis.verdicts import NOT_TESTED, OPPOSITE, SHOWN, Evidence, Verdict
from reports.analysis.words import plural
from reports.formats.table import NOT_RUN, Source
from reports.records.collect import DONE


@dataclass(frozen=True)
class Finding:
    """What a study has about a claim.

    Attributes:
        pairs: TransMix compared with the baseline by model, or whatever is compared; those without a record, or on
            different data, count for nothing.
        unit: of the effect.
        sign: -1 where a smaller value supports the claim.
        digits: of the effect, after the point.
        expected: the published effect, in the unit; None where the slides give none.
        every: whether the claim is about each model for itself.
        exact: whether the claim is that nothing differs, in counts that have no spread, of each model for itself.
        claimed: the paper's models, where the claim is about all of them.
        aside: a sentence for the notes, of which the verdict knows nothing.
    """

    pairs: dict[str, Comparison]
    unit: str = "points"
    sign: int = 1
    digits: int = 2
    expected: float | None = None
    every: bool = False
    exact: bool = False
    claimed: Collection[str] = ()
    aside: str = ""

    @property
    def planned(self) -> bool:
        """Whether the study plans any run of it."""
        return any(pair.planned for pair in self.pairs.values())

    @cached_property
    def gains(self) -> dict[str, Estimate]:
        """The effect over seeds, above zero where it supports the claim: of each model, or of their mean."""
        apart = self.by_seed
        if self.every or self.exact or len(apart) < 2:
            return {name: mean_interval([*values.values()]) for name, values in apart.items()}
        means = [fmean(values[seed] for values in apart.values()) for seed in self._shared]
        return {f"mean of {len(apart)} models": mean_interval(means)} if means else {}

    @cached_property
    def by_seed(self) -> dict[str, dict[int, float]]:
        """The effect in every seed of each model that has one."""
        values = {name: pair.values for name, pair in self.pairs.items() if pair.same_data}
        return {
            name: {seed: self.sign * (after[seed] - before[seed]) for seed in before}
            for name, (before, after) in values.items()
            if before
        }

    @property
    def _shared(self) -> list[int]:
        """The seeds that all models have."""
        return sorted(set.intersection(*map(set, self.by_seed.values())))

    @property
    def lack(self) -> str:
        """Why there is no effect: ``not run``, ``not paired`` or what else a table says."""
        why = next((pair.status for pair in self.pairs.values() if pair.status != NOT_RUN), NOT_RUN)
        return "not paired" if why == DONE else why

    def sources_of(self, name: str) -> tuple[Source, ...]:
        """The records behind one of the gains."""
        names, seeds = ([name], self.by_seed[name]) if name in self.by_seed else ([*self.by_seed], self._shared)
        sources = (source for name in names for source in self.pairs[name].sources)
        return tuple(source for source in sources if source.seed in seeds)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The records behind the effect."""
        return tuple(source for name in self.gains for source in self.sources_of(name))

    @property
    def so_far(self) -> str:
        """Of how many models and seeds the gains are; empty where they are all that is claimed and planned."""
        models, planned = len(self.by_seed), sum(pair.planned > 0 for pair in self.pairs.values())
        parts = []
        if self.claimed:
            found = sum(name in self.claimed for name in self.by_seed)
            other = f" and {plural(models - found, 'other')}" if models > found else ""
            if found < len(self.claimed):
                parts.append(f"{found} of the paper’s {len(self.claimed)} models{other} tested")
        elif models < planned:
            parts.append(f"{models} of {plural(planned, 'model')}")
        seeds = min((gain.count for gain in self.gains.values()), default=0)
        most = max((self.pairs[name].planned for name in self.by_seed), default=0)
        return ", ".join([*parts, *([f"{seeds} of {plural(most, 'seed')}"] if seeds < most else [])])

    @property
    def evidence(self) -> Evidence:
        """The gains, and what is expected of them: what the verdict rests on."""
        return Evidence(tuple(self.gains.values()), self.expected, self.so_far)

    @property
    def counted(self) -> Verdict:
        """The verdict on an exact claim, that counts do not differ in any seed of any model: without a test."""
        differences = [difference for values in self.by_seed.values() for difference in values.values()]
        if not differences:
            return Verdict(NOT_TESTED)
        return Verdict(OPPOSITE if any(differences) else SHOWN, so_far=self.so_far)
