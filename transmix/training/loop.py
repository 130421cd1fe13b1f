"""The training loop: resumable at any step, ends with the same weights however often it was killed.

No random state is saved. Every draw comes from (seed, what, where) counters (`transmix.common.seeding`), so a run is
its weights, optimizer, moving average and position; see `Trainer.save`. Nor do draws depend on how many processes share
the work: they belong to a micro-batch, and a process takes as many micro-batches as it must.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transmix.common.errors import UserError
from transmix.common.files import named_file, sha256
from transmix.common.plain import differing, plain
from transmix.common.progress import progress_bar
from transmix.common.runtime import Runtime
from transmix.common.seeding import derive_seed, seed_python_numpy_torch
from transmix.common.stopping import SaveOrStop, StopRequest
from transmix.data.loaders import Batch, Normalizer, Shard, TrainLoader, eval_loader
from transmix.data.resident import KeptBatches, ResidentLoader
from transmix.data.sources import ImageSource
from transmix.models.build import build_model
from transmix.models.teacher import load_teacher
from transmix.recipe import Recipe, fingerprint
from transmix.task import MixingTask
from transmix.training.batchnorm import RunningStatistics
from transmix.training.checkpoints import check_position, load_state, restoring, save_state, save_weights
from transmix.training.distributed import Processes
from transmix.training.epoch_sums import EpochSums, summary
from transmix.training.evaluate import Accuracy, evaluate
from transmix.training.log import EpochLog
from transmix.training.optimisation import Optimisation
from transmix.training.precision import allow_tf32, autocast

STATE = "state.pt"
WEIGHTS, EMA_WEIGHTS = "weights.safetensors", "weights_ema.safetensors"


@dataclass(frozen=True)
class Trained:
    """What a finished training run measured: accuracy of the reported weights, seconds, MiB."""

    accuracy: Accuracy
    right: Tensor  # (N,) bool, which validation images these weights are right about, in the data set's order
    weights: str  # file name, in the run's folder, of the weights that are reported
    seconds: float  # over all the sessions that it took
    peak_memory_mib: float
    parameters: int


class Trainer:
    """One training run in one folder.

    Args:
        recipe: what is trained.
        source: on what.
        out: the run's folder; a run that was interrupted there is continued.
        seed: of every draw.
        processes: this process among the run's.
        runtime: how it is carried out.
        about: further JSON values for the header of the weights file.

    Raises:
        UserError: the folder holds a state of another recipe or data set, or one that cannot be read.
    """

    def __init__(
        self,
        recipe: Recipe,
        source: ImageSource,
        out: Path,
        seed: int,
        processes: Processes,
        runtime: Runtime | None = None,
        about: dict[str, Any] | None = None,
    ) -> None:
        # with its micro-batch settled, a recipe's result depends on the number of processes in rounding only
        self.recipe = recipe = recipe.for_processes(processes.world)
        self.out, self.seed, self.processes = out, seed, processes
        self.runtime = runtime or Runtime()
        allow_tf32(recipe.precision)
        shard, cuda = Shard(processes.rank, processes.world), processes.device.type == "cuda"
        load = {"workers": self.runtime.workers, "shard": shard, "pin_memory": cuda}
        train = source.open("train")
        if recipe.resident:
            self.batches = ResidentLoader(recipe, train, seed, processes.device, self.runtime.workers, shard)
        else:
            self.batches = TrainLoader(recipe, train, seed, **load)
        self.val_batches = eval_loader(recipe.view, source.open("val"), **load)
        if recipe.resident:
            self.val_batches = KeptBatches(self.val_batches, processes.device)

        seed_python_numpy_torch(seed, "init")
        self.model, self.about = build_model(recipe, len(source.classes))
        self.about |= {"classes": source.classes, **(about or {})}
        self.normalise = Normalizer(self.about["mean"], self.about["std"], recipe.random_erasing)
        normalisation = self.about["mean"], self.about["std"]
        teacher = None if recipe.teacher is None else load_teacher(recipe.teacher, *normalisation)
        self.task = MixingTask(self.model, len(source.classes), recipe, teacher=teacher, class_token_only=True)
        self.memory_format = torch.channels_last if self.runtime.channels_last else torch.contiguous_format
        self.task.to(processes.device, memory_format=self.memory_format)
        self.normalise.to(processes.device)
        self.optimisation = Optimisation(self.task, recipe, self.batches.steps, len(self.batches.mine), self.task.head)
        self.statistics = RunningStatistics(self.model, processes, recipe.batch_size // recipe.micro_batch)
        if self.runtime.compile:
            self.task.compile()
        if processes.world > 1:
            self.task.prepare_distributed(broadcast_buffers=False)  # `statistics` shares what there is to share

        self.epoch = self.batch = 0  # the position: next step of this epoch
        self.sums = EpochSums(processes.device)
        self.history: list[dict[str, Any]] = []
        self.right: Tensor | None = None  # about which images, when the last line of `history` was written
        self.seconds = 0.0
        self.stop = StopRequest()
        self._checkpoint = SaveOrStop(self.stop, self.runtime.checkpoint_seconds, self.save, processes)
        self._last_tick = time.monotonic()
        inputs = [] if recipe.teacher is None else [sha256(named_file(recipe.teacher)[1])]
        settings = differing(Recipe, plain(recipe) | {"teacher": None})  # of which counts what is in it, not where
        self.identity = fingerprint([settings, source.fingerprint, seed, *inputs])
        if (out / STATE).exists():
            self.restore()

    def run(self) -> Trained:
        """Train from the current position to the end, evaluate, write the weights."""
        self._checkpoint.last = self._last_tick = time.monotonic()
        recipe, leads = self.recipe, self.processes.leads
        self._log = EpochLog(self.out, self.history) if leads else None
        with self.stop, progress_bar(self.runtime.progress and leads) as self._bar:
            total = recipe.total_epochs * self.batches.steps
            self._line = self._bar.add_task(self.out.name, total=total, completed=self.step, note="")
            for epoch in range(self.epoch, recipe.total_epochs):
                self._train_epoch(epoch)
                if recipe.evaluates(epoch):
                    self.save()  # a broken validation image costs no training
                self._close_epoch()
        accuracy = Accuracy(**self.history[-1]["accuracy"])
        reported = EMA_WEIGHTS if recipe.report_ema else WEIGHTS
        self.processes.lead(self._save_weights)
        if self.processes.world > 1:
            self.task.trainable_module = self.task.trainable_module.module  # see join_processes
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        seconds = self.seconds + time.monotonic() - self._last_tick
        return Trained(accuracy, self.right, reported, seconds, self.processes.peak_memory_mib(), parameters)

    def _save_weights(self) -> None:
        save_weights(self.model, self.out / WEIGHTS, self.about)
        if self.optimisation.ema is not None:
            save_weights(self.optimisation.ema, self.out / EMA_WEIGHTS, self.about)

    def _show(self, note: str) -> None:
        self._bar.update(self._line, completed=self.step, note=note)

    @property
    def step(self) -> int:
        """How many optimizer steps the run has made, over all its sessions."""
        return self.epoch * self.batches.steps + self.batch

    def _train_epoch(self, epoch: int) -> None:
        self.task.train()
        self.task.epoch = epoch
        self.normalise.train()
        micro_batches = self.batches.epoch(epoch, self.batch)
        for _ in range(self.batch, self.batches.steps):
            self._train_step(micro_batches)
            self.batch += 1
            if self.batch % 10 == 0:
                self._show(f"epoch {epoch + 1}/{self.recipe.total_epochs}")
            where = f"{self.out.name} stopped in epoch {epoch + 1}, step {self.batch} of {self.batches.steps}"
            self._checkpoint.after_step(where, saved_soon=self._saves_soon)

    @property
    def _saves_soon(self) -> bool:
        """Whether this step ends an epoch after which the run saves by itself, before it evaluates."""
        return self.batch == self.batches.steps and self.recipe.evaluates(self.epoch)

    def _train_step(self, micro_batches: Iterator[Batch]) -> None:
        self.optimisation.begin_step(self.epoch, self.step)
        self.statistics.begin_step()
        for place in self.batches.mine:
            with self.optimisation.sharing(last=place == self.batches.mine[-1]):
                self._forward_backward(place, next(micro_batches))
            self.statistics.end_micro_batch()
        self.statistics.end_step()
        self._share_head()
        self.optimisation.end_step(self.step)

    def _share_head(self) -> None:
        """The mean of all processes' gradients for the method's own head, which is no part of the distributed model.

        A batch in which the head was not used counts with a gradient of zero, whichever process it was on.
        """
        for parameter in () if self.task.head is None else self.task.head.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            self.processes.total(parameter.grad).div_(self.processes.world)

    def _forward_backward(self, place: int, batch: Batch) -> None:
        device = self.processes.device
        seed_python_numpy_torch(self.seed, "step", self.step, place)
        self.task.rng = np.random.default_rng(derive_seed(self.seed, "mix", self.step, place))
        images = self.normalise(batch.images.to(device, non_blocking=True)).contiguous(memory_format=self.memory_format)
        labels = batch.labels.to(device, non_blocking=True)
        with autocast(device, self.recipe.precision):
            result = self.task(images, labels, objects=batch.objects)
        self.optimisation.backward(result["loss"])
        self.sums.note(result["loss"], result["lam"], result["mix"], batch.objects)

    def _close_epoch(self) -> None:
        sums = self._finite(self.processes.total(self.sums.total.clone()))
        row = {"epoch": self.epoch, "lr": self.optimisation.lr, **summary(sums)}
        note = ""
        if self.recipe.evaluates(self.epoch):
            accuracy, self.right = self._evaluate()
            row["accuracy"], note = asdict(accuracy), f"top-1 {accuracy.top1:.1f} %"
        else:
            del row["lambda"]  # many numbers, for few readers
        self.history.append(row)
        self.epoch, self.batch = self.epoch + 1, 0
        self.sums.total.zero_()
        self._show(note)
        self.processes.lead(lambda: self._log.write(self.history))

    def _finite(self, sums: Tensor) -> Tensor:
        if not torch.isfinite(sums).all():
            raise UserError(f"loss of {self.out.name} not finite in epoch {self.epoch + 1}: lower lr={self.recipe.lr}")
        return sums

    def _evaluate(self) -> tuple[Accuracy, Tensor]:
        model = self.task.get_eval_model(ema=self.recipe.report_ema)
        return evaluate(model, self.val_batches, self.normalise, self.processes, self.recipe.precision)

    def save(self) -> None:
        """Write everything that the rest of the run depends on, atomically; all processes together."""
        own = self.sums.total
        sums = own.new_zeros(self.processes.world, len(own))
        sums[self.processes.rank] = own
        sums = self._finite(self.processes.total(sums))
        now = time.monotonic()
        self.seconds += now - self._last_tick
        self._checkpoint.last = self._last_tick = now
        state = {
            "identity": self.identity,
            "epoch": self.epoch,
            "batch": self.batch,
            "model": self.model.state_dict(),
            "head": None if self.task.head is None else self.task.head.state_dict(),
            "optimisation": self.optimisation.state(),
            "sums": sums,
            "history": self.history,
            "right": self.right,
            "seconds": self.seconds,
        }
        self.processes.lead(lambda: save_state(self.out / STATE, state))

    def restore(self) -> None:
        """Continue from the state in the run's folder."""
        state = load_state(self.out / STATE)
        if state.get("identity") != self.identity:
            raise UserError(
                f"checkpoint {self.out / STATE} was made by another recipe, data set or seed: "
                "start this run afresh with --restart"
            )
        with restoring(self.out / STATE):
            self._restore(state)
        if self.processes.leads:
            where = f"epoch {self.epoch + 1}, after step {self.batch} of {self.batches.steps}"
            print(f"{self.out.name}: continues in {where}", file=sys.stderr)

    def _restore(self, state: dict[str, Any]) -> None:
        self.epoch = check_position("epoch", state["epoch"], self.recipe.total_epochs)
        self.batch = check_position("batch", state["batch"], self.batches.steps)
        self.history, self.right, self.seconds = state["history"], state["right"], float(state["seconds"])
        check_position("history", len(self.history), self.epoch)
        if [row["epoch"] for row in self.history] != [*range(self.epoch)] or not 0 <= self.seconds < float("inf"):
            raise ValueError(f"{len(self.history)} lines of history, {self.seconds:g} seconds")
        if self.epoch == self.recipe.total_epochs and ("accuracy" not in self.history[-1] or self.right is None):
            raise ValueError("the last epoch was not evaluated")
        self.model.load_state_dict(state["model"])
        if self.task.head is not None:
            self.task.head.load_state_dict(state["head"])
        self.optimisation.restore(state["optimisation"])
        same_world = len(state["sums"]) == self.processes.world
        sums = state["sums"] if same_world else state["sums"].sum(0).expand(1, -1)
        if self.processes.rank < len(sums):
            self.sums.total.copy_(sums[self.processes.rank])
