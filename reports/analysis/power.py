"""What a number of seeds can show, in words: the power of a paired t-test, two-sided at 5 %, to be 80 %."""

from __future__ import annotations

from collections.abc import Mapping

from reports.analysis.arms import Comparison
from reports.analysis.statistics import Estimate, detectable_difference, seeds_needed
from reports.analysis.words import number, plural

_TEST = "Power (two-sided paired t-test at 5 %, to find a true difference in 80 % of studies)"


def power_note(comparisons: Mapping[str, Comparison], published: Mapping[str, float] | None = None) -> tuple[str, ...]:
    """One note about the comparisons of several seeds; none where there is nothing to compare.

    Args:
        comparisons: by name.
        published: differences in points by the same names; without one the note says what could be shown.
    """
    gains = {name: found.gain for name, found in comparisons.items() if found.gain is not None}
    several = {name: gain for name, gain in gains.items() if gain.deviation is not None}
    if several:
        parts = [f"{name}, {_power(gain, (published or {}).get(name))}" for name, gain in several.items()]
        return (f"{_TEST}, if the spread over seeds is what these few show: {'; '.join(parts)}.",)
    if gains and published:
        return ("Power: one seed has no spread; two or more (SEEDS=3) would say how many the published gain takes.",)
    return ()


def _power(gain: Estimate, published: float | None) -> str:
    seen = f"standard deviation {number(gain.deviation)} points in {plural(gain.count, 'seed')}"
    if gain.deviation == 0:
        return f"{seen}: too few to say"
    shown = f"{plural(gain.count, 'seed')} can show {number(detectable_difference(gain.deviation, gain.count))} points"
    if published is None:
        return f"{seen}: {shown}"
    needed = plural(seeds_needed(published, gain.deviation), "seed")
    return f"{seen}: the published {number(published, 1, sign=True)} points take {needed}, and {shown}"
