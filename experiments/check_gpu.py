"""``python -m experiments check-gpu``: what this suite computes on a GPU, against the same on the CPU.

Each module in `PARTS` has a function ``part(device) -> Part``. Models are small and their weights random: a kernel that
is wrong is wrong for them, too. With ``--device cpu`` everything runs on the CPU twice, which shows that it runs.
"""

from __future__ import annotations

import argparse
import importlib
import time
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from experiments.check_paper import Part, carry_out
from experiments.rows import rows
from experiments.scales import SCALES
from experiments.step_costs import training_step
from transmix.common.errors import UserError
from transmix.common.seeding import seed_python_numpy_torch
from transmix.data.loaders import Batch
from transmix.labels import Box
from transmix.mixing import cutmix
from transmix.models.build import build_model
from transmix.recipe import Recipe, override
from transmix.task import MixingTask
from transmix.training.optimisation import Optimisation
from transmix.training.precision import allow_tf32, autocast

PARTS = ("experiments.check_gpu", "experiments.check_gpus", "robustness.check_gpu", "downstream.check_gpu")
BATCH, CLASSES, STEPS = 8, 10, 20
FAMILIES = ("deit_t", "pvt_t", "xcit_t", "cait_xxs")
# how far loss and labels may be off, and what one minus the gradients' cosine may be
TOLERANCES = {"fp32": (1e-4, 1e-4), "bf16": (5e-2, 2e-2), "fp16": (1e-2, 5e-3)}
_LINE = "{:34} {:>10} {:>10} {:>10} {:>5}".format
HEADING = f"""\
A TransMix step on {{device}} against the CPU in fp32: how far loss and labels are off,
one minus the cosine of the two gradients. Then {STEPS} steps of each recipe of scale lab
on one batch: the first loss, the last, images/s.
{_LINE("check", "loss", "labels", "gradient", "s")}"""


@dataclass(frozen=True)
class Step:
    """What a training step gives, on the CPU in float32.

    Attributes:
        loss: of the batch.
        lam: (B,), the partners' share in the labels.
        gradient: of all parameters, one after the other, with the scaler's factor taken off.
    """

    loss: float
    lam: Tensor
    gradient: Tensor


def run(args: argparse.Namespace) -> None:
    """Carry out the checks that the command line names, all by default, and print each as soon as it is done.

    Raises:
        UserError: there is no GPU, a name is unknown, or something is not as on the CPU.
    """
    if args.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "no GPU that torch can use: on one this compares a step of each family with the CPU's (fp32, bf16, fp16, "
            "compiled, channels last), takes 20 steps of each lab recipe, a fine-tuning step of each configuration and "
            "a sweep, in under ten minutes"
        )
    device = torch.device(args.device)
    carry_out("check-gpu", [importlib.import_module(module).part(device) for module in PARTS], args.only)


def part(device: torch.device) -> Part:
    """A check for each family and way to compute, and one for each recipe of scale lab."""
    ways = {name: (name, False, False) for name in TOLERANCES}
    ways |= {"compiled": ("fp32", True, False), "channels_last": ("fp32", False, True)}
    checks = {f"{row}.{way}": partial(check_step, row, *how, device) for row in FAMILIES for way, how in ways.items()}
    lab = SCALES["lab"]
    recipes = {f"lab.{row}.{method}": (row, method) for row in lab.known_rows for method in ("baseline", "transmix")}
    checks |= {name: partial(check_recipe, name, *of, device) for name, of in recipes.items()}
    return Part(HEADING.format(device=device), checks)


def check_step(row: str, precision: str, compiled: bool, last: bool, device: torch.device) -> str:
    """One family, in one way; returns its line.

    Raises:
        UserError: the device's step is not the CPU's.
    """
    began = time.monotonic()
    recipe = override(SCALES["tiny"].recipe(row, "transmix"), micro_batch=None, batch_size=BATCH, teacher=None)
    expected = step_on(recipe, torch.device("cpu"))
    found = step_on(replace(recipe, precision=precision), device, compiled, last)
    loss, labels, gradient = differences(found, expected)
    most, turned = TOLERANCES[precision]
    if not (loss <= most and labels <= most and gradient <= turned):
        raise UserError(
            f"loss off by {loss:.2g}, labels by {labels:.2g}, gradient by {gradient:.2g}: "
            f"more than {most:g}, {most:g} and {turned:g}"
        )
    way = f"{rows()[row].title} {precision}{', compiled' * compiled}{', channels last' * last}"
    return _LINE(way, f"{loss:.1e}", f"{labels:.1e}", f"{gradient:.1e}", f"{time.monotonic() - began:.0f}")


def step_on(recipe: Recipe, device: torch.device, compiled: bool = False, last: bool = False) -> Step:
    """A TransMix step on noise, a quarter of each image pasted; weights, images and mix are the same everywhere."""
    allow_tf32(recipe.precision)
    seed_python_numpy_torch(0, "check-gpu")
    size = recipe.image_size
    images, labels = torch.randn(BATCH, 3, size, size), torch.arange(BATCH) % CLASSES
    model, _ = build_model(recipe, CLASSES)
    layout = torch.channels_last if last else torch.contiguous_format
    task = MixingTask(model, CLASSES, recipe, class_token_only=True).to(device, memory_format=layout)
    optimisation = Optimisation(task, recipe, steps=1, accumulated=1)
    if compiled:
        task.compile()
    task.train()
    images = images.to(device, memory_format=layout)
    with autocast(device, recipe.precision):
        found = task(images, labels.to(device), cutmix(images, Box(0, size // 2, 0, size // 2)))
    optimisation.backward(found["loss"])
    optimisation.scaler.unscale_(optimisation.optimizer)
    gradient = torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])
    return Step(found["loss"].item(), found["lam"].float().cpu(), gradient.float().cpu())


def differences(found: Step, expected: Step) -> tuple[float, float, float]:
    """Of losses, relative to the expected; the largest of labels; and one minus the cosine of the gradients."""
    cosine = torch.nn.functional.cosine_similarity(found.gradient.double(), expected.gradient.double(), dim=0)
    return (
        abs(found.loss - expected.loss) / expected.loss,
        (found.lam - expected.lam).abs().max().item(),
        max(0.0, 1 - cosine.item()),
    )


def check_recipe(name: str, row: str, method: str, device: torch.device) -> str:
    """Steps of a recipe of scale lab, on a GPU with its own batch; returns its line.

    Raises:
        UserError: the loss is not finite, or does not fall on the one batch.
    """
    small = {} if device.type == "cuda" else {"batch_size": BATCH, "micro_batch": None}
    recipe = override(SCALES["lab"].recipe(row, method), **small, warmup_epochs=0, drop_path=0.0)
    count, size = recipe.micro_batch or recipe.batch_size, recipe.image_size
    torch.manual_seed(0)
    images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8)
    batch = Batch(images, torch.arange(count) % CLASSES, torch.zeros(count, size, size, dtype=torch.bool))
    take = training_step(recipe, CLASSES, batch, 0, device)
    losses = [take(0)[1].item()]
    began = time.monotonic()
    losses += [take(0)[1].item() for _ in range(STEPS - 1)]  # the same mix each time
    seconds = time.monotonic() - began
    if not torch.tensor(losses).isfinite().all() or losses[-1] >= losses[0]:
        raise UserError(f"the loss goes from {losses[0]:.3f} to {losses[-1]:.3f} in {STEPS} steps on one batch")
    rate = f"{count * (STEPS - 1) / seconds:,.0f}"
    return _LINE(name, f"{losses[0]:.3f}", f"{losses[-1]:.3f}", rate, f"{seconds:.0f}")
