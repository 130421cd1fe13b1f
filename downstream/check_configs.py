"""The downstream part of ``check-paper``: every configuration with its real model and heads, and its learning rates.

One training step on small random images, without the data sets: losses are finite, every parameter gets a gradient,
and after its warm-up the learning rate never rises.
"""

from __future__ import annotations

import gc
import math
import time
from functools import partial
from typing import TYPE_CHECKING

from experiments.check_paper import Part
from experiments.estimate import DENSE_IMAGES
from experiments.fine_tuning import PAPER
from experiments.protocols import FineTuning
from transmix.common.errors import UserError

if TYPE_CHECKING:
    from downstream.rehearsal import Rehearsal

WARM_UP = 1500  # iterations of the longest warm-up
_LINE = "{:37} {:>6} {:>6}  {:<39} {:>3}".format
HEADING = f"""\

Downstream configurations: parameters in millions, the loss of a step on random
images, the learning rate at the start, after warm-up, half-way and at the end.
{_LINE("configuration", "params", "loss", "learning rate", "s")}"""


def part(write_costs: bool) -> Part:
    """The checks of the configurations, one each; there is nothing to write."""
    by_name = {protocol.config: protocol for protocol in reversed(PAPER)}  # the first of a name: the file's own model
    return Part(HEADING, {name: partial(check, by_name[name]) for name in dict.fromkeys(p.config for p in PAPER)})


def check(protocol: FineTuning) -> str:
    """One configuration; returns its line.

    Raises:
        UserError: says what is not as expected.
    """
    from downstream.openmmlab import load_config  # here, as Table 1 can be checked without OpenMMLab
    from downstream.rehearsal import rehearse

    began = time.monotonic()
    epoch = DENSE_IMAGES[protocol.data][0] // protocol.batch_size
    length = protocol.iterations or protocol.epochs * epoch
    found = rehearse(load_config(protocol.config), (0, WARM_UP, length // 2, length - 1), epoch)
    judge(found)
    gc.collect()
    rates = " ".join(f"{rate:.3g}" for rate in found.learning_rates.values())
    loss, seconds = f"{sum(found.losses.values()):.2f}", f"{time.monotonic() - began:.0f}"
    return _LINE(protocol.config, f"{found.parameters / 1e6:.1f}", loss, rates, seconds)


def judge(found: Rehearsal) -> None:
    """Raise `UserError` if a step went wrong, or the learning rate rises where it should fall."""
    judge_step(found)
    _, *rates = found.learning_rates.values()
    if sorted(rates, reverse=True) != rates or rates[0] <= rates[-1]:
        raise UserError(f"the learning rate does not fall: {rates}")


def judge_step(found: Rehearsal) -> None:
    """Raise `UserError` if a loss is not finite, or does not reach every parameter."""
    for name, loss in found.losses.items():
        if not math.isfinite(loss):
            raise UserError(f"{name} is {loss}")
    if found.without_gradient:
        raise UserError(f"no gradient reaches {', '.join(found.without_gradient[:3])}")
