"""The scales `cifar100` and `in100` rehearsed: their models, and a training step of every method on a few images.

The step is the recipe's, but for the images, which are noise, the batch, and drop path. A teacher that would be trained
first is a model with first weights.
"""

from __future__ import annotations

import gc
import time
from functools import partial

import torch

from experiments.check_paper import Part
from experiments.scales import OWN_BASELINE, SCALES
from experiments.step_costs import training_step
from transmix.common.errors import UserError
from transmix.data.loaders import Batch
from transmix.methods import methods
from transmix.recipe import override

BATCH = 2
_LINE = "{:24} {:22} {:>6} {:>7} {:>4}".format
HEADING = f"""
Scales cifar100 and in100, a training step on {BATCH} images by each method they plan; passes beside the step's own.
{_LINE("scale.method", "model", "loss", "passes", "s")}"""


def part(write: bool) -> Part:
    """A check for each method of both scales; there is nothing to write."""
    names = [(scale, row, method) for scale in ("cifar100", "in100") for row, method in _trained(scale)]
    return Part(HEADING, {f"{scale}.{method}": partial(check, scale, row, method) for scale, row, method in names})


def _trained(scale: str) -> list[tuple[str, str]]:
    row = SCALES[scale].mixed_row
    return [(row, method) for method in SCALES[scale].methods(row)]


def check(scale: str, row: str, method: str) -> str:
    """One step; returns its line.

    Raises:
        UserError: says what is not as expected.
    """
    began = time.monotonic()
    settings = methods()[method].settings | SCALES[scale].mixing.get(method, {})
    settings |= {"teacher": OWN_BASELINE} if "teacher" in methods()[method].reads else {}
    settings |= {"drop_path": 0.0, "precision": "fp32", "batch_size": BATCH, "micro_batch": None}
    recipe = override(SCALES[scale].recipe(row, "baseline"), **settings)
    classes, size = SCALES[scale].photographs.classes, recipe.image_size
    torch.manual_seed(0)
    images = torch.randint(256, (BATCH, 3, size, size), dtype=torch.uint8)
    batch = Batch(images, torch.randint(classes, (BATCH,)), torch.zeros(BATCH, size, size, dtype=torch.bool))
    step = training_step(recipe, classes, batch, seed=0, device=torch.device("cpu"))
    passes, loss = step(0)
    if not loss.isfinite():
        raise UserError(f"the loss of a training step is {loss.item()}")
    gc.collect()
    return _LINE(f"{scale}.{method}", recipe.model, f"{loss.item():.2f}", passes, f"{time.monotonic() - began:.0f}")
