"""What a GPU adds to the bench: a precision, a compiler, a memory format, and the rate of each of the twelve models."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.rows import Row, clock_for, rate, ratio, turns
from benchmarks.steps import CLASSES, batch_of, recipe_of
from experiments.rows import rows, table1
from transmix.models.build import build_model
from transmix.task import MixingTask
from transmix.training.optimisation import Optimisation
from transmix.training.precision import autocast

FASTER = 1.0  # goal of each of the three: at least as fast as without


def step_with(
    model: str, image_size: int, batch: int, device: torch.device, precision: str, compiled: bool, last: bool
) -> Callable[[], object]:
    """A function that takes a TransMix step, as `Runtime.compile` and `Runtime.channels_last` would have it."""
    recipe = recipe_of(model, image_size, batch, "transmix", precision)
    made, _ = build_model(recipe, CLASSES)
    task = MixingTask(made, CLASSES, recipe, class_token_only=True).to(device)
    images = batch_of(image_size, batch).images.to(device).float() / 255
    labels = batch_of(image_size, batch).labels.to(device)
    if last:
        task.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimisation = Optimisation(task, recipe, steps=1, accumulated=1)
    if compiled:
        task.compile()
    task.train()

    def take() -> None:
        optimisation.begin_step(epoch=0, step=0)
        with autocast(device, precision):
            loss = task(images, labels)["loss"]
        optimisation.backward(loss)
        optimisation.end_step(step=0)

    return take


def variants(model: str, image_size: int, batch: int, rounds: int, device: torch.device) -> list[Row]:
    """How many times as fast a step is in bf16, compiled, and with channels last."""
    plain = ("bf16", False, False)
    pairs = {
        "fp32 step / bf16 step": (("fp32", False, False), plain),
        "eager step / compiled step": (plain, ("bf16", True, False)),
        "contiguous step / channels-last step": (plain, ("bf16", False, True)),
    }
    found = []
    for name, (before, after) in pairs.items():
        works = {str(how): step_with(model, image_size, batch, device, *how) for how in (before, after)}
        taken = turns(works, rounds, clock_for(device))
        where = f"{model}, {image_size} px, batch {batch}"
        found.append(ratio(name, where, taken[str(before)], taken[str(after)], FASTER, most=False))
    return found


def rates(batch: int, steps: int, device: torch.device) -> list[Row]:
    """Training images a second of each of the paper's models, by TransMix in bf16."""
    found = []
    for row in table1():
        recipe = rows()[row].recipe()
        take = step_with(recipe.model, recipe.image_size, batch, device, "bf16", False, False)
        seconds = turns({"step": take}, steps, clock_for(device))["step"]
        where = f"{recipe.model}, {recipe.image_size} px, batch {batch}, bf16"
        found.append(rate("TransMix training", where, batch, seconds))
        del take
        torch.cuda.empty_cache()
    return found
