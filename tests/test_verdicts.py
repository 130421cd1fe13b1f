"""Verdicts on claims: against made-up studies whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.analysis.statistics import Estimate, mean_interval
from reports.analysis.verdicts import (
    NOT_SHOWN,
    NOT_TESTED,
    OPPOSITE,
    SHOWN,
    Evidence,
    correction_text,
    holm,
    judge,
    p_value,
)

CLAIMS = tuple("abcdefgh")


def study(rng: np.random.Generator, effects: dict[str, float], seeds: int = 5, models: int = 1) -> dict[str, Evidence]:
    """Differences of one standard deviation over seeds around the true effects, for some models each."""
    return {
        name: Evidence(tuple(mean_interval(list(rng.normal(effect, 1, seeds))) for _ in range(models)))
        for name, effect in effects.items()
    }


def test_the_p_value_is_that_of_the_t_test():
    values = [0.4, 1.1, -0.2, 0.7, 0.5]
    assert p_value(mean_interval(values)) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-9)
    assert p_value(mean_interval([0.7])) is None
    assert p_value(mean_interval([0.7, 0.7])) is None


def test_holm_corrects_as_statsmodels_documents():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@pytest.mark.parametrize("models", [1, 3])
def test_without_any_effect_a_page_of_eight_claims_shows_one_in_five_percent_of_studies_at_most(models):
    rng, shown, opposite, studies = np.random.default_rng(0), 0, 0, 2000
    for _ in range(studies):
        words = {verdict.word for verdict in judge(study(rng, dict.fromkeys(CLAIMS, 0.0), models=models)).values()}
        shown, opposite = shown + (SHOWN in words), opposite + (OPPOSITE in words)
        assert words <= {SHOWN, NOT_SHOWN, OPPOSITE}
    assert shown / studies <= 0.05
    assert (shown + opposite) / studies <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)


def test_a_page_that_is_tested_one_by_one_shows_no_more_and_takes_nothing_back():
    """Looked at after each of its claims, a page without any effect still shows one in five percent of studies."""
    rng, wrong, studies = np.random.default_rng(2), 0, 1000
    for _ in range(studies):
        whole, shown = study(rng, dict.fromkeys(CLAIMS, 0.0)), set()
        for there in range(1, len(CLAIMS) + 1):
            looked = judge({name: whole[name] if name in CLAIMS[:there] else Evidence(()) for name in CLAIMS})
            now = {name for name, verdict in looked.items() if verdict.word in (SHOWN, OPPOSITE)}
            assert shown <= now, "what was shown stays so when others are tested"
            shown = now
        wrong += bool(shown)
    assert wrong / studies <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)


def test_claims_still_to_be_tested_are_corrected_for():
    gain = Estimate(1.0, 0.9, 5)  # its p is .037: below 5 % alone, not as one of two
    assert judge({"alone": Evidence((gain,))})["alone"].word == SHOWN
    two = judge({"tested": Evidence((gain,)), "waiting": Evidence(())})
    assert (two["tested"].word, two["waiting"].word, two["waiting"].p) == (NOT_SHOWN, NOT_TESTED, None)
    assert two["tested"].p == pytest.approx(2 * p_value(gain))
    assert correction_text(two) == "corrected for 2 comparisons (Holm), 1 of them tested"


def test_a_verdict_says_of_how_much_it_is():
    verdict = judge({"a": Evidence((Estimate(2.0, 0.5, 3),), so_far="3 of 5 seeds")})["a"]
    assert verdict.words == verdict.text == "shown (3 of 5 seeds)"
    gain = mean_interval([0.5, -0.4, 1.2])
    verdict = judge({"a": Evidence((gain,), expected=0.7, so_far="3 of 5 seeds")})["a"]
    assert verdict.words == "not shown (3 of 5 seeds)"
    assert verdict.text == f"not shown (3 of 5 seeds; {verdict.seeds} seeds would be needed)"


def test_a_true_effect_is_shown_and_its_opposite_is():
    rng, found = np.random.default_rng(1), []
    for _ in range(200):
        verdicts = judge(study(rng, {"true": 6.0, "opposite": -6.0, "none": 0.0}))
        found.append([verdicts[name].word for name in ("true", "opposite", "none")])
    counts = [sum(words[place] == word for words in found) for place, word in enumerate((SHOWN, OPPOSITE, NOT_SHOWN))]
    assert min(counts[:2]) > 190
    assert counts[2] > 185


def test_a_claim_about_every_model_needs_every_model():
    strong, weak, against = Estimate(2.0, 0.5, 5), Estimate(0.3, 0.5, 5), Estimate(-2.0, 0.5, 5)
    verdicts = judge(
        {
            name: Evidence(gains)
            for name, gains in {
                "all": (strong, strong),
                "one weak": (strong, weak),
                "one against": (strong, against),
            }.items()
        }
    )
    assert [verdicts[name].word for name in verdicts] == [SHOWN, NOT_SHOWN, OPPOSITE]


def test_one_seed_equal_seeds_and_no_run_show_nothing():
    verdicts = judge(
        {
            "one seed": Evidence((Estimate(9.0, None, 1),), expected=0.7),
            "equal": Evidence((Estimate(9.0, None, 3),), expected=0.7),
            "missing": Evidence((), expected=0.7),
            "tested": Evidence((Estimate(1.0, 0.2, 5),)),
        }
    )
    assert [verdict.word for verdict in verdicts.values()] == [NOT_SHOWN, NOT_SHOWN, NOT_TESTED, SHOWN]
    assert [verdict.p is None for verdict in verdicts.values()] == [True, True, True, False]
    assert [verdict.seeds for verdict in verdicts.values()] == [None, None, None, None]


def test_a_claim_that_is_not_shown_says_how_many_seeds_the_published_difference_takes():
    gain = mean_interval([0.5, -0.4, 1.2, 0.1, 0.3])
    verdict = judge({"top-1": Evidence((gain,), expected=0.7)})["top-1"]
    assert verdict.word == NOT_SHOWN
    needed = next(n for n in range(2, 99) if _power(0.7, gain.deviation, n) >= 0.8)
    assert verdict.seeds == needed
    assert verdict.text == f"not shown ({needed} seeds would be needed)"
    assert judge({"top-1": Evidence((mean_interval([-0.5, 0.4, -1.2]),))})["top-1"].text == "not shown"


def test_seeds_that_are_there_are_not_said_to_be_needed():
    """Three seeds would show the published difference; of five it is not shown because it is not there."""
    gain = mean_interval([0.1, 0.2, -0.1, 0.05, 0.15])
    assert _power(0.7, gain.deviation, 3) > 0.8
    assert judge({"top-1": Evidence((gain,), expected=0.7)})["top-1"].text == "not shown"
    larger = mean_interval([0.5, 1.2, 2.4, 0.1, 1.8])  # it is not shown as one of two; alone, seven would show it
    found = judge({"top-1": Evidence((larger,)), "other": Evidence(())})["top-1"]
    assert found.text == "not shown (7 seeds would be needed)"


def _power(difference: float, deviation: float, count: int) -> float:
    """Power of the paired t-test from SciPy's non-central t."""
    limit, shift = stats.t.ppf(0.975, count - 1), difference / deviation * np.sqrt(count)
    return stats.nct.sf(limit, count - 1, shift) + stats.nct.cdf(-limit, count - 1, shift)
