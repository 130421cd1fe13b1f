"""What a study says of several claims at once: shown, not shown, the opposite shown, or not tested.

A claim is tested by the two-sided paired t-test over seeds at 5 %. A page that tests several claims would show one by
chance more often than that, so their p-values are corrected by Holm's method (Scandinavian Journal of Statistics 6,
1979): of all claims on a page of which none is true, one is shown in at most 5 % of studies. A claim about every one of
several models is as weak as its weakest (intersection-union test), and its opposite is shown where one model shows it
after Bonferroni's correction for their number.

One seed shows nothing about other trainings, nor do seeds that all differ by the same: without a spread there is no
test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from reports.analysis.statistics import CONFIDENCE, Estimate, seeds_needed, special

SHOWN, NOT_SHOWN, OPPOSITE, NOT_TESTED = "shown", "not shown", "opposite shown", "not tested"


@dataclass(frozen=True)
class Evidence:
    """What a study has about a claim.

    Attributes:
        gains: differences over seeds, one for each model that the claim is about, above zero where the claim holds;
            empty where nothing was measured.
        expected: the difference that the claim's source gives, in the unit of the gains; None where it gives none.
    """

    gains: tuple[Estimate, ...]
    expected: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What may be said of a claim.

    Attributes:
        word: `SHOWN`, `NOT_SHOWN`, `OPPOSITE` or `NOT_TESTED`.
        p: of the test, corrected for the number of claims; None without a test.
        seeds: how many seeds would show the expected difference (else the one that was seen) in 80 % of studies, for
            a claim that is not shown; None where nothing says.
    """

    word: str
    p: float | None = None
    seeds: int | None = None

    @property
    def text(self) -> str:
        """``not shown (12 seeds would be needed)``."""
        return self.word if self.seeds is None else f"{self.word} ({self.seeds:,} seeds would be needed)"


def p_value(gain: Estimate) -> float | None:
    """Of the two-sided t-test that the mean is zero; None where there is no spread to test by."""
    if gain.half_width is None:
        return None
    error = gain.deviation / math.sqrt(gain.count)
    return float(2 * special.stdtr(gain.count - 1, -abs(gain.mean) / error))


def judge(claims: Mapping[str, Evidence]) -> dict[str, Verdict]:
    """The verdict on each claim of a page, corrected for all that are tested on it."""
    tests = {name: found for name, evidence in claims.items() if (found := _test(evidence)) is not None}
    corrected = holm({name: p for name, (_, p) in tests.items()})
    return {name: _verdict(evidence, tests.get(name), corrected.get(name)) for name, evidence in claims.items()}


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values corrected for their number, so that the smallest is below 5 % by chance in 5 % of pages at most."""
    corrected, highest = {}, 0.0
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p))
        corrected[name] = highest
    return corrected


def _test(evidence: Evidence) -> tuple[str, float] | None:
    """What a claim's test points to, and its p-value before the correction; None where a model cannot be tested."""
    found = [p_value(gain) for gain in evidence.gains]
    if not found or None in found:
        return None
    against = [p for p, gain in zip(found, evidence.gains, strict=True) if gain.mean < 0]
    if not against:
        return SHOWN, max(found)
    return OPPOSITE, min(1.0, len(found) * min(against))


def _verdict(evidence: Evidence, test: tuple[str, float] | None, corrected: float | None) -> Verdict:
    if not evidence.gains:
        return Verdict(NOT_TESTED)
    if test is not None and corrected < 1 - CONFIDENCE:
        return Verdict(test[0], corrected)
    return Verdict(NOT_SHOWN, corrected, _seeds(evidence))


def _seeds(evidence: Evidence) -> int | None:
    """Seeds for the model that needs most of them: the one whose difference is least beside its deviation."""
    differences = [evidence.expected or max(gain.mean, 0.0) for gain in evidence.gains]
    pairs = [(difference, gain.deviation) for difference, gain in zip(differences, evidence.gains, strict=True)]
    if not all(difference and deviation for difference, deviation in pairs):
        return None
    return seeds_needed(*min(pairs, key=lambda pair: abs(pair[0]) / pair[1]))
