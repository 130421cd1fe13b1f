"""TokenMix: paste blocks of patch tokens; label by how much of each class a teacher sees in its part.

Liu et al., ECCV 2022, arXiv 2207.08409. Source: Sense-X/TokenMix@0e17d5d, tokenmix.py, engine.py. Half of the batches
are Mixup (``switch_prob``), half TokenMix: rectangles are pasted until .5 of the tokens and a fourteenth more are
covered (112 of 196), partner i with N-1-i, one mask a batch. Label maps say where an image's class is; the own share
is what of its map is left, the partner's what of its map is pasted. They need not sum to one, and neither do the
targets. ``SET=mix_options.blocks=false`` pastes single tokens at random.

The published code makes label maps offline, on whole images, by NFNet-F6 at 576 pixels, and gives an image whose
share is below smoothing/2 a negative target (``SET=as_published=true``). Here no class gets less than the smoothing,
and the teacher (``SET=teacher=NAME:FILE``, or by default the baseline of Table 1) reads the augmented crop itself:
its classifier at each place of its last feature map, among the five best classes as there. The grid is the student's,
where the code has 14 x 14. Its BCE loss is not offered. openmixup's method of this name is another one, without a
teacher, and weights the images the wrong way round; it is not built.

Cost: a forward pass of the teacher on TokenMix batches. Expected: ImageNet top-1 of DeiT-T 73.2, DeiT-S 80.8, DeiT-B
82.9 (Sense-X/TokenMix README). ``make table2 METHODS=cutmix,tokenmix``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, sqrt
from typing import TYPE_CHECKING

from transmix.common.lazy import torch
from transmix.common.ranges import Range
from transmix.labels import pasted_tokens
from transmix.methods import Method
from transmix.methods._draws import in_place_of_cutmix, patch_grid, to_pixels
from transmix.methods._step import Step
from transmix.methods._teachers import class_maps
from transmix.mixing import Mix, paste

if TYPE_CHECKING:
    from torch import Tensor

METHOD = Method(
    title="TokenMix",
    settings={},
    position=160,
    options={"kept": 0.5, "blocks": True},
    ranges={"kept": Range(0, 1)},
    passes="a forward pass of a teacher on half of the batches",
    extra_passes=0.5,
    reads=("teacher",),
    published=("TokenMix",),
)
ASPECTS = (0.3, 1 / 0.3)  # of blocks, height over width
ATTEMPTS = 10  # at a block, before the mask stays as it is


def mix(step: Step) -> Mix:
    """Blocks of tokens from the mirrored batch, or Mixup."""
    return in_place_of_cutmix(step, _mix)


def _mix(step: Step) -> Mix:
    rng, (rows, columns) = step.rng, patch_grid(step)
    target = tokens_to_paste(rows * columns, step.options["kept"], rows * columns // 14)
    if step.options["blocks"]:
        mask = block_mask((rows, columns), target, lambda low, high: float(rng.uniform(low, high)), rng.integers)
    else:
        mask = torch.zeros(rows * columns, dtype=torch.bool)
        mask[torch.from_numpy(rng.permutation(rows * columns)[:target])] = True
        mask = mask.view(rows, columns)
    pasted = to_pixels(mask.to(step.images.device)[None], step.images.shape[-2:])
    step.kept["label maps"] = class_maps(step)
    return paste(step.images, pasted)


def lam(step: Step) -> Tensor:
    """The partner's part of all that the label maps show, (B,); the pasted area where they show nothing."""
    own, pasted = _shares(step)
    return torch.where(own + pasted > 0, pasted / (own + pasted).clamp(min=1e-12), step.mix.lam)


def targets(step: Step) -> Tensor:
    """Both shares as they are, (B, K): see the card."""
    labels = step.labels, step.labels[step.mix.partner]
    return share_targets(*labels, *_shares(step), step.num_classes, step.smoothing, step.as_published)


def _shares(step: Step) -> tuple[Tensor, Tensor]:
    grid = patch_grid(step)
    maps = torch.nn.functional.interpolate(step.kept["label maps"][:, None], grid, mode="bilinear")[:, 0]
    return map_shares(maps, pasted_tokens(step.mix.pasted, grid).view(-1, *grid), step.mix.partner)


def tokens_to_paste(tokens: int, kept: float, least: int) -> int:
    """How many tokens the partner should have: its share of them and `least` more."""
    return min(tokens, int((1 - kept) * tokens) + least)


def block_mask(
    grid: tuple[int, int], target: int, uniform: Callable[[float, float], float], integer: Callable[[int, int], int]
) -> Tensor:
    """Rectangles of tokens until `target` are covered, or `ATTEMPTS` at another one fail: (rows, columns) bool.

    Args:
        grid: (rows, columns).
        target: how many tokens should be covered.
        uniform: draws a number between two; of each attempt first the area, then the logarithm of the aspect.
        integer: draws a whole number from the first up to, without, the second: the top, then the left of a block that
            is smaller than the grid.
    """
    mask, failed = torch.zeros(grid, dtype=torch.bool), 0
    while (left := target - int(mask.sum())) > 0 and failed < ATTEMPTS:
        area, aspect = uniform(1, left), exp(uniform(log(ASPECTS[0]), log(ASPECTS[1])))
        height, width = round(sqrt(area * aspect)), round(sqrt(area / aspect))
        failed += 1
        if height >= grid[0] or width >= grid[1]:
            continue
        y, x = int(integer(0, grid[0] - height + 1)), int(integer(0, grid[1] - width + 1))
        block = mask[y : y + height, x : x + width]
        if 0 < block.numel() - int(block.sum()) <= left:
            block.fill_(True)
            failed = 0
    return mask


def map_shares(maps: Tensor, pasted: Tensor, partner: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) each: what of the own map is left, and what of the partner's map is pasted.

    Args:
        maps: (B, rows, columns), where each image's class is, not negative; an empty one gives shares of 0.
        pasted: (B, rows, columns) or one for all, 1 where pasted.
        partner: (B,).
    """
    maps = maps / (maps.sum((1, 2), keepdim=True) + 1e-8)
    return (maps * (1 - pasted)).sum((1, 2)), (maps[partner] * pasted).sum((1, 2))


def share_targets(
    labels: Tensor,
    partner_labels: Tensor,
    own: Tensor,
    pasted: Tensor,
    num_classes: int,
    smoothing: float,
    as_published: bool = False,
) -> Tensor:
    """Targets (B, K) from two shares, half of the smoothing taken off each.

    A share below that leaves its class with as much as any other; as published, with less than nothing.
    """
    off = smoothing / (2 * num_classes)
    targets = torch.full((len(labels), num_classes), 2 * off, device=labels.device)
    for index, share in ((labels, own), (partner_labels, pasted)):
        over = share - smoothing / 2  # what the class gets beyond all others
        over = over if as_published else over.clamp(min=0)
        targets.scatter_add_(1, index.long()[:, None], over.float()[:, None])
    return targets
