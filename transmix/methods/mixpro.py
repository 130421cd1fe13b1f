"""MixPro: MaskMix, labelled by attention as far as the student's prediction is right already.

Zhao et al., ICLR 2023, arXiv 2304.12043. Source: fistyee/MixPro@53a229e, main.py (PAL_ATTN true), utils.py. Images as
`maskmix` mixes them. Progressive attention labelling: class attention of the mixed batch, from the same pass (last
block, mean over heads, patches alone), gives a share; the cosine between the prediction and the area's label says how
far it is trusted: lambda = sim * attention's + (1 - sim) * area's, for each image. Labels of these batches are not
smoothed, those by which the cosine is taken are. Gradient flows through the cosine, as published;
``SET=mix_options.detach=true`` stops it, as openmixup does. For a uniform prediction of 1000 classes the cosine is
near .05: training begins with labels by area.

Cost: class attention of one block is read; no further pass. Expected: ImageNet top-1 of DeiT-T 73.8 (abstract).
``make table2 METHODS=cutmix,maskmix,mixpro``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transmix.common.lazy import torch
from transmix.labels import attention_share, mixed_targets
from transmix.methods import Method
from transmix.methods._step import Step
from transmix.methods.maskmix import METHOD as MASKMIX
from transmix.methods.maskmix import mix

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["METHOD", "lam", "mix", "targets"]

METHOD = Method(
    title="MixPro",
    settings={},
    position=190,
    options=MASKMIX.options | {"detach": False},
    ranges=MASKMIX.ranges,
    reads=("attention",),
    published=("MixPro",),
)


def lam(step: Step) -> Tensor:
    """Progressive attention labelling of a MaskMix batch; CutMix batches are labelled by area."""
    if "pasted tokens" not in step.kept:
        return step.mix.lam
    by_area = mixed_targets(step.labels, step.labels[step.mix.partner], step.mix.lam, step.num_classes, step.smoothing)
    by_attention = attention_share(step.attention, step.kept["pasted tokens"].flatten(1), step.mix.lam)
    share, _ = progressive_share(step.output, by_area, by_attention, step.mix.lam)
    return share.detach() if step.options["detach"] else share


def targets(step: Step) -> Tensor:
    """Labels of a MaskMix batch are not smoothed."""
    smoothing = 0.0 if "pasted tokens" in step.kept else step.smoothing
    return mixed_targets(step.labels, step.labels[step.mix.partner], step.lam, step.num_classes, smoothing)


def progressive_share(output: Tensor, by_area: Tensor, attention: Tensor, area: Tensor) -> tuple[Tensor, Tensor]:
    """The partner's share in the label, and how far attention is trusted: two (B,).

    Args:
        output: (B, K) logits of the mixed batch.
        by_area: (B, K) smoothed targets by area.
        attention: (B,), the partner's share of class attention.
        area: (B,), its share of the pixels.
    """
    similarity = torch.nn.functional.cosine_similarity(by_area, output.softmax(1), dim=1)
    return similarity * attention + (1 - similarity) * area, similarity
