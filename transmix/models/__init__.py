"""Models that timm does not have, registered with timm when this package is imported."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from transmix.common.errors import unknown_name
from transmix.models import micro, pvt

__all__ = ["check_name", "create_model", "micro", "pvt"]


def check_name(name: str) -> None:
    """Raise `UserError` unless timm or this suite has a model of that name; names the nearest."""
    if not timm.is_model(name):
        raise unknown_name("model", name, timm.list_models())
    architecture, dot, tag = name.partition(".")
    if dot:
        known = [found.partition(".")[2] for found in timm.list_models(f"{architecture}.*", include_tags=True)]
        if tag not in known:
            raise unknown_name(f"pretrained tag of {architecture}", tag, filter(None, known))


def create_model(name: str, **kwargs: Any) -> nn.Module:
    """`timm.create_model`, with this suite's models known; an unknown name is an error that names the nearest."""
    check_name(name)
    return timm.create_model(name, **kwargs)
