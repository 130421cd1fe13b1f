"""PVT v1 against the numbers and the layout of the official models, and the promises of a timm model."""

from __future__ import annotations

from copy import deepcopy

import pytest
import timm
import torch
from timm.layers import set_fused_attn
from timm.models._manipulate import group_parameters
from torch.utils.flop_counter import FlopCounterMode

import transmix.models  # noqa: F401  registers PVT
from transmix.attention import class_row
from transmix.models.pvt import PyramidVisionTransformer, checkpoint_filter_fn

EXACT = {"atol": 0, "rtol": 0}
CLOSE = {"atol": 1e-5, "rtol": 0}
MICRO = [f"pvt_micro_{size}_patch2_64" for size in ("tiny", "small", "medium", "large")]


def micro(name: str = MICRO[1], **kwargs) -> PyramidVisionTransformer:
    """A micro model with sharp attention: at the usual initialisation it is nearly uniform."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=7, **kwargs).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tiny", 13_229_288), ("small", 24_485_864), ("medium", 44_208_104), ("large", 61_369_320)],
)
def test_parameter_counts(name, expected):
    with torch.device("meta"):
        model = PyramidVisionTransformer(depths=timm.create_model(f"pvt_{name}").depths)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
