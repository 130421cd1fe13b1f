"""Models that timm does not have, registered with timm when this package is imported."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from transmix.common.errors import unknown_name
from transmix.models import micro, pvt

__all__ = ["create_model", "micro", "pvt"]


def create_model(name: str, **kwargs: Any) -> nn.Module:
    """`timm.create_model`, with this suite's models known; an unknown name is an error that names the nearest."""
    if not timm.is_model(name):
        raise unknown_name("model", name, timm.list_models())
    return timm.create_model(name, **kwargs)
