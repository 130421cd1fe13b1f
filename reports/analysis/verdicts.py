"""What a study says of several claims at once: shown, not shown, the opposite shown, or not tested.

A claim is tested by the two-sided paired t-test over seeds at 5 %. A page that tests several claims would show one by
chance more often than that, so their p-values are corrected by Holm's method (Scandinavian Journal of Statistics 6,
1979): of all claims on a page of which none is true, one is shown in at most 5 % of studies. The correction is for all
claims that are planned. One without a test as yet counts as p = 1, so that later tests of others take back no claim
that is shown. A claim about every one of several models is as weak as its weakest (intersection-union test), and its
opposite is shown where one model shows it after Bonferroni's correction for their number.

One seed shows nothing about other trainings, nor do seeds that all differ by the same: without a spread there is no
test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from reports.analysis.statistics import CONFIDENCE, Estimate, seeds_needed, special
from reports.analysis.words import plural

SHOWN, NOT_SHOWN, OPPOSITE, NOT_TESTED = "shown", "not shown", "opposite shown", "not tested"


@dataclass(frozen=True)
class Evidence:
    """What a study has about a claim.

    Attributes:
        gains: differences over seeds, one for each model that the claim is about, above zero where the claim holds;
            empty where nothing was measured.
        expected: the difference that the claim's source gives, in the unit of the gains; None where it gives none.
        so_far: of how much of what is planned, or claimed, the gains are: ``3 of 5 seeds``; empty for all of it.
    """

    gains: tuple[Estimate, ...]
    expected: float | None = None
    so_far: str = ""


@dataclass(frozen=True)
class Verdict:
    """What may be said of a claim.

    Attributes:
        word: `SHOWN`, `NOT_SHOWN`, `OPPOSITE` or `NOT_TESTED`.
        p: of the test, corrected for the number of claims; None without a test.
        seeds: how many seeds would show the expected difference (else the one that was seen) in 80 % of studies,
            uncorrected, for a claim that is not shown; None where nothing says, or as many are there.
        so_far: as `Evidence.so_far`; no verdict is told without it.
    """

    word: str
    p: float | None = None
    seeds: int | None = None
    so_far: str = ""

    @property
    def words(self) -> str:
        """What programs and lists say: ``shown``, ``shown (3 of 5 seeds)``."""
        return f"{self.word} ({self.so_far})" if self.so_far else self.word

    @property
    def text(self) -> str:
        """``not shown (3 of 5 seeds; 12 seeds would be needed)``."""
        needed = "" if self.seeds is None else f"{self.seeds:,} seeds would be needed"
        aside = "; ".join(filter(None, (self.so_far, needed)))
        return f"{self.word} ({aside})" if aside else self.word


def p_value(gain: Estimate) -> float | None:
    """Of the two-sided t-test that the mean is zero; None where there is no spread to test by."""
    if gain.half_width is None:
        return None
    error = gain.deviation / math.sqrt(gain.count)
    return float(2 * special.stdtr(gain.count - 1, -abs(gain.mean) / error))


def judge(claims: Mapping[str, Evidence]) -> dict[str, Verdict]:
    """The verdict on each claim of a page, corrected for all that are planned for it.

    Args:
        claims: every planned one; those that cannot be tested yet count as p = 1.
    """
    tests = {name: _test(evidence) for name, evidence in claims.items()}
    corrected = holm({name: 1.0 if test is None else test[1] for name, test in tests.items()})
    return {name: _verdict(evidence, tests[name], corrected[name]) for name, evidence in claims.items()}


def correction_text(verdicts: Mapping[str, Verdict], noun: str = "comparison") -> str:
    """``corrected for 7 comparisons (Holm), 5 of them tested``."""
    tested = sum(verdict.p is not None for verdict in verdicts.values())
    return f"corrected for {plural(len(verdicts), noun)} (Holm), {tested} of them tested"


def legend(shown: str, opposite: str) -> str:
    """What the words of verdicts mean, in one line: what is shown, what the opposite is, and the words for neither."""
    return (
        f"“{SHOWN[0].upper()}{SHOWN[1:]}”: {shown}; “{OPPOSITE}”: {opposite}; “{NOT_SHOWN}”: the runs leave it open; "
        f"“{NOT_TESTED}”: there are no runs to compare."
    )


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


def _verdict(evidence: Evidence, test: tuple[str, float] | None, corrected: float) -> Verdict:
    if not evidence.gains:
        return Verdict(NOT_TESTED)
    if test is None:
        return Verdict(NOT_SHOWN, None, _seeds(evidence), evidence.so_far)
    if corrected < 1 - CONFIDENCE:
        return Verdict(test[0], corrected, None, evidence.so_far)
    return Verdict(NOT_SHOWN, corrected, _seeds(evidence), evidence.so_far)


def _seeds(evidence: Evidence) -> int | None:
    """Seeds for the model that needs most of them, the one whose difference is least beside its deviation.

    None where it has as many: that they did not show the difference is no lack of seeds.
    """
    differences = [evidence.expected or max(gain.mean, 0.0) for gain in evidence.gains]
    pairs = list(zip(differences, evidence.gains, strict=True))
    if not all(difference and gain.deviation for difference, gain in pairs):
        return None
    difference, gain = min(pairs, key=lambda pair: abs(pair[0]) / pair[1].deviation)
    needed = seeds_needed(difference, gain.deviation)
    return needed if needed > gain.count else None
