"""A line of the bench: a ratio or a rate, its goal, and how it is measured beside its peer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from reports.records.bench import goal_verdict

Work = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        name: what is compared, ``TransMix step / CutMix step``.
        where: on which model, images and number of them.
        value: the ratio, or a rate.
        low: the smallest of the rounds; None where there is one.
        high: the largest.
        goal: what the value should reach; None where there is nothing to reach.
        most: whether the goal is the most that the value may be, else the least.
        unit: of a rate; empty for a ratio.
    """

    name: str
    where: str
    value: float
    low: float | None = None
    high: float | None = None
    goal: float | None = None
    most: bool = True
    unit: str = ""

    @property
    def verdict(self) -> str:
        """As `goal_verdict` says it."""
        return goal_verdict(self.value, self.low, self.high, self.goal, self.most)


def clock_for(device: torch.device) -> Clock:
    """CPU seconds of this process; on a GPU seconds, once all that was asked of it is done."""
    if device.type != "cuda":
        return time.process_time

    def seconds() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return seconds


def turns(contenders: Mapping[str, Work], rounds: int, clock: Clock, warm: bool = True) -> dict[str, np.ndarray]:
    """Time of each contender in each round, (rounds,); they take turns, and every other round backwards."""
    taken = {name: np.zeros(rounds) for name in contenders}
    for work in contenders.values() if warm else ():
        work()  # what is allocated or chosen once is nobody's cost
    for turn in range(rounds):
        for name in list(contenders)[:: -1 if turn % 2 else 1]:
            began = clock()
            contenders[name]()
            taken[name][turn] = clock() - began
    return taken


def ratio(name: str, where: str, over: np.ndarray, under: np.ndarray, goal: float | None, most: bool = True) -> Row:
    """A ratio of two contenders' times: the median over rounds, and its ends."""
    ratios = over / under
    return Row(name, where, float(np.median(ratios)), float(ratios.min()), float(ratios.max()), goal, most)


def rate(name: str, where: str, images: int, seconds: np.ndarray) -> Row:
    """Images a second: the median over rounds, and its ends."""
    rates = images / seconds
    return Row(name, where, float(np.median(rates)), float(rates.min()), float(rates.max()), unit="images/s")
