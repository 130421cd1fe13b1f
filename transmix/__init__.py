"""TransMix (CVPR 2022): mix the labels of a CutMix image by class attention instead of area.

>>> from transmix import MixingTask, TransMixTask
"""

from __future__ import annotations

from typing import Any

__all__ = ["ClassAttention", "MixPolicy", "MixingTask", "TransMixTask"]


def __getattr__(name: str) -> Any:
    # late, so that planning and reporting never import torch
    if name == "TransMixTask":
        from transmix.task import TransMixTask as found
    elif name == "MixingTask":
        from transmix.task import MixingTask as found
    elif name == "ClassAttention":
        from transmix.attention import ClassAttention as found
    elif name == "MixPolicy":
        from transmix.mixing import MixPolicy as found
    else:
        raise AttributeError(f"module 'transmix' has no attribute {name!r}")
    return found
