"""The training loop: resumable at any step, ends with the same weights however often it was killed.

No random state is saved. Every draw comes from (seed, what, where) counters (`transmix.seeding`), so a run is its
weights, optimizer, moving average and position; see `Trainer.save`.
"""

from __future__ import annotations

import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.models import get_pretrained_cfg
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor, nn

from transmix.checkpoints import load_state, save_state, save_weights
from transmix.data import Normalizer, Shard, TrainLoader, eval_loader
from transmix.distributed import Processes
from transmix.errors import UserError
from transmix.evaluate import Accuracy, evaluate
from transmix.folders import ImageFolders
from transmix.log import EpochLog
from transmix.mixing import MixPolicy
from transmix.models import create_model
from transmix.progress import progress_bar
from transmix.recipe import Recipe, fingerprint, settings
from transmix.seeding import derive_seed, seed_python_numpy_torch
from transmix.task import TransMixTask

STATE = "state.pt"
WEIGHTS, EMA_WEIGHTS = "weights.safetensors", "weights_ema.safetensors"


@dataclass(frozen=True)
class Runtime:
    """How a run is carried out; nothing here changes its result (but for the rounding of compiled kernels).

    Attributes:
        workers: loader processes.
        checkpoint_seconds: time between checkpoints within an epoch (there is one at every epoch's end).
        compile: `torch.compile` the model.
        progress: a progress bar, where there is a terminal.
    """

    workers: int = 1
    checkpoint_seconds: float = 60.0
    compile: bool = False
    progress: bool = True


@dataclass(frozen=True)
class Trained:
    """What a finished training run measured: accuracy of the reported weights, seconds, MiB."""

    accuracy: Accuracy
    weights: str  # file name, in the run's folder, of the weights that are reported
    seconds: float  # over all the sessions that it took
    peak_memory_mib: float
    parameters: int


def build_model(recipe: Recipe, num_classes: int) -> tuple[nn.Module, dict[str, Any]]:
    """The recipe's model, freshly initialised, and what `transmix.checkpoints.load_model` needs to rebuild it."""
    default = get_pretrained_cfg(recipe.model)
    resized = default is not None and default.input_size[-1] != recipe.image_size
    model_args = {"img_size": recipe.image_size} if resized else {}
    model = create_model(recipe.model, num_classes=num_classes, drop_path_rate=recipe.drop_path, **model_args)
    about = {"model": recipe.model, "num_classes": num_classes, "model_args": model_args}
    return model, about | {"image_size": recipe.image_size, "mean": default.mean, "std": default.std}


