"""TL-Align: CutMix, with the labels of the tokens carried through all attention to the class token.

Xiao et al., ICCV 2023, arXiv 2210.06455. Source: Euphoria16/TL-Align@4da0621, tla.py,
timm/models/vision_transformer.py. The box lies on the token grid, lambda ~ Beta(1, 1), partner i with N-1-i, no Mixup
(it fails in the published code; here a Mixup batch keeps its blend). Patch tokens start with the label of the image
that they come from, the class token with the mixed one; each block maps labels to (A + 1) / 2 times them, A being its
attention, mean over heads, of the same pass. The label of the class token at the end is the target: attention
rollout. No gradient flows through it.

For models of which patches attend to each other in every block with a class token: DeiT; of PVT the last stage alone.
Cost: the attention of all blocks is made beside the model's fused one. Expected: ImageNet top-1 of DeiT-T 73.2
(baseline 72.2), DeiT-S 80.6 (79.8), DeiT-B 82.3 (81.8) (Euphoria16/TL-Align README). ``make table2
METHODS=cutmix,tl_align``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transmix.common.lazy import torch
from transmix.labels import box_mask, pasted_tokens
from transmix.methods import Method
from transmix.methods._draws import draw_share, in_place_of_cutmix, patch_grid, to_pixels
from transmix.methods._step import Step
from transmix.mixing import Mix, draw_box, paste

if TYPE_CHECKING:
    from torch import Tensor

METHOD = Method(
    title="TL-Align",
    settings={"mixup_alpha": 0.0},
    position=200,
    passes="the attention of all blocks",
    reads=("blocks",),
    published=("TL-Align",),
)


def mix(step: Step) -> Mix:
    """CutMix in whole tokens."""
    return in_place_of_cutmix(step, _mix)


def _mix(step: Step) -> Mix:
    grid = patch_grid(step)
    box = draw_box(step.rng, grid, draw_share(step))
    return paste(step.images, to_pixels(box_mask(box, grid, step.images.device)[None], step.images.shape[-2:]))


def lam(step: Step) -> Tensor:
    """The partner's share in the class token's label after the last block."""
    return aligned_share(step.block_attention, pasted_tokens(step.mix.pasted, patch_grid(step)), step.mix.lam)


def aligned_share(attention: list[Tensor], pasted: Tensor, area: Tensor) -> Tensor:
    """The partner's share in the label that attention carries to the class token: (B,).

    Args:
        attention: of each block, (B, N, N), rows sum to one, the prefix tokens first.
        pasted: (B, P), 1 where pasted.
        area: (B,), the share with which the prefix tokens start.
    """
    prefix = attention[0].shape[-1] - pasted.shape[1]
    share = torch.cat((area[:, None].expand(-1, prefix), pasted), 1)
    for block in attention:
        share = (torch.einsum("bij,bj->bi", block, share) + share) / 2
    return share[:, 0]
