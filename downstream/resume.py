"""A fine-tuning's state on disk: written whole or not at all, read without running code, exact at any iteration.

mmengine's own checkpoints are neither, and one from the middle of an epoch starts that epoch again while the counters
go on.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor, nn

from transmix.common.errors import UserError
from transmix.common.stopping import SaveOrStop, StopRequest
from transmix.training.checkpoints import check_position, check_shapes, load_state, restoring, save_state
from transmix.training.distributed import Processes

STATE = "state.pt"


def bare(model: nn.Module) -> nn.Module:
    """The model inside a distributed wrapper, or the model itself."""
    return getattr(model, "module", model)


class SaveState(Hook):
    """Save what the rest of the training depends on, continue from it, and stop when asked to.

    Args:
        path: of the state.
        identity: what it must have been made by: a hash of configuration, data, seed and processes.
        processes: this process among the run's; they save and stop together.
        stop: whether a signal came.
        seconds: time between states; 0 saves after every iteration.

    Attributes:
        began: when the run would have begun, by the monotonic clock, had it never been interrupted.
    """

    priority = "LOWEST"  # after the schedulers' step

    def __init__(
        self, path: Path, identity: str, processes: Processes, stop: StopRequest, seconds: float = 60.0
    ) -> None:
        self.path, self.identity, self.processes = path, identity, processes
        self._checkpoint = SaveOrStop(stop, seconds, self._save_here, processes)
        self.began = time.monotonic()
        self.loss: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Continue where a state was left.

        Raises:
            UserError: it is another run's, or not readable.
        """
        if not self.path.exists():
            return
        state = load_state(self.path)
        if state.get("identity") != self.identity:
            raise UserError(
                f"checkpoint {self.path} was made by another configuration, data set, seed or number of processes: "
                "start this run afresh with --restart"
            )
        with restoring(self.path):
            self._restore(runner, state)
        runner.optim_wrapper.initialize_count_status(runner.model, runner.iter, runner.max_iters)
        if self.processes.leads:
            where = f"after iteration {runner.iter} of {runner.max_iters}"
            print(f"{self.path.parent.name}: continues {where}", file=sys.stderr)

    def _restore(self, runner: Runner, state: dict[str, Any]) -> None:
        bare(runner.model).load_state_dict(state["model"])
        runner.optim_wrapper.load_state_dict(state["optimizer"])
        check_shapes(runner.optim_wrapper.optimizer)
        for scheduler, values in zip(runner.param_schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(values)
        loop = runner.train_loop
        epoch = check_position("epoch", state["epoch"], runner.max_epochs)
        iteration = check_position("iteration", state["iteration"], runner.max_iters)
        loop._epoch, loop._iter = epoch, iteration
        if isinstance(loop, EpochBasedTrainLoop):  # the other loop skips what it has had by itself
            taken = iteration - epoch * len(loop.dataloader)
            loop.dataloader.batch_sampler.taken = check_position("batch", taken, len(loop.dataloader))
        self.began -= float(state["seconds"])

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save, if it is time to, or the last chance.

        Raises:
            Stopped: a signal asked one of the processes to stop.
        """
        self.loss, self._runner = outputs["loss"], runner
        where = f"iteration {runner.iter + 1} of {runner.max_iters}"
        self._checkpoint.after_step(f"{self.path.parent.name} stopped in {where}")

    def _save_here(self) -> None:
        self.save(self._runner, self._runner.epoch, self._runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save at an epoch's end, and at the end of a training that knows no epochs."""
        if self.loss is not None:  # or else there was nothing left to do
            by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
            self.save(runner, runner.epoch + by_epoch, runner.iter)

    def save(self, runner: Runner, epoch: int, iteration: int) -> None:
        """Write the state of a training that has done so many epochs and iterations; one that diverged ends here."""
        if not torch.isfinite(self.processes.total(self.loss.detach().clone())):
            raise UserError(f"loss of {self.path.parent.name} not finite by iteration {iteration}: lower its lr")
        state = {
            "identity": self.identity,
            "epoch": epoch,
            "iteration": iteration,
            "model": bare(runner.model).state_dict(),
            "optimizer": runner.optim_wrapper.state_dict(),
            "schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
            "seconds": time.monotonic() - self.began,
        }
        self.processes.lead(lambda: save_state(self.path, state))
        self._checkpoint.last = time.monotonic()
