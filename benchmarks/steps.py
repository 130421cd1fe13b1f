"""A training step by TransMix beside CutMix's, and beside the official implementation's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from timm.models import VisionTransformer

from benchmarks.memory import peak_bytes
from benchmarks.official import OfficialStep
from benchmarks.rows import Row, clock_for, ratio, turns
from experiments.scales import SCALES
from experiments.step_costs import training_step
from transmix.data.loaders import Batch
from transmix.models.build import build_model
from transmix.recipe import Recipe, override
from transmix.task import MixingTask
from transmix.training.optimisation import Optimisation

CLASSES = 1000
TIME, MEMORY, OFFICIAL = 1.02, 1.01, 0.9  # goals


def recipe_of(model: str, image_size: int, batch: int, method: str, precision: str = "fp32") -> Recipe:
    """A recipe whose every batch is a CutMix batch, labelled by a method: where TransMix costs most."""
    paper = SCALES["paper"].recipe("deit_t", "baseline")
    rule = {"transmix": "mean", "cutmix": "area"}[method]
    size = {"model": model, "image_size": image_size, "batch_size": batch, "micro_batch": batch}
    always = {"mix_prob": 1.0, "switch_prob": 1.0, "label_rule": rule, "precision": precision}
    return override(paper, **size, **always, drop_path=0.0, ema_decay=None, report_ema=False, warmup_epochs=0)


def batch_of(image_size: int, batch: int, classes: int = CLASSES) -> Batch:
    """Made-up images and labels: what they show does not matter for a step's time."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, image_size, image_size), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, classes, (batch,), generator=generator)
    return Batch(images, labels, torch.zeros(batch, image_size, image_size, dtype=torch.bool))


def step_of(recipe: Recipe, batch: Batch, device: torch.device, classes: int = CLASSES) -> Callable[[], object]:
    """A function that takes one training step by our code."""
    take = training_step(recipe, classes, batch, 0, device)
    return lambda: take(0)


def official_step(recipe: Recipe, batch: Batch, device: torch.device) -> Callable[[], object]:
    """The same by the official code's work; optimizer and schedule are ours."""
    model, _ = build_model(recipe, CLASSES)
    model = model.to(device).train()
    step = OfficialStep(model, CLASSES, np.random.default_rng(0))
    optimisation = Optimisation(MixingTask(model, CLASSES, "cutmix"), recipe, steps=1, accumulated=1)
    images, labels = batch.images.to(device).float() / 255, batch.labels.to(device)

    def take() -> None:
        optimisation.begin_step(epoch=0, step=0)
        optimisation.backward(step(images, labels))
        optimisation.end_step(step=0)

    return take


def rows(model: str, image_size: int, batch: int, rounds: int, steps: int, device: torch.device) -> list[Row]:
    """TransMix over CutMix, time and memory; over the official code, where the model is a vision transformer.

    Ours compute of the last block what the loss needs, as training does; the official code computes all of it.

    Args:
        model: to train, random weights.
        image_size: of its images, in pixels.
        batch: images of a step.
        rounds: how often each takes its turn.
        steps: of a turn.
        device: that computes.
    """
    given = batch_of(image_size, batch)
    recipes = {method: recipe_of(model, image_size, batch, method) for method in ("cutmix", "transmix")}
    made = {method: step_of(recipe, given, device) for method, recipe in recipes.items()}
    bare, _ = build_model(recipes["cutmix"], CLASSES)
    if isinstance(bare, VisionTransformer):
        made["official"] = official_step(recipes["transmix"], given, device)
    taken = turns({name: _repeat(take, steps) for name, take in made.items()}, rounds, clock_for(device))
    memory = {method: peak_bytes(made[method], device) for method in recipes}
    where = f"{model}, {image_size} px, batch {batch}"
    found = [
        ratio("TransMix step / CutMix step, time", where, taken["transmix"], taken["cutmix"], TIME),
        Row("TransMix step / CutMix step, memory", where, memory["transmix"] / memory["cutmix"], goal=MEMORY),
    ]
    if "official" in taken:
        found.append(ratio("our step / official code's", where, taken["transmix"], taken["official"], OFFICIAL))
    return found


def _repeat(take: Callable[[], object], steps: int) -> Callable[[], object]:
    def several() -> None:
        for _ in range(steps):
            take()

    return several
