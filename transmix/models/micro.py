"""Relatives of the paper's models for 64 px images in patches of 8: the same timm classes, the same code path.

* ``*_micro_*``: small enough for a laptop's CPU. Widths (and PVT's depths, in `transmix.models.pvt`) are ordered as
  in the paper.
* ``deit_{tiny,small,base}_patch8_64``, ``cait_xxs36_patch8_64``: widths and depth of the paper's models, for one GPU.
  (timm has XCiT in patches of 8 itself.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timm.models import (
    Cait,
    VisionTransformer,
    Xcit,
    build_model_with_cfg,
    cait,
    generate_default_cfgs,
    register_model,
    vision_transformer,
    xcit,
)
from torch import nn


def _cfg(**kwargs: Any) -> dict[str, Any]:
    return {
        "num_classes": 1000,
        "input_size": (3, 64, 64),
        "pool_size": None,
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "first_conv": "patch_embed.proj",
        "classifier": "head",
        "license": "mit",
        **kwargs,
    }


def _sizes(width: int, depth: int, heads: int, **others: Any) -> dict[str, Any]:
    return {"img_size": 64, "patch_size": 8, "embed_dim": width, "depth": depth, "num_heads": heads, **others}


# LayerScale starts at .1 in the shallow ones: 1e-5, made for 36 layers, would not be left within minutes
_VARIANTS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "deit_micro_tiny_patch8_64": (VisionTransformer, _sizes(64, 4, 2)),
    "deit_micro_small_patch8_64": (VisionTransformer, _sizes(96, 4, 3)),
    "deit_micro_base_patch8_64": (VisionTransformer, _sizes(128, 4, 4)),
    "xcit_micro_tiny_patch8_64": (Xcit, _sizes(48, 3, 3, eta=0.1)),
    "xcit_micro_small_patch8_64": (Xcit, _sizes(64, 3, 4, eta=0.1)),
    "xcit_micro_medium_patch8_64": (Xcit, _sizes(80, 3, 5, eta=0.1)),
    "xcit_micro_large_patch8_64": (Xcit, _sizes(96, 3, 6, eta=0.1)),
    "cait_micro_xxs_patch8_64": (Cait, _sizes(48, 4, 3, init_values=0.1)),
    "deit_tiny_patch8_64": (VisionTransformer, _sizes(192, 12, 3)),
    "deit_small_patch8_64": (VisionTransformer, _sizes(384, 12, 6)),
    "deit_base_patch8_64": (VisionTransformer, _sizes(768, 12, 12)),
    "cait_xxs36_patch8_64": (Cait, _sizes(192, 36, 4, init_values=1e-5)),
}
_FILTERS = {
    VisionTransformer: vision_transformer.checkpoint_filter_fn,
    Xcit: xcit.checkpoint_filter_fn,
    Cait: cait.checkpoint_filter_fn,
}

default_cfgs = generate_default_cfgs({f"{name}.untrained": _cfg() for name in _VARIANTS})


def _entrypoint(name: str) -> Callable[..., nn.Module]:
    """What timm calls to make the model `name`."""
    model, sizes = _VARIANTS[name]

    def create(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        return build_model_with_cfg(model, name, pretrained, pretrained_filter_fn=_FILTERS[model], **(sizes | kwargs))

    create.__name__ = name
    return create


for _name in _VARIANTS:
    register_model(_entrypoint(_name))
