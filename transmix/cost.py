"""What a model costs: multiply-accumulates of its forward pass, and of reading its class attention.

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
from transmix.recipe import Recipe
from transmix.train import build_model


def skeleton(recipe: Recipe, num_classes: int) -> nn.Module:
    """The recipe's model on the meta device: shapes without weights, made in no time."""
    with torch.device("meta"):
        model, _ = build_model(recipe, num_classes)
    return model


def forward_macs(model: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of one (3, image_size, image_size) image's forward pass. The model is left as it is."""
    return _count(_shapes(model), image_size)


def reading_macs(model: nn.Module, image_size: int) -> int:
    """Multiply-accumulates that reading the class attention adds to one image's forward pass."""
    shapes = _shapes(model)
    plain = _count(shapes, image_size)
    ClassAttention(shapes)
    return _count(shapes, image_size) - plain


def _shapes(model: nn.Module) -> nn.Module:
    # without gradients: the counter's module tracker fails on CaiT's class token otherwise
    return deepcopy(model).to("meta").eval().requires_grad_(False)


def _count(shapes: nn.Module, image_size: int) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shapes(torch.empty(1, 3, image_size, image_size, device="meta"))
    return counter.get_total_flops() // 2
