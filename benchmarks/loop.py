"""The training loop, data and all, beside a bare loop on tensors in memory; and two processes beside one."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from timm.loss import SoftTargetCrossEntropy

from benchmarks.rows import Row, clock_for, ratio, turns
from benchmarks.steps import batch_of
from experiments.run import default_workers, prepare
from experiments.runs import Data
from experiments.scales import SCALES
from transmix.common.runtime import Runtime
from transmix.data.scenes import ScenesSpec
from transmix.data.sources import ImageSource, SourceSpec
from transmix.models.build import build_model
from transmix.recipe import Recipe, override
from transmix.task import MixingTask
from transmix.training.distributed import Processes, join_processes
from transmix.training.loop import Trainer
from transmix.training.optimisation import Optimisation
from transmix.training.precision import autocast

LOOP, PROCESSES = 0.95, 1.1  # goals
EPOCHS = 2


def recipe_for(row: str) -> Recipe:
    """A row's recipe at scale tiny, shortened, evaluated at its end only."""
    short = {"epochs": EPOCHS, "evaluate_every": EPOCHS, "warmup_epochs": 0}
    return override(SCALES["tiny"].recipe(row, "transmix"), **short)


def scenes(folder: Path, images: int, processes: Processes) -> ImageSource:
    """The suite's own images, a few of them to evaluate."""
    spec = ScenesSpec(classes=4, train=images, val=16, dense_train=2, dense_val=2)
    place = folder / spec.key
    return prepare(Data(spec.key, SourceSpec("", "", place / "imagenet"), place, spec), processes)


def loop_rows(row: str, images: int, rounds: int, processes: Processes) -> list[Row]:
    """The share of a bare loop's rate that training reaches, on images of scale tiny.

    Args:
        row: of Table 1.
        images: of an epoch.
        rounds: how often each of the two takes its turn.
        processes: this one.
    """
    recipe, clock = recipe_for(row), clock_for(processes.device)
    with tempfile.TemporaryDirectory() as scratch:
        source = scenes(Path(scratch), images, processes)
        steps = EPOCHS * (source.counts["train"] // recipe.batch_size)
        bare = bare_loop(recipe, source.num_classes, steps, processes.device)
        runtime = Runtime(default_workers(processes), progress=False)
        folders = [Path(scratch) / f"run{number}" for number in range(rounds + 1)]  # one to warm up
        for folder in folders:
            folder.mkdir()
        trainers = iter([Trainer(recipe, source, folder, 0, processes, runtime) for folder in folders])

        def training() -> None:
            next(trainers).run()

        taken = turns({"bare": bare, "training": training}, rounds, clock)
    where = f"{recipe.model}, {recipe.image_size} px, {steps} steps of {recipe.batch_size}"
    return [ratio("training loop / bare loop, rate", where, taken["bare"], taken["training"], LOOP, most=False)]


def bare_loop(recipe: Recipe, classes: int, steps: int, device: torch.device):
    """Forward, loss, backward and update, again and again on one batch: nothing is read, mixed, labelled or kept."""
    model, _ = build_model(recipe, classes)
    task = MixingTask(model, classes, "none").to(device)
    optimisation = Optimisation(task, recipe, steps=steps, accumulated=1)
    batch = batch_of(recipe.image_size, recipe.batch_size, classes)
    images = batch.images.to(device).float() / 255
    targets = torch.nn.functional.one_hot(batch.labels.to(device), classes).float()
    criterion = SoftTargetCrossEntropy()
    model.train()

    def loop() -> None:
        for _ in range(steps):
            optimisation.optimizer.zero_grad()
            with autocast(device, recipe.precision):
                loss = criterion(model(images), targets)
            loss.backward()
            optimisation.optimizer.step()

    return loop


def process_rows(images: int, rounds: int) -> list[Row]:
    """What two processes on the CPU add to the CPU time of one: the same steps, started as torchrun starts them."""
    taken = {count: np.zeros(rounds) for count in (1, 2)}
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(rounds):
            for count in (1, 2) if turn % 2 == 0 else (2, 1):
                taken[count][turn] = cpu_seconds(Path(scratch) / f"{turn}-{count}", count, images)
    where = f"{recipe_for('deit_t').model}, {EPOCHS * images} images, gloo"
    return [ratio("two processes / one, CPU seconds", where, taken[2], taken[1], PROCESSES)]


def cpu_seconds(folder: Path, count: int, images: int) -> float:
    """CPU seconds of training, in all processes together."""
    folder.mkdir()
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "benchmarks.loop"]
    command = [sys.executable, "-m", *launch, str(folder), str(images)]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # torchrun sets it for several processes only
    subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=True, env=alone)
    return sum(float(path.read_text()) for path in folder.glob("*.seconds"))


def member(folder: Path, images: int) -> None:
    """One of the processes: train, and say how much CPU time that took."""
    with join_processes("cpu") as processes:
        source = scenes(folder, images, processes)
        # two micro-batches a step, however many processes there are, so that both take the same steps
        recipe = replace(recipe_for("deit_t"), micro_batch=recipe_for("deit_t").batch_size // 2)
        trainer = Trainer(recipe, source, folder, 0, processes, Runtime(0, progress=False))
        began = _used()
        trainer.run()
        (folder / f"{processes.rank}.seconds").write_text(str(_used() - began))


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    member(Path(sys.argv[1]), int(sys.argv[2]))
