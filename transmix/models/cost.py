"""What a model costs: the multiply-accumulates of its forward pass, and what reading its class attention adds.

The field's "FLOPs" are these multiply-accumulates (MACs). Counted are matrix products and convolutions, those of
attention (Q K^T and A V) included; normalisation, activations, softmax and additions are not. Counting needs shapes
only: it runs on torch's meta device, where nothing is computed and attention is never fused into an operator that the
counter does not know.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from transmix.attention import ClassAttention
from transmix.models.build import build_model
from transmix.recipe import Recipe


def skeleton(recipe: Recipe, num_classes: int) -> nn.Module:
    """The recipe's model on the meta device: shapes without weights, made in no time."""
    with torch.device("meta"):
        model, _ = build_model(recipe, num_classes)
    return model


def forward_macs(model: nn.Module, image_size: int, read_attention: bool = False) -> int:
    """Multiply-accumulates of one image's forward pass.

    Args:
        model: the bare model, on any device; it is left as it is.
        image_size: of a square image, in pixels.
        read_attention: count with the class attention read, as TransMix does.
    """
    # without gradients: the counter's module tracker fails on CaiT's class token otherwise
    shapes = deepcopy(model).to("meta").eval().requires_grad_(False)
    if read_attention:
        ClassAttention(shapes)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shapes(torch.empty(1, 3, image_size, image_size, device="meta"))
    return counter.get_total_flops() // 2
