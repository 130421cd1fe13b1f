"""``python -m experiments rates``: time the small models of a study on one core, for its plan's estimates."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from experiments.check_table1 import measure
from experiments.machine import Machine, Rate, processor, read_machine, write_machine
from experiments.run import now
from experiments.step_costs import training_step
from experiments.study import Study
from transmix.common.plain import built
from transmix.data.loaders import Batch
from transmix.models.build import build_model
from transmix.recipe import Recipe

CLASSES = 10
SECONDS = 1.0  # CPU time that each of the two measurements takes at least, after a first step


def measure_rates(study: Study) -> Machine:
    """Measure every model that the study trains, and keep the rates beside its results; older ones stay."""
    start = time.process_time()  # all that was loaded so far is what a run loads
    torch.set_num_threads(1)
    kept = read_machine(study.results)
    rates = dict(kept.rates) if kept else {}
    trained = [built(Recipe, run.settings) for run in study.plan() if run.kind == "train" and run.method == "transmix"]
    for (model, size), recipe in {(recipe.model, recipe.image_size): recipe for recipe in trained}.items():
        rates[model, size] = rate_of(replace(recipe, teacher=None))
    machine = Machine(processor(), now(), start, rates)
    write_machine(study.results, machine)
    return machine


def rate_of(recipe: Recipe) -> Rate:
    """CPU seconds an image, of a training step and of a forward pass."""
    count, size = recipe.micro_batch or recipe.batch_size, recipe.image_size
    images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8)
    batch = Batch(images, torch.arange(count) % CLASSES, torch.zeros(count, size, size, dtype=torch.bool))
    step = training_step(recipe, CLASSES, batch, 0, torch.device("cpu"))
    model = build_model(recipe, CLASSES)[0].eval()
    shown = images.float() / 255

    @torch.inference_mode()
    def look() -> None:
        model(shown)

    return Rate(measure(recipe), _seconds(lambda: step(0)) / count, _seconds(look) / count)


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call, on the mean over about `SECONDS` of them."""
    work()
    began, calls = time.process_time(), 0
    while time.process_time() - began < SECONDS:
        work()
        calls += 1
    return (time.process_time() - began) / calls
