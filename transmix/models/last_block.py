"""Training for less: a last block that computes the class token alone, as nothing else of it reaches the loss.

A classifier that pools by the class token drops its patch tokens after the last block, and with them that block's MLP
on each of them, two thirds of its work: 5 to 7 % of a DeiT-Ti training step at 224 px on a CPU, and 4 % of its memory.
Parameters, the class token, the loss and all gradients stay what they are, within rounding; the attention that goes
before is computed whole. (An MLP with dropout, which none of our recipes has, drops as much, but draws otherwise.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from timm.layers import Mlp
from timm.models import VisionTransformer, Xcit, vision_transformer, xcit
from torch import Tensor
from torch.nn import LayerNorm, Module

from transmix.models import pvt


class _VitBlock(vision_transformer.Block):
    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """All tokens (B, N, C) to the class token (B, 1, C)."""
        attended = self.attn(self.norm1(x), *args, **kwargs)[:, :1]
        x = x[:, :1] + self.drop_path1(self.ls1(attended))
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))


class _PvtBlock(pvt.Block):
    def forward(self, x: Tensor, grid: pvt.Grid) -> Tensor:
        """All tokens (B, N, C), the patches on a grid, to the class token (B, 1, C)."""
        x = x[:, :1] + self.drop_path1(self.attn(self.norm1(x), grid)[:, :1])
        return x + self.drop_path2(self.mlp(self.norm2(x)))


class _XcitBlock(xcit.ClassAttentionBlock):
    def forward(self, x: Tensor) -> Tensor:
        """All tokens (B, N, C) to the class token (B, 1, C); here the patches had no MLP anyway, but norms."""
        x = self.norm2(x[:, :1] + self.drop_path1(self.gamma1 * self.attn(self.norm1(x))))
        return x + self.drop_path2(self.gamma2 * self.mlp(x))


# of a model: where its blocks are, of which class, and which takes the last one's place; CaiT's does so by itself
_BLOCKS = {
    VisionTransformer: ("blocks", vision_transformer.Block, _VitBlock),
    pvt.PyramidVisionTransformer: ("block4", pvt.Block, _PvtBlock),
    Xcit: ("cls_attn_blocks", xcit.ClassAttentionBlock, _XcitBlock),
}


@contextmanager
def class_token_only(model: Module) -> Iterator[None]:
    """Within it the model's last block computes the class token alone; its features are then (B, 1, C).

    A model whose loss needs more is left as it is: of another class, with blocks or an MLP of one's own, pooled
    otherwise, or with gradient checkpointing, whose backward pass runs the block again, outside.
    """
    where, usual, short = _BLOCKS.get(type(model), ("", None, None))
    pooled = bool(where) and model.global_pool == "token" and not model.grad_checkpointing
    block = getattr(model, where)[-1] if pooled else None
    # else a token's way through the block's second half may not be its own
    if (
        block is None
        or type(block) is not usual
        or type(block.mlp) is not Mlp
        or not isinstance(block.norm2, LayerNorm)
    ):
        yield
        return
    block.__class__ = short  # not a forward of its own: its hooks stay, and there is nothing to copy or to save
    try:
        yield
    finally:
        block.__class__ = usual
