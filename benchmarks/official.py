"""The work of the official implementation's training step, written anew: slow where it is slow, and no faster.

Facts: Beckschen/TransMix @0e4d31e. Every block forms its whole attention map, copies it, and hands it on, though only
the last block's is used; labels are made from one-hot vectors of both images, and the box's mask is resized by
interpolation in floating point.
"""

from __future__ import annotations

import numpy as np
import torch
from timm.layers import Attention
from timm.models import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from transmix.mixing import MixPolicy, mix_batch


class CopyingAttention(nn.Module):
    """An attention of timm's with its own weights that copies its map, (B, heads, N, N), in each forward pass."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.inner, self.map = attention, None

    def forward(self, x: Tensor, **ignored: object) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        inner = self.inner
        batch, tokens, channels = x.shape
        qkv = inner.qkv(x).reshape(batch, tokens, 3, inner.num_heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        weights = ((query @ key.transpose(-2, -1)) * inner.scale).softmax(-1)
        self.map = weights.detach().clone()
        mixed = (inner.attn_drop(weights) @ value).transpose(1, 2).reshape(batch, tokens, channels)
        return inner.proj_drop(inner.proj(mixed))


class OfficialStep:
    """Loss of one training step by TransMix as the official code computes it.

    Args:
        model: a vision transformer of timm's with a class token; its attentions are replaced.
        num_classes: K.
        rng: draws the mixes.
    """

    def __init__(self, model: VisionTransformer, num_classes: int, rng: np.random.Generator) -> None:
        for block in model.blocks:
            block.attn = CopyingAttention(block.attn)
        self.model, self.num_classes, self.rng = model, num_classes, rng
        self.policy = MixPolicy(prob=1.0, switch_prob=1.0)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Mix (B, C, H, W) images of class indices (B,), run the model, label by its attention; the mean loss."""
        mix = mix_batch(images, self.policy, self.rng)
        logits = self.model(mix.images)
        attention = self.model.blocks[-1].attn.map[:, :, 0, 1:].mean(1)
        side = int(attention.shape[1] ** 0.5)
        mask = mix.pasted[:1].float()[None]
        tokens = functional.interpolate(mask, size=(side, side)).flatten()
        inside, outside = (tokens * attention).sum(1), ((1 - tokens) * attention).sum(1)
        lam = (mix.lam + inside / (inside + outside)) / 2
        own, partner = (self._smoothed(each) for each in (labels, labels.flip(0)))
        targets = own * (1 - lam[:, None]) + partner * lam[:, None]
        return torch.sum(-targets * functional.log_softmax(logits, -1), -1).mean()

    def _smoothed(self, labels: Tensor) -> Tensor:
        off = 0.1 / self.num_classes
        full = torch.full((len(labels), self.num_classes), off, device=labels.device)
        return full.scatter_(1, labels[:, None], 0.9 + off)
