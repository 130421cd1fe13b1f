"""Numbers and findings in words, the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from reports.analysis.statistics import Estimate, ImageInterval


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number with a true minus; with `sign`, a plus too."""
    value = round(value, digits) + 0.0  # no minus before zero
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.replace("-", "−")


def plural(count: int, noun: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def quoted(title: str) -> str:
    """A title as a part of a list: in quotes, once, where a comma of its own would end it."""
    return f"“{title}”" if {",", ";"} & {*title} and not title.startswith("“") else title


def title_list(titles: Iterable[str]) -> str:
    """``CutMix, “TransMix, one head”``: each title once."""
    return ", ".join(quoted(title) for title in dict.fromkeys(titles))


def estimate_text(estimate: Estimate, sign: bool = False, digits: int = 2) -> str:
    """``51.23 ± 0.45``, or ``51.23`` where there is no interval."""
    text = number(estimate.mean, digits, sign)
    return text if estimate.half_width is None else f"{text} ± {number(estimate.half_width, digits)}"


def gain_text(gain: Estimate) -> str:
    """``+1.23 ± 0.45``, or ``+1.23`` where there is no interval."""
    return estimate_text(gain, sign=True)


def finding(interval: Estimate | ImageInterval) -> str:
    """Whether an interval leaves zero out."""
    return "excludes zero" if interval.low > 0 or interval.high < 0 else "includes zero"


def interval_text(gain: Estimate, digits: int = 2) -> str:
    """The interval of a gain over several seeds and whether it excludes zero, as the end of a sentence."""
    if gain.half_width is None:
        return f"all {plural(gain.count, 'seed')} give the same, so that there is no interval"
    ends = f"{number(gain.low, digits, sign=True)} to {number(gain.high, digits, sign=True)}"
    return f"the 95 % interval over {plural(gain.count, 'seed')}, {ends}, {finding(gain)}"
