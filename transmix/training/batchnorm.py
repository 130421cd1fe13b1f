"""BatchNorm's running statistics (XCiT has some) under gradient accumulation and on several processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from transmix.training.distributed import Processes


class RunningStatistics:
    """Makes a step's update of running statistics the mean of what its micro-batches would each have made of them.

    A micro-batch is still normalised by its own statistics, as in the papers' recipes (no SyncBatchNorm), and those see
    mixed images, as the weights do. But running means and variances, which are used in evaluation, then depend neither
    on the order of micro-batches nor on how many processes they were dealt to; timm's ``--dist-bn reduce`` averages
    them over processes too, once an epoch.

    Args:
        model: the bare model; one without BatchNorm costs nothing.
        processes: that share a step.
        micro_batches: in a step, of all processes together.
    """

    def __init__(self, model: nn.Module, processes: Processes, micro_batches: int) -> None:
        self.processes, self.micro_batches = processes, micro_batches
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
        self._buffers = [buffer for norm in norms for buffer in norm.buffers()]  # the count of batches too
        self._averages = bool(self._buffers) and micro_batches > 1

    def begin_step(self) -> None:
        """Before a step's first micro-batch."""
        if self._averages:
            self._before = self._read()
            self._sum = torch.zeros_like(self._before)

    def end_micro_batch(self) -> None:
        """After each forward and backward pass."""
        if self._averages:
            self._sum += self._read()
            self._write(self._before)

    def end_step(self) -> None:
        """After a step's last micro-batch."""
        if self._averages:
            self._write(self.processes.total(self._sum) / self.micro_batches)

    def _read(self) -> Tensor:
        return torch.cat([buffer.flatten().double() for buffer in self._buffers])

    def _write(self, values: Tensor) -> None:
        for buffer, value in zip(self._buffers, values.split([b.numel() for b in self._buffers]), strict=True):
            buffer.copy_(value.view_as(buffer))
