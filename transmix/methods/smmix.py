"""SMMix: paste the partner's most salient window over the least salient one; learn from both regions, too.

Chen et al., ICCV 2023, arXiv 2212.12977. Source: ChenMnZ/SMMix@14b1edc, smmix.py, engine.py, main.py. Half of the
batches are Mixup (``switch_prob``), half SMMix: the student looks at the clean batch in eval mode; saliency is what
the last block's patches attend to (mean over heads and queries, not the class row). The side of the windows is drawn
once a batch between .25 and .75 of the grid's, partner i with N-1-i. Label by area. Two terms are added to the loss:
half of the cross-entropies of a second head (`head`), on the mean of the tokens outside the window for the own label
and inside for the partner's; and KL(mixed clean predictions || prediction), where the clean logits, not
probabilities, are mixed.

The grid is the model's: the published code takes 14 x 14 for every model and fails at PVT's 7 x 7 unless told so.
Models need self-attention of patches in their last block: DeiT and PVT. openmixup's version (class row, no further
losses) is not built.

Cost: a forward pass on half of the batches. Expected: ImageNet top-1 of DeiT-T 73.6, DeiT-S 81.1, PVT-T 76.4, PVT-S
81.0 (ChenMnZ/SMMix README). ``make table2 METHODS=cutmix,smmix``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transmix.common.lazy import torch
from transmix.common.ranges import Range
from transmix.labels import mixed_targets, pasted_tokens
from transmix.methods import Method
from transmix.methods._draws import batch_share, in_place_of_cutmix, to_pixels
from transmix.methods._step import Step
from transmix.mixing import Mix, mirror

if TYPE_CHECKING:
    from torch import Tensor, nn

METHOD = Method(
    title="SMMix",
    settings={},
    position=170,
    options={"smallest": 0.25, "largest": 0.75},
    ranges=dict.fromkeys(("smallest", "largest"), Range(0, 1, ("high",))),  # something of the own image stays
    passes="a forward pass on half of the batches, a second head",
    extra_passes=0.5,
    reads=("tokens",),
    published=("SMMix",),
)


def head(model: nn.Module, num_classes: int) -> nn.Module:
    """A second classifier, for regions; it starts as the model's own does."""
    return torch.nn.Linear(model.num_features, num_classes)


def mix(step: Step) -> Mix:
    """The partner's most salient window over the own least salient one, or Mixup."""
    return in_place_of_cutmix(step, _mix)


def _mix(step: Step) -> Mix:
    step.kept["logits"], saliency = step.logits_and_saliency()
    step.kept["grid"] = grid = saliency.shape[1:]
    shorter = min(grid)
    smallest, largest = (int(step.options[name] * shorter) for name in ("smallest", "largest"))
    side = max(1, int(step.rng.integers(smallest, largest + 1)))
    partner = mirror(len(step.images), step.images.device)
    least, most = salient_windows(saliency, side)
    return paste_windows(step.images, grid, side, least, most[partner], partner)


def salient_windows(saliency: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Top left of the windows with the least and the most saliency: two (B, 2) of row and column.

    Of equal ones the first in reading order.

    Args:
        saliency: (B, rows, columns).
        side: of the windows, in tokens.
    """
    sums = torch.nn.functional.avg_pool2d(saliency[:, None], side, stride=1, divisor_override=1)[:, 0]
    columns = sums.shape[2]
    places = [where(sums.flatten(1), 1) for where in (torch.argmin, torch.argmax)]
    least, most = (torch.stack((place // columns, place % columns), 1) for place in places)
    return least, most


def paste_windows(images: Tensor, grid: tuple[int, int], side: int, to: Tensor, source: Tensor, partner: Tensor) -> Mix:
    """Paste a window of the partner's tokens at another place.

    Args:
        images: (B, C, H, W), of whole patches.
        grid: (rows, columns) of tokens.
        side: of the window, in tokens.
        to: (B, 2) row and column of the window's top left in the image.
        source: (B, 2) likewise in the partner.
        partner: (B,).
    """
    rows, columns = (torch.arange(length, device=images.device) for length in grid)
    inside = [(axis >= to[:, i, None]) & (axis < to[:, i, None] + side) for i, axis in enumerate((rows, columns))]
    pasted = to_pixels(inside[0][:, :, None] & inside[1][:, None], images.shape[-2:])
    moved = images[partner]
    for axis, (length, tokens) in enumerate(zip(images.shape[-2:], grid, strict=True)):
        shift = (source - to)[:, axis, None] * (length // tokens)
        index = (torch.arange(length, device=images.device) + shift) % length
        index = index[:, None, :, None] if axis == 0 else index[:, None, None, :]
        moved = moved.gather(2 + axis, index.expand_as(moved))
    share = batch_share(side**2 / (grid[0] * grid[1]), images)
    return Mix(torch.where(pasted[:, None], moved, images), partner, share, pasted)


def loss(step: Step) -> Tensor:
    """The regions' and the consistency loss; nothing for a Mixup batch."""
    mix = step.mix
    if mix.pasted is None:
        return step.output.new_zeros(())
    patches = step.tokens[:, -step.kept["grid"].numel() :]
    inside = pasted_tokens(mix.pasted, step.kept["grid"])
    outside_logits, inside_logits = (step.head(mean_of(patches, mask)) for mask in (1 - inside, inside))
    regions = region_loss(
        outside_logits, inside_logits, step.labels, step.labels[mix.partner], step.num_classes, step.smoothing
    )
    return regions + consistency_loss(step.output, step.kept["logits"], mix.lam, mix.partner)


def mean_of(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of some tokens: (B, C) from (B, P, C) and a mask (B, P)."""
    return (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def region_loss(
    outside: Tensor, inside: Tensor, labels: Tensor, partner_labels: Tensor, num_classes: int, smoothing: float
) -> Tensor:
    """Half of the cross-entropies of the region outside the window with the own label, inside with the partner's."""
    own, partners = (mixed_targets(index, index, 0.0, num_classes, smoothing) for index in (labels, partner_labels))
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(outside.float(), own) + cross_entropy(inside.float(), partners)) / 2


def consistency_loss(output: Tensor, clean: Tensor, lam: Tensor, partner: Tensor) -> Tensor:
    """KL divergence of the prediction (B, K) from the softmax of the clean logits, mixed by `lam` (B,)."""
    mixed = torch.lerp(clean, clean[partner], lam[:, None])
    return torch.nn.functional.kl_div(output.log_softmax(1), mixed.softmax(1), reduction="batchmean")
