"""mmengine's Runner on the device and among the processes that a run was given.

mmengine takes a GPU wherever there is one, and can neither wrap a model for several processes on a CPU nor normalise
over them there. On GPUs all of this is torch's and mmengine's own.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import MMDistributedDataParallel, convert_sync_batchnorm
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class DeviceRunner(Runner):
    """Runs on the ``device`` that its configuration names."""

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """Put the model on the device; with several processes, synchronise its gradients and its BatchNorm."""
        device = torch.device(self.cfg.device)
        model = model.to(device)
        if not self.distributed:
            return revert_sync_batchnorm(model)
        if self.cfg.get("sync_bn"):
            model = convert_sync_batchnorm(model, self.cfg.sync_bn)
        if device.type == "cpu":
            synchronise_on_cpu(model)
        places = [torch.cuda.current_device()] if device.type == "cuda" else None
        return MMDistributedDataParallel(module=model, device_ids=places, broadcast_buffers=False)


def synchronise_on_cpu(model: nn.Module) -> None:
    """Let torch's synchronised BatchNorm work on a CPU, too; parameters and buffers stay what they are."""
    for module in model.modules():
        if isinstance(module, nn.SyncBatchNorm):
            module.__class__ = CpuSyncBatchNorm


class CpuSyncBatchNorm(nn.modules.batchnorm._BatchNorm):  # DDP refuses torch's own on a CPU
    """BatchNorm over the batches of all processes, through whatever they talk by."""

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of dimensions will do."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...); B and what follows C may differ between processes."""
        if not self.training:
            return super().forward(x)
        channels, dims = x.shape[1], [dim for dim in range(x.dim()) if dim != 1]
        shape = [channels if dim == 1 else 1 for dim in range(x.dim())]
        size = x.new_tensor([x.numel() / channels])
        total, size = all_reduce(torch.cat([x.sum(dims), size])).split([channels, 1])
        mean = total / size
        centred = x - mean.view(shape)
        variance = all_reduce(centred.square().sum(dims)) / size
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * size / (size - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale.view(shape) + self.bias.view(shape)
