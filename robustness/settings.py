"""The settings of a sweep: each one perturbation at one severity, in one of its draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from experiments.protocols import OCCLUSION, SALIENT, Sweep
from robustness.corruptions import CORRUPTIONS
from robustness.draws import Draws
from robustness.patches import Grid, drop_foreground, drop_random, drop_salient, shuffle
from transmix.common.seeding import derive_seed

CLEAN = "clean"


@dataclass(frozen=True)
class Setting:
    """What is done to all images once.

    Attributes:
        curve: the curve it belongs to; ``clean`` for images left as they are, where all curves begin.
        severity: tenths, cells or a level, in JSON's types.
        draw: number of the draw, from 0.
        perturb: ``(images, severity, draws)`` to images; with the saliency as a fourth if it is `salient`.
        salient: whether it needs to know where the foreground is.
    """

    curve: str
    severity: Any
    draw: int
    perturb: Callable[..., Tensor]
    salient: bool = False

    @property
    def key(self) -> str:
        """Names it in files, e.g. ``random/5/0``."""
        return f"{self.curve}/{self.severity}/{self.draw}".replace(" ", "")

    def draws(self, seed: int, ids: Tensor) -> Draws:
        """Its random numbers for images with these ids."""
        return Draws(derive_seed(seed, self.key), ids)


def settings_of(sweep: Sweep, grid: Grid) -> list[Setting]:
    """All settings of a sweep, on a grid of (rows, columns) patches."""
    fill = {"grid": grid, "fill": sweep.fill}
    by_share = sweep.protocol == "published"
    # how a salient curve is drawn: what drops, and the option that turns it round
    drop = drop_foreground if by_share else drop_salient
    turned = {"keep": True} if by_share else {"least": True}
    perturbations: dict[str, Callable[..., Tensor]] = {
        "random": partial(drop_random, **fill),
        "salient": partial(drop, **fill),
        "non_salient": partial(drop, **fill, **turned),
        "shuffle": shuffle,
        **CORRUPTIONS,
    }
    settings = [Setting(CLEAN, 0, 0, lambda images, severity, draws: images)]
    for curve in sweep.curves:
        severities, draws = sweep.points(curve)
        settings += [
            Setting(
                curve,
                list(severity) if curve == "shuffle" else severity,
                draw,
                perturbations[curve],
                curve in SALIENT,
            )
            for severity in severities
            for draw in range(draws)
        ]
    return settings


def label(curve: str, severity: Any) -> str:
    """A severity of a curve for a person: ``10 %``, ``2 x 2``, ``severity 1``."""
    if curve in OCCLUSION:
        return f"{10 * severity} %"
    if curve == "shuffle":
        return "{} x {}".format(*severity)
    return f"severity {severity}"
