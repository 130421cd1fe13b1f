"""Relatives of the paper's models for 64 px images in patches of 8: the same timm classes, the same code path.

* ``deit_micro_*``: small enough for a laptop's CPU. Widths are ordered as in the paper (T < S < B).
* ``deit_{tiny,small,base}_patch8_64``: widths and depth of the paper's models, for one GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timm.models import VisionTransformer, build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import checkpoint_filter_fn


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


_SIZES = {  # width, depth, heads
    "deit_micro_tiny_patch8_64": (64, 4, 2),
    "deit_micro_small_patch8_64": (96, 4, 3),
    "deit_micro_base_patch8_64": (128, 4, 4),
    "deit_tiny_patch8_64": (192, 12, 3),
    "deit_small_patch8_64": (384, 12, 6),
    "deit_base_patch8_64": (768, 12, 12),
}

default_cfgs = generate_default_cfgs({f"{name}.untrained": _cfg() for name in _SIZES})


def _entrypoint(name: str, width: int, depth: int, heads: int) -> Callable[..., VisionTransformer]:
    """What timm calls to make the model `name`."""

    def create(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
        arguments = {"img_size": 64, "patch_size": 8, "embed_dim": width, "depth": depth, "num_heads": heads, **kwargs}
        return build_model_with_cfg(
            VisionTransformer, name, pretrained, pretrained_filter_fn=checkpoint_filter_fn, **arguments
        )

    create.__name__ = name
    return create


for _name, _size in _SIZES.items():
    register_model(_entrypoint(_name, *_size))