class Trainer:
    """One training run in one folder.

    Args:
        recipe: what is trained.
        folders: on what.
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
        folders: ImageFolders,
        out: Path,
        seed: int,
        processes: Processes,
        runtime: Runtime | None = None,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.recipe, self.out, self.seed, self.processes = recipe, out, seed, processes
        self.runtime = runtime or Runtime()
        shard, cuda = Shard(processes.rank, processes.world), processes.device.type == "cuda"
        load = {"workers": self.runtime.workers, "shard": shard, "pin_memory": cuda}
        self.batches = TrainLoader(recipe, folders.split("train"), seed, **load)
        self.val_batches = eval_loader(recipe, folders.split("val"), **load)

        seed_python_numpy_torch(seed, "init")
        self.model, self.about = build_model(recipe, len(folders.classes))
        self.about |= {"classes": folders.classes, **(about or {})}
        self.normalise = Normalizer(self.about["mean"], self.about["std"], recipe.random_erasing)
        policy = MixPolicy(recipe.mixup_alpha, recipe.cutmix_alpha, recipe.mix_prob, recipe.switch_prob)
        self.task = TransMixTask(self.model, len(folders.classes), recipe.label_rule, policy, recipe.smoothing)
        self.task.to(processes.device)
        self.normalise.to(processes.device)
        self._prepare_optimisation()

        self.epoch = self.batch = 0  # the position: next batch of this epoch
        self.sums = torch.zeros(4, dtype=torch.float64, device=processes.device)  # see _train_step
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._last_save = self._last_tick = time.monotonic()
        self.identity = fingerprint([settings(recipe), folders.fingerprint, seed, processes.world])
        if (out / STATE).exists():
            self.restore()

    def _prepare_optimisation(self) -> None:
        recipe = self.recipe
        self.optimizer = create_optimizer_v2(self.model, opt="adamw", lr=recipe.lr, weight_decay=recipe.weight_decay)
        self.scheduler, _ = create_scheduler_v2(
            self.optimizer,
            "cosine",
            num_epochs=recipe.epochs,
            cooldown_epochs=recipe.cooldown_epochs,
            min_lr=recipe.min_lr,
            warmup_lr=recipe.warmup_lr,
            warmup_epochs=recipe.warmup_epochs,
            step_on_epochs=not recipe.lr_per_step,
            updates_per_epoch=self.batches.steps,
        )
        self.ema = None
        if recipe.ema_decay is not None:
            self.ema = self.task.setup_ema(decay=recipe.ema_decay, use_warmup=recipe.ema_warmup)
        if self.runtime.compile:
            self.task.compile()
        if self.processes.world > 1:
            self.task.prepare_distributed()

    def run(self) -> Trained:
        """Train from the current position to the end, evaluate, write the weights."""
        self._last_save = self._last_tick = time.monotonic()
        recipe, leads = self.recipe, self.processes.leads
        self._log = EpochLog(self.out, self.epoch) if leads else None
        with progress_bar(self.runtime.progress and leads) as self._bar:
            total = recipe.total_epochs * self.batches.steps
            self._line = self._bar.add_task(self.out.name, total=total, completed=self.step, note="")
            for epoch in range(self.epoch, recipe.total_epochs):
                self._train_epoch(epoch)
                self.save()  # before evaluating: a broken validation image costs no training
                self._close_epoch()
        accuracy = Accuracy(**self.history[-1]["accuracy"])
        reported = EMA_WEIGHTS if recipe.report_ema else WEIGHTS
        if leads:
            save_weights(self.model, self.out / WEIGHTS, self.about)
            if self.ema is not None:
                save_weights(self.ema.module, self.out / EMA_WEIGHTS, self.about)
        self.processes.wait()
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        seconds = self.seconds + time.monotonic() - self._last_tick
        return Trained(accuracy, reported, seconds, self._peak_memory_mib(), parameters)

    def _show(self, note: str) -> None:
        self._bar.update(self._line, completed=self.step, note=note)

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.epoch * self.batches.steps + self.batch

    def _train_epoch(self, epoch: int) -> None:
        self.task.train()
        self.normalise.train()
        if not self.recipe.lr_per_step:
            self.scheduler.step(epoch)
        for images, labels in self.batches.epoch(epoch, self.batch):
            self._train_step(images, labels)
            self.batch += 1
            if self.batch % 10 == 0:
                self._show(f"epoch {epoch + 1}/{self.recipe.total_epochs}")
            due = time.monotonic() - self._last_save >= self.runtime.checkpoint_seconds
            if due and self.batch < self.batches.steps:
                self.save()

    def _train_step(self, images: Tensor, labels: Tensor) -> None:
        recipe, device = self.recipe, self.processes.device
        seed_python_numpy_torch(self.seed, "step", self.processes.rank, self.step)
        self.task.rng = np.random.default_rng(derive_seed(self.seed, "mix", self.processes.rank, self.step))
        if recipe.lr_per_step:
            self.scheduler.step_update(self.step)
        images = self.normalise(images.to(device, non_blocking=True))
        labels = labels.to(device, non_blocking=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.amp == "bf16"):
            result = self.task(images, labels)
        self.optimizer.zero_grad()
        result["loss"].backward()
        if recipe.clip_grad is not None:
            nn.utils.clip_grad_norm_(self.task.get_clip_parameters(), recipe.clip_grad)
        self.optimizer.step()
        self.task.update_ema(step=self.step + 1)
        mix = result["mix"]
        shift = (result["lam"] - mix.lam).abs().mean().to(device)  # zero for Mixup and for the area rule
        cutmixed = torch.tensor(float(mix.box is not None), device=device)
        # sums of: loss, steps, how far the labels moved from the area rule, CutMix steps
        self.sums += torch.stack([result["loss"].detach(), torch.ones_like(shift), shift, cutmixed])

    def _close_epoch(self) -> None:
        loss, steps, shift, cutmixed = self.processes.total(self.sums.clone()).tolist()
        accuracy = self._evaluate()
        row = {
            "epoch": self.epoch,
            "lr": self.optimizer.param_groups[0]["lr"],
            "loss": loss / steps,
            "label_shift": shift / cutmixed if cutmixed else 0.0,
            "accuracy": asdict(accuracy),
        }
        self.history.append(row)
        self.epoch, self.batch = self.epoch + 1, 0
        self.sums.zero_()
        self._show(f"top-1 {accuracy.top1:.1f} %")
        if self.processes.leads:
            self._log.write(self.history)

    def _evaluate(self) -> Accuracy:
        model = self.task.get_eval_model(ema=self.recipe.report_ema)
        return evaluate(model, self.val_batches, self.normalise, self.processes, self.recipe.amp)

    def save(self) -> None:
        """Write everything that the rest of the run depends on, atomically."""
        if not torch.isfinite(self.sums[0]):
            raise UserError(f"loss of {self.out.name} not finite in epoch {self.epoch + 1}: lower lr={self.recipe.lr}")
        now = time.monotonic()
        self.seconds += now - self._last_tick
        self._last_save = self._last_tick = now
        if not self.processes.leads:
            return
        state = {
            "identity": self.identity,
            "epoch": self.epoch,
            "batch": self.batch,
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "sums": self.sums,
            "history": self.history,
            "seconds": self.seconds,
        }
        save_state(self.out / STATE, state)

    def restore(self) -> None:
        """Continue from the state in the run's folder."""
        state = load_state(self.out / STATE)
        if state["identity"] != self.identity:
            raise UserError(
                f"checkpoint {self.out / STATE} was made by another recipe, data set, seed or number of processes: "
                "start this run afresh with --restart"
            )
        self.epoch, self.batch = state["epoch"], state["batch"]
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.sums = state["sums"].to(self.sums.device)
        self.history, self.seconds = state["history"], state["seconds"]

    def _peak_memory_mib(self) -> float:
        if self.processes.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
