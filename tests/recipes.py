"""A recipe small enough to train many times in a test."""

from __future__ import annotations

from typing import Any

from transmix.recipe import Recipe


def small_recipe(**settings: Any) -> Recipe:
    """Three epochs of three steps on `conftest.write_class_folders`, with everything random switched on."""
    defaults = {
        "model": "deit_micro_tiny_patch8_64",
        "image_size": 64,
        "epochs": 3,
        "batch_size": 16,
        "warmup_epochs": 1,
        "drop_path": 0.2,
        "random_erasing": 0.5,
        "ema_decay": 0.8,
        "report_ema": True,
        "clip_grad": 1.0,
        "label_rule": "mean",
        "switch_prob": 0.7,
    }
    return Recipe(**(defaults | settings))
