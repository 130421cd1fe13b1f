"""Random weights of a micro model, for tests to write into files."""

from __future__ import annotations

import torch

from transmix.models import create_model

MODEL = "deit_micro_tiny_patch8_64"


def random_state() -> dict[str, torch.Tensor]:
    """Random weights of the model for four classes, the same each time."""
    torch.manual_seed(3)
    return create_model(MODEL, num_classes=4).state_dict()
