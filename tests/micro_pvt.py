"""A micro PVT whose attention is sharp, and images of noise for it."""

from __future__ import annotations

import timm
import torch

from transmix.models.pvt import PyramidVisionTransformer

EXACT = {"atol": 0, "rtol": 0}
CLOSE = {"atol": 1e-5, "rtol": 0}
MICRO = [f"pvt_micro_{size}_patch2_64" for size in ("tiny", "small", "medium", "large")]


def micro(name: str = MICRO[1], **kwargs) -> PyramidVisionTransformer:
    """A micro model with sharp attention: at the usual initialisation it is nearly uniform."""
    torch.manual_seed(0)
    model = timm.create_model(name, **{"num_classes": 7, **kwargs}).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def noise(*size: int) -> torch.Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


def stages(model: PyramidVisionTransformer) -> list[torch.nn.ModuleList]:
    return [model.block1, model.block2, model.block3, model.block4]
