"""A fine-tuning's state on disk: written whole or not at all, read without running code.

mmengine's own checkpoints are neither, and one from the middle of an epoch starts that epoch again while the counters
go on. A loop that counts epochs is saved at their ends only.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor, nn

from transmix.checkpoints import load_state, save_state
from transmix.errors import UserError

STATE = "state.pt"


def bare(model: nn.Module) -> nn.Module:
    """The model inside a distributed wrapper, or the model itself."""
    return getattr(model, "module", model)


@HOOKS.register_module()
class SaveState(Hook):
    """Save what the rest of the training depends on, and continue from it.

    Args:
        path: of the state.
        identity: what it must have been made by: a hash of configuration, data, seed and processes.
        seconds: time between states within an epoch; 0 saves after every iteration.

    Attributes:
        began: when the run would have begun, by the monotonic clock, had it never been interrupted.
    """

    priority = "LOWEST"  # after the schedulers' step

    def __init__(self, path: str, identity: str, seconds: float = 60.0) -> None:
        self.path, self.identity, self.seconds = Path(path), identity, seconds
        self.last = self.began = time.monotonic()
        self.loss: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Continue where a state was left.

        Raises:
            UserError: it is another run's, or not readable.
        """
        if not self.path.exists():
            return
        state = load_state(self.path)
        if state["identity"] != self.identity:
            raise UserError(
                f"checkpoint {self.path} was made by another configuration, data set, seed or number of processes: "
                "start this run afresh with --restart"
            )
        bare(runner.model).load_state_dict(state["model"])
        runner.optim_wrapper.load_state_dict(state["optimizer"])
        for scheduler, values in zip(runner.param_schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(values)
        runner.train_loop._epoch, runner.train_loop._iter = state["epoch"], state["iteration"]
        self.began -= state["seconds"]
        runner.optim_wrapper.initialize_count_status(runner.model, runner.iter, runner.max_iters)
        runner.logger.info(f"continued from iteration {runner.iter}")

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save, if it is time to."""
        self.loss = outputs["loss"]
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if not by_epoch and time.monotonic() - self.last >= self.seconds:
            self.save(runner, 0, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save at an epoch's end, and at the end of a training that knows no epochs."""
        if self.loss is not None:  # or else the training had been finished before
            by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
            self.save(runner, runner.epoch + by_epoch, runner.iter)

    def save(self, runner: Runner, epoch: int, iteration: int) -> None:
        """Write the state of a training that has done so many epochs and iterations; one that diverged ends here."""
        if not torch.isfinite(self.loss):
            raise UserError(f"loss of {self.path.parent.name} not finite by iteration {iteration}: lower its lr")
        if runner.rank == 0:
            state = {
                "identity": self.identity,
                "epoch": epoch,
                "iteration": iteration,
                "model": bare(runner.model).state_dict(),
                "optimizer": runner.optim_wrapper.state_dict(),
                "schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
                "seconds": time.monotonic() - self.began,
            }
            save_state(self.path, state)
        self.last = time.monotonic()
