"""The training loop, data and all, beside a bare loop on tensors in memory; and two processes beside one."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from timm.loss import SoftTargetCrossEntropy

from benchmarks.rows import Clock, Row, clock_for, ratio
from benchmarks.steps import batch_of
from experiments.run import default_workers, prepare
from experiments.runs import Data
from experiments.scales import SCALES
from transmix.common.runtime import Runtime
from transmix.data.loaders import Batch
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
EPOCHS = 4
STRETCH = 4  # steps between turns


def recipe_for(row: str, epochs: int = EPOCHS) -> Recipe:
    """A row's recipe at the scale tiny, shortened, evaluated at its end only."""
    return override(SCALES["tiny"].recipe(row, "transmix"), epochs=epochs, evaluate_every=epochs, warmup_epochs=0)


def scenes(folder: Path, images: int, processes: Processes) -> ImageSource:
    """The suite's own images, a few of them to evaluate."""
    spec = ScenesSpec(classes=4, train=images, val=16, dense_train=2, dense_val=2)
    place = folder / spec.key
    return prepare(Data(spec.key, SourceSpec("", "", place / "imagenet"), place, spec), processes)


def loop_rows(row: str, images: int, rounds: int, processes: Processes) -> list[Row]:
    """The share of a bare loop's rate that training reaches, with crops, evaluation and checkpoints.

    From a run's first step to its weights; what comes before, decoding the training images above all, is not in it.
    More than 1 is possible: training computes of a model's last block what the loss needs, the bare loop all of it.

    Args:
        row: of Table 1.
        images: of an epoch.
        rounds: parts of the run, of `EPOCHS` each; the last one has the run's end, so the value is of all together.
        processes: this one.
    """
    recipe, clock = recipe_for(row, EPOCHS * rounds), clock_for(processes.device)
    runtime = Runtime(default_workers(processes), progress=False)
    with tempfile.TemporaryDirectory() as scratch:
        source = scenes(Path(scratch), images, processes)
        bare_step = bare_loop(recipe, source.num_classes, processes.device)
        for folder, each in ("warm", recipe_for(row, 1)), ("run", recipe):  # what is chosen once is nobody's cost
            out = Path(scratch) / folder
            out.mkdir()
            trainer = Interleaved(each, source, out, 0, processes, runtime)
            seconds = trainer.alternate(bare_step, clock)
    training, bare = seconds.reshape(rounds, EPOCHS, 2).sum(1).T
    where = f"{recipe.model}, {recipe.image_size} px, {trainer.step} steps of {recipe.batch_size}"
    found = ratio("training loop / bare loop, rate", where, bare, training, LOOP, most=False)
    return [replace(found, value=float(bare.sum() / training.sum()))]


class Interleaved(Trainer):
    """Training that gives way to a bare loop every few steps, for as many: both meet the same load of the machine."""

    def alternate(self, bare_step: Callable[[], None], clock: Clock) -> np.ndarray:
        """Train to the end beside a bare loop: each epoch's seconds of training and of the bare loop, (epochs, 2)."""
        self._bare_step, self._clock, self._owed, self._bare_seconds = bare_step, clock, 0, 0.0
        self._marks = [(clock(), 0.0)]
        self.run()
        self._marks[-1] = (clock(), self._bare_seconds)  # with the weights that are written last
        total, bare = np.diff(self._marks, axis=0).T
        return np.stack([total - bare, bare], 1)

    def _train_step(self, micro_batches: Iterator[Batch]) -> None:
        super()._train_step(micro_batches)
        self._owed += 1
        if self._owed == STRETCH or self.batch + 1 == self.batches.steps:
            began = self._clock()
            for _ in range(self._owed):
                self._bare_step()
            self._bare_seconds += self._clock() - began
            self._owed = 0

    def _close_epoch(self) -> None:
        super()._close_epoch()
        self._marks.append((self._clock(), self._bare_seconds))


def bare_loop(recipe: Recipe, classes: int, device: torch.device) -> Callable[[], None]:
    """A step of forward, loss, backward and update of timm's model as it is, always on one batch, and nothing else."""
    model, _ = build_model(recipe, classes)
    task = MixingTask(model, classes, "none").to(device)
    optimizer = Optimisation(task, recipe, steps=1, accumulated=1).optimizer
    batch = batch_of(recipe.image_size, recipe.batch_size, classes)
    images = batch.images.to(device).float() / 255
    targets = torch.nn.functional.one_hot(batch.labels.to(device), classes).float()
    criterion = SoftTargetCrossEntropy()
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        with autocast(device, recipe.precision):
            loss = criterion(model(images), targets)
        loss.backward()
        optimizer.step()

    return step


def process_rows(images: int, rounds: int) -> list[Row]:
    """What two processes on the CPU add to the CPU time of one: the same steps, started as torchrun starts them.

    The one has a twin that trains beside it: two busy cores, which may share caches and power, are not its advantage.
    """
    taken = {count: np.zeros(rounds) for count in (1, 2)}
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(rounds):
            for count in (1, 2) if turn % 2 == 0 else (2, 1):
                folders = [Path(scratch) / f"{turn}-{count}-{twin}" for twin in range(2 // count)]
                taken[count][turn] = cpu_seconds(folders, count, images)
    where = f"{recipe_for('deit_t').model}, {EPOCHS * images} images, gloo"
    return [ratio("two processes / one, CPU seconds", where, taken[2], taken[1], PROCESSES)]


def cpu_seconds(folders: Sequence[Path], count: int, images: int) -> float:
    """CPU seconds of a training in `count` processes, all of them together; the mean of one in each folder, at once."""
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "benchmarks.loop"]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # torchrun sets it for several processes only

    def train(folder: Path) -> None:
        folder.mkdir()
        command = [sys.executable, "-m", *launch, str(folder), str(images)]
        subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=True, env=alone)

    with ThreadPoolExecutor() as pool:
        list(pool.map(train, folders))
    found = [float(path.read_text()) for folder in folders for path in folder.glob("*.seconds")]
    return sum(found) / len(folders)


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
