"""Micro DeiT as each of the methods trains it, on a batch of noise."""

from __future__ import annotations

import numpy as np
import torch

from transmix.methods import methods
from transmix.models import create_model
from transmix.task import MixingTask

LABELS = torch.arange(8) % 4
OWN = [name for name, method in methods().items() if method.own]  # those that have functions of their own


def batch() -> torch.Tensor:
    return torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def model(name: str = "deit_micro_tiny_patch8_64") -> torch.nn.Module:
    torch.manual_seed(0)
    made = create_model(name, num_classes=4)
    torch.nn.init.normal_(made.head.weight, std=0.1)  # as made it is zero, and no pixel matters
    return made


def task(name: str, seed: int = 0, **settings) -> MixingTask:
    """In training mode; another micro DeiT is the teacher of those that have one."""
    declared = methods()[name]
    if "teacher" in declared.reads or declared.settings.get("attention_of") == "teacher":
        settings["teacher"] = model("deit_micro_small_patch8_64")
    made = MixingTask(model(), 4, method=name, rng=np.random.default_rng(seed), **settings)
    if made.mixing.attention_of == "ema":
        made.setup_ema(decay=0.9)
    return made.train()
