"""Numbers that a forward pass computes with, by the recipe's `precision`."""

from __future__ import annotations

import torch

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass: half precision for ``bf16`` and ``fp16``, nothing for ``fp32`` and ``tf32``."""
    dtype = _AUTOCAST.get(precision)
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def allow_tf32(precision: str) -> None:
    """Let float32 products of this process round their factors to TF32, or forbid it (torch allows it in cuDNN)."""
    allowed = precision == "tf32"
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed
