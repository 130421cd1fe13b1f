"""Runs of kind ``cost``: training steps by each way to mix, in turn, on the same images, by one clock.

Turns make the ratios fair: whatever else the machine does slows all of them alike. The student and, where a method
asks for one, its teacher have random weights: what they answer does not matter for a step's time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.kinds.cost import CUTMIX, STEP, StepCost
from experiments.run import Outcome
from experiments.runs import Run
from experiments.scales import OWN_BASELINE
from experiments.teachers import by_place
from transmix.common.plain import built
from transmix.common.runtime import Runtime
from transmix.common.seeding import derive_seed, seed_python_numpy_torch
from transmix.data.loaders import Batch, Normalizer, eval_loader
from transmix.data.sources import ImageSource
from transmix.models.build import build_model
from transmix.models.teacher import load_teacher
from transmix.recipe import Recipe
from transmix.task import MixingTask
from transmix.training.distributed import Processes
from transmix.training.optimisation import Optimisation
from transmix.training.precision import allow_tf32, autocast

Step = Callable[[int], tuple[int, Tensor]]  # takes a step, whose number says which draws: extra passes, and loss


def execute(run: Run, source: ImageSource, processes: Processes, runtime: Runtime) -> Outcome:
    """Let every method take its turns; seconds of a step, and their ratio to CutMix's."""
    settings = built(StepCost, run.settings)
    allow_tf32(settings.precision)
    recipes = {name: recipe_of(settings, name) for name in settings.methods}
    recipes = {name: replace(each, teacher=by_place(each.teacher, run.inputs)) for name, each in recipes.items()}
    batch = images_of(source, recipes[CUTMIX])
    made = {
        name: training_step(recipe, source.num_classes, batch, run.seed, processes.device)
        for name, recipe in recipes.items()
    }
    clock = gpu_clock if processes.device.type == "cuda" else time.process_time
    seconds, passes = take_turns(made, settings.rounds, settings.steps, clock)
    ratios = {name: taken / seconds[CUTMIX] for name, taken in seconds.items()}  # of each round
    metrics = {
        "clock": "seconds" if clock is gpu_clock else "CPU seconds",
        "step_seconds": {name: float(taken.mean() / settings.steps) for name, taken in seconds.items()},
        "relative": {name: float(taken.sum() / seconds[CUTMIX].sum()) for name, taken in seconds.items()},
        "lowest": {name: float(ratio.min()) for name, ratio in ratios.items()},
        "highest": {name: float(ratio.max()) for name, ratio in ratios.items()},
        "extra_passes": passes,
    }
    return Outcome(metrics)


def recipe_of(settings: StepCost, method: str) -> Recipe:
    """A recipe whose steps are of that size, by that method."""
    mixing = settings.methods[method]
    step = {name: getattr(settings, name) for name in STEP}
    masked = {"resident": mixing.get("label_rule") == "oracle"}
    return built(Recipe, step | mixing | masked | {"batch_size": settings.batch, "warmup_epochs": 0})


def take_turns(
    made: dict[str, Step], rounds: int, steps: int, clock: Callable[[], float]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Seconds of each method's turns, (rounds,), and its extra passes in the mean over steps.

    The order of a round is the last one's backwards, so that nobody always follows the same neighbour.
    """
    seconds, passes = {name: np.zeros(rounds) for name in made}, dict.fromkeys(made, 0.0)
    for take in made.values():
        take(0)  # what is allocated or chosen once is no step's cost
    for turn in range(rounds):
        for name in list(made)[:: -1 if turn % 2 else 1]:
            began = clock()
            for step in range(turn * steps, (turn + 1) * steps):
                passes[name] += made[name](step)[0] / (rounds * steps)
            seconds[name][turn] = clock() - began
    return seconds, passes


def gpu_clock() -> float:
    """Seconds, once all that was asked of the GPU is done."""
    torch.cuda.synchronize()
    return time.perf_counter()


def images_of(source: ImageSource, recipe: Recipe) -> Batch:
    """A batch of training images from all over the set, and made-up object masks."""
    images = source.open("train")
    chosen = [place * len(images) // recipe.batch_size for place in range(recipe.batch_size)]
    batch = next(iter(eval_loader(replace(recipe.view, batch_size=recipe.batch_size), images, chosen=chosen)))
    objects = torch.zeros(len(batch.images), *batch.images.shape[-2:], dtype=torch.bool)
    objects[:, ::2] = True
    return batch._replace(objects=objects)


def training_step(recipe: Recipe, classes: int, batch: Batch, seed: int, device: torch.device) -> Step:
    """A function that takes one training step: mix, forward, labels, backward, update."""
    seed_python_numpy_torch(seed, "cost")
    model, about = build_model(recipe, classes)
    normalisation = about["mean"], about["std"]
    teacher = teacher_of(recipe, classes, normalisation)
    task = MixingTask(model, classes, recipe, teacher=teacher, class_token_only=True).to(device)
    optimisation = Optimisation(task, recipe, steps=1, accumulated=1, head=task.head)
    task.train()
    images = Normalizer(*normalisation).to(device)(batch.images.to(device))
    labels, objects = batch.labels.to(device), batch.objects.to(device)

    def take(step: int) -> tuple[int, Tensor]:
        task.rng = np.random.default_rng(derive_seed(seed, "mix", step))
        optimisation.begin_step(epoch=0, step=0)
        with autocast(device, recipe.precision):
            loss = task(images, labels, objects=objects)["loss"]
        optimisation.backward(loss)
        optimisation.end_step(step=0)
        return task.extra_passes, loss.detach()

    return take


def teacher_of(recipe: Recipe, classes: int, normalisation: tuple[Any, Any]) -> nn.Module | None:
    """The file that a recipe names; in place of a run that is still to be trained, a model like it."""
    if recipe.teacher == OWN_BASELINE:
        return build_model(recipe, classes)[0]
    return None if recipe.teacher is None else load_teacher(recipe.teacher, *normalisation)
