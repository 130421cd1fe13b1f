"""Models that timm does not have, registered with timm when this package is imported."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from transmix.errors import UserError
from transmix.models import micro, pvt

__all__ = ["create_model", "micro", "pvt"]


def create_model(name: str, **kwargs: Any) -> nn.Module:
    """`timm.create_model`, with this suite's models known; an unknown name is a `UserError`."""
    if not timm.is_model(name):
        raise UserError(f"unknown model {name!r}: neither timm nor transmix.models has it")
    return timm.create_model(name, **kwargs)
