"""One training step as a mixing method sees it: the batch, the model, and what the forward pass left.

Imports without torch, as declarations do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from transmix.common.lazy import torch
from transmix.mixing import Mix, MixPolicy

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn


@dataclass
class Step:
    """One micro-batch on its way through a training step.

    Shapes: B images of H x W pixels and C channels, K classes, P = gh * gw patch tokens, N tokens with the class token
    first.

    Attributes:
        images: (B, C, H, W), normalised, not mixed.
        labels: (B,) int64.
        objects: (B, H, W) bool, where the labelled objects are; None where the data have no masks.
        rng: the only source of random draws.
        model: the student, bare (neither compiled nor distributed).
        num_classes: K.
        smoothing: of labels.
        policy: how Mixup and CutMix are drawn.
        label_rule: the recipe's.
        options: the method's, with the recipe's ``mix_options``.
        as_published: whether known faults of the published code are wanted.
        epoch: of the run, from 0.
        teacher: a frozen model that takes images normalised as the student's; None where the recipe has none.
        head: what the method's ``head`` made; None where it has no such function.
        attention_block, attention_head: where class attention is read.
        mix: the mixed batch; None before.
        output: (B, K) float32 logits of the mixed batch, with gradient; None before the forward pass.
        attention: (B, P) class attention on the mixed batch, of whom the recipe says; None where nobody reads it:
            without a pasted region, it is the student's and for methods that read ``attention``.
        grid: (gh, gw) of `attention`.
        block_attention: of the mixed batch, a (B, N, N) for each block; None where it is not read.
        tokens: (B, N, C) of the mixed batch after the final norm, with gradient; None where they are not read.
        lam: (B,) the partner's share in the labels; None before it is known.
        targets: (B, K); None before they are known.
        kept: what the method keeps for its later functions; its own business.
        extra_passes: what the method's own passes cost, in forward passes of a batch (a backward pass counts as two).
    """

    images: Tensor
    labels: Tensor
    rng: np.random.Generator
    model: nn.Module
    num_classes: int
    objects: Tensor | None = None
    smoothing: float = 0.1
    policy: MixPolicy = field(default_factory=MixPolicy)
    label_rule: str = "area"
    options: dict[str, Any] = field(default_factory=dict)
    as_published: bool = False
    epoch: int = 0
    teacher: nn.Module | None = None
    head: nn.Module | None = None
    attention_block: int = -1
    attention_head: int | None = None
    mix: Mix | None = None
    output: Tensor | None = None
    attention: Tensor | None = None
    grid: tuple[int, int] | None = None
    block_attention: list[Tensor] | None = None
    tokens: Tensor | None = None
    lam: Tensor | None = None
    targets: Tensor | None = None
    kept: dict[str, Any] = field(default_factory=dict)
    extra_passes: int = 0

    def class_attention(self, images: Tensor | None = None) -> Tensor:
        """The student's class attention on the clean batch, or on other images: (B, gh, gw) float32.

        A further forward pass in eval mode, float32, without gradient.
        """
        from transmix.attention import ClassAttention

        reader = ClassAttention(self.model, self.attention_head, self.attention_block)
        self._clean_pass(images)
        reader.remove()
        return reader.take().unflatten(1, reader.grid)

    def logits_and_saliency(self, images: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The student's logits (B, K) on the clean batch, and what its patches attend to: (B, gh, gw) float32.

        Saliency is the last block's attention of patches on patches, mean over heads and over the patches that look
        (SMMix). A further forward pass in eval mode, float32, without gradient.
        """
        from transmix.attention import BlockAttention

        reader = BlockAttention(self.model, blocks=[-1])
        logits = self._clean_pass(images)
        reader.remove()
        prefix = self.model.num_prefix_tokens
        (attention,) = reader.take()
        return logits, attention[:, prefix:, prefix:].mean(1).unflatten(1, reader.grid)

    def input_gradient(self) -> Tensor:
        """How the student's cross-entropy on the clean batch (mean over images) changes with each pixel: like `images`.

        A further forward and backward pass in eval mode, float32; the student's own gradients stay as they are.
        """
        images = self.images.detach().requires_grad_()
        with torch.enable_grad(), evaluating(self.model), torch.autocast(images.device.type, enabled=False):
            loss = torch.nn.functional.cross_entropy(self.model(images.float()), self.labels)
            (gradient,) = torch.autograd.grad(loss, images)
        self.extra_passes += 3
        return gradient

    def _clean_pass(self, images: Tensor | None) -> Tensor:
        images = self.images if images is None else images
        with torch.no_grad(), evaluating(self.model), torch.autocast(images.device.type, enabled=False):
            logits = self.model(images.float())
        self.extra_passes += 1
        return logits


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards each of its modules is as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
