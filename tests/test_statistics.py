"""Statistics of the reports against hand-computed values, tables, slow oracles and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from reports.analysis.statistics import (
    Estimate,
    area_under_curve,
    bootstrap,
    detectable_difference,
    mean_interval,
    normal_half_width,
    paired_difference,
    paired_power,
    seeds_needed,
)


def test_mean_interval_by_hand():
    # t quantiles of a printed table: 12.706 for one degree of freedom, 2.776 for four
    two = mean_interval([1.0, 3.0])
    assert (two.mean, two.count) == (2.0, 2)
    assert two.half_width == pytest.approx(12.706, abs=5e-4)  # standard error sqrt(2) / sqrt(2) = 1
    five = mean_interval([1, 2, 3, 4, 5])
    assert five.half_width == pytest.approx(2.776 * math.sqrt(2.5) / math.sqrt(5), abs=5e-4)
    assert (five.low, five.high) == (3 - five.half_width, 3 + five.half_width)
    assert five.deviation == pytest.approx(math.sqrt(2.5))


def test_mean_interval_is_scipys():
    values = np.random.default_rng(0).normal(70, 3, 6)
    found, error = mean_interval(values), scipy.stats.sem(values)
    expected = scipy.stats.t.interval(0.95, 5, loc=values.mean(), scale=error)
    assert (found.low, found.high) == pytest.approx(expected)


def test_one_value_has_no_interval():
    one = mean_interval([7.0])
    assert one == Estimate(7.0, None, 1)
    assert (one.low, one.high) == (-math.inf, math.inf)
    assert one.deviation is None


def test_equal_values_have_no_interval_either():
    # two equal differences of whole images are chance, not an exact mean; as floats they need not be equal
    same = paired_difference({0: 50.0, 1: 51.6}, {0: 50.5, 1: 52.1})
    assert (same.half_width, same.count, same.deviation) == (None, 2, 0.0)
    assert (same.low, same.high) == (-math.inf, math.inf)


def test_differences_of_rounding_alone_have_no_interval():
    # equal top-1 whose means over parts were summed in another order; some differ in the last bits
    noise = paired_difference({0: 52.1, 1: 50.3, 2: 51.7}, {0: 52.1 + 7.2e-15, 1: 50.3 + 7.2e-15, 2: 51.7 + 1.5e-14})
    assert (noise.half_width, noise.count, noise.deviation) == (None, 3, 0.0)
    assert noise.mean == pytest.approx(0, abs=1e-12)
    assert mean_interval([1e-6, 2e-6, 4e-6]).half_width > 1e-6  # small, but no rounding


def test_difference_is_paired_by_seed():
    # unpaired, seed 2 would pull the mean to 4
    gain = paired_difference({0: 10.0, 1: 50.0}, {1: 52.0, 0: 11.0, 2: 90.0})
    assert (gain.mean, gain.count) == (1.5, 2)
    assert gain.half_width == pytest.approx(12.706 * 0.5, abs=5e-4)
    assert paired_difference({0: 1.0}, {1: 2.0}) is None


def test_an_interval_excludes_zero_just_where_the_paired_t_test_is_significant():
    rng = np.random.default_rng(0)
    found = set()
    for _ in range(50):
        before, after = rng.normal(50, 2, 4), rng.normal(52, 2, 4)
        gain = paired_difference(dict(enumerate(before)), dict(enumerate(after)))
        significant = scipy.stats.ttest_rel(after, before).pvalue < 0.05
        assert (gain.low > 0 or gain.high < 0) == significant
        found.add(bool(significant))
    assert found == {True, False}


def test_the_bootstrap_is_scipys():
    values = np.random.default_rng(0).choice([-100.0, 0.0, 0.0, 0.0, 100.0, 100.0], 400)
    found = bootstrap(values)
    expected = scipy.stats.bootstrap((values,), np.mean, method="percentile", n_resamples=9999, rng=1)
    low, high = expected.confidence_interval
    assert found.mean == values.mean()
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.5)  # the width is about 16
    assert bootstrap(values) == found


def test_the_bootstrap_of_two_images_by_hand():
    # the mean is 0 or 1 once in four, 0.5 twice in four: the outer 2.5 % are 0 and 1
    found = bootstrap(np.array([0.0, 1.0]))
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)
    assert bootstrap(np.full(9, 3.0)).text == "+3.00 to +3.00"
    assert bootstrap(np.array([-2.0, -2.0])).text == "−2.00 to −2.00"


def test_the_bootstrap_covers_what_it_should():
    rng = np.random.default_rng(0)
    samples = [bootstrap(rng.choice([0.0, 50.0, 100.0], 300, p=[0.5, 0.25, 0.25])) for _ in range(200)]
    covered = np.mean([sample.low <= 37.5 <= sample.high for sample in samples])
    assert 0.90 < covered < 0.99


def test_areas_of_images_add_up_to_that_of_the_curve():
    points = np.array([[1.0, 1, 1, 0], [1, 0.5, 0, 0], [0, 0.5, 0, 0]])  # three points, four images
    assert area_under_curve(points).tolist() == pytest.approx([2 / 3, 2 / 3, 1 / 3, 0])
    assert area_under_curve(points).mean() == pytest.approx(area_under_curve(points.mean(1)))
    assert area_under_curve(np.array([50.0, 30.0, 10.0])) == 30.0


def test_half_width_of_a_share_by_hand():
    right = np.array([[1.0] * 80 + [0.0] * 20, [1.0] * 100])
    # 1.96 * sqrt(0.8 * 0.2 / 100)
    assert normal_half_width(right).tolist() == pytest.approx([0.0784, 0.0], abs=1e-5)


# what tables of power print for a one-sample test, two-sided at 5 %, 80 %: small, medium and large effects
@pytest.mark.parametrize(("difference", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_seeds_needed_are_those_of_printed_tables(difference, seeds):
    assert seeds_needed(difference, 1.0) == seeds
    assert seeds_needed(-2 * difference, 2.0) == seeds


@pytest.mark.parametrize("count", [2, 3, 5, 30])
@pytest.mark.parametrize("difference", [0.1, 1.0, 2.5])
def test_power_is_scipys(difference, count):
    limit = scipy.stats.t.ppf(0.975, count - 1)
    shifted = scipy.stats.nct(count - 1, difference * math.sqrt(count))
    assert paired_power(difference, 1.0, count) == pytest.approx(shifted.sf(limit) + shifted.cdf(-limit), abs=1e-6)


def test_power_is_how_often_the_test_finds_the_difference():
    rng = np.random.default_rng(0)
    studies = rng.normal(1.5, 1.0, (4000, 5))
    found = np.mean(scipy.stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05)
    assert paired_power(3.0, 2.0, 5) == pytest.approx(found, abs=0.02)


def test_power_is_a_probability_everywhere():
    for count in (2, 3, 10, 50, 20_000):
        powers = [paired_power(difference, 1.0, count) for difference in np.geomspace(1e-3, 1e3, 200)]
        assert all(0 <= power <= 1 for power in powers)
        assert powers[-1] > 0.999
        assert np.diff(powers).min() > -1e-3


def test_the_detectable_difference_is_just_detected():
    for count in (2, 3, 5, 40):
        smallest = detectable_difference(2.0, count)
        assert paired_power(smallest, 2.0, count) == pytest.approx(0.8, abs=1e-6)
        assert seeds_needed(smallest * 1.001, 2.0) == count
        assert seeds_needed(smallest * 0.999, 2.0) == count + 1
    assert detectable_difference(0.0, 3) == 0.0
    assert seeds_needed(0.4, 0.0) == 2
