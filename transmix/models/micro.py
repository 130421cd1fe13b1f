"""Micro relatives of the paper's models: the same timm classes, small enough for a laptop's CPU.

Widths are ordered as in the paper (T < S < B), heads keep 32 channels, the image is 64 px in patches of 8.
"""

from __future__ import annotations

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


default_cfgs = generate_default_cfgs(
    {f"deit_micro_{size}_patch8_64.untrained": _cfg() for size in ("tiny", "small", "base")}
)


def _deit(variant: str, pretrained: bool, **kwargs: Any) -> VisionTransformer:
    arguments = {"img_size": 64, "patch_size": 8, "depth": 6, "mlp_ratio": 4, **kwargs}
    return build_model_with_cfg(
        VisionTransformer, variant, pretrained, pretrained_filter_fn=checkpoint_filter_fn, **arguments
    )


@register_model
def deit_micro_tiny_patch8_64(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """DeiT-T's relative: 64 wide, 2 heads, 6 deep."""
    return _deit("deit_micro_tiny_patch8_64", pretrained, embed_dim=64, num_heads=2, **kwargs)


@register_model
def deit_micro_small_patch8_64(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """DeiT-S's relative: 96 wide, 3 heads, 6 deep."""
    return _deit("deit_micro_small_patch8_64", pretrained, embed_dim=96, num_heads=3, **kwargs)


@register_model
def deit_micro_base_patch8_64(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """DeiT-B's relative: 128 wide, 4 heads, 6 deep."""
    return _deit("deit_micro_base_patch8_64", pretrained, embed_dim=128, num_heads=4, **kwargs)
