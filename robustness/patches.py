"""What is done to the patches of an image before it is normalised: drop some (PatchDrop), or shuffle all.

Source: "Intriguing Properties of Vision Transformers" (Naseer et al., 2021), evaluate.py and utils.py of
Muzammal-Naseer/Intriguing-Properties @9aa9fea.

Shapes: B images (B, C, H, W) in [0, 1]; a grid of (rows, columns) patches, P = rows * columns, counted row by row;
``saliency`` (B, P), not negative. The functions that a sweep calls are pure: ``(images, severity, draws[, saliency])``
to images, with everything else bound before.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustness.draws import Draws

Grid = tuple[int, int]


def drop_random(images: Tensor, tenths: int, draws: Draws, grid: Grid, fill: str = "black") -> Tensor:
    """Drop `tenths`/10 of the patches, drawn at random."""
    patches = grid[0] * grid[1]
    dropped = first_patches(draws.permutation(patches), dropped_count(patches, tenths))
    return drop_patches(images, dropped.unflatten(1, grid), fill, draws)


def drop_salient(
    images: Tensor, tenths: int, draws: Draws, saliency: Tensor, grid: Grid, fill: str = "black", least: bool = False
) -> Tensor:
    """Drop `tenths`/10 of the patches, the most salient first (foreground), or with `least` the least salient."""
    order = salient_first(saliency, draws)
    order = order.flip(1) if least else order
    dropped = first_patches(order, dropped_count(order.shape[1], tenths))
    return drop_patches(images, dropped.unflatten(1, grid), fill, draws)


def drop_foreground(
    images: Tensor, tenths: int, draws: Draws, saliency: Tensor, grid: Grid, fill: str = "black", keep: bool = False
) -> Tensor:
    """Drop the foreground, as published: `tenths`/10 is a share of saliency, not of patches. `keep` drops the rest."""
    dropped = foreground(saliency, tenths / 10) ^ keep
    return drop_patches(images, dropped.unflatten(1, grid), fill, draws)


def shuffle(images: Tensor, cells: Grid, draws: Draws) -> Tensor:
    """Cut each image into (rows, columns) cells and put them back in a random order."""
    blocks = _cells(images, cells)  # (B, C, rows, h, columns, w)
    flat = blocks.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = draws.permutation(flat.shape[1])
    moved = flat[torch.arange(len(flat), device=flat.device)[:, None], order]
    return moved.unflatten(1, cells).permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


def dropped_count(patches: int, tenths: int) -> int:
    """How many patches a ratio of `tenths`/10 drops: rounded down, as published (19 of 196 at 0.1)."""
    return patches * tenths // 10


def first_patches(order: Tensor, count: int) -> Tensor:
    """A mask (B, P) bool of the first `count` patches of each row's order (B, P)."""
    mask = torch.zeros(order.shape, dtype=torch.bool, device=order.device)
    return mask.scatter_(1, order[:, :count], True)


def salient_first(saliency: Tensor, draws: Draws) -> Tensor:
    """(B, P): each image's patches from the most to the least salient, equal ones in a random order."""
    patches = draws.permutation(saliency.shape[1])
    ranks = saliency.gather(1, patches).argsort(dim=1, descending=True, stable=True)
    return patches.gather(1, ranks)


def foreground(saliency: Tensor, share: float) -> Tensor:
    """A mask (B, P) bool of the fewest patches that hold `share` of an image's saliency."""
    values, order = saliency.double().sort(dim=1, descending=True, stable=True)
    above = values.cumsum(1) - values  # the saliency of all patches before this one
    inside = above < (share - 1e-12) * values.sum(1, True)  # rounding must not add a patch
    return torch.zeros_like(order, dtype=torch.bool).scatter_(1, order, inside)


def drop_patches(images: Tensor, mask: Tensor, fill: str = "black", draws: Draws | None = None) -> Tensor:
    """Paint the masked patches over; `images` is left as it was.

    Args:
        images: (B, C, H, W) in [0, 1]; H and W are multiples of the grid.
        mask: (B, rows, columns) bool, True where a patch is dropped.
        fill: ``black``; ``mean``, each image's mean colour; or ``noise``, uniform in each pixel and channel.
        draws: for noise.

    Raises:
        ValueError: the image is not a whole number of patches.
    """
    blocks = _cells(images, mask.shape[1:])
    mask = mask[:, None, :, None, :, None]
    if fill == "black":
        return (blocks * ~mask).view(images.shape)
    paint = draws.uniform(*blocks.shape[1:]) if fill == "noise" else blocks.mean((2, 3, 4, 5), keepdim=True)
    return torch.where(mask, paint, blocks).view(images.shape)


def _cells(images: Tensor, grid: Grid) -> Tensor:
    """A view of (B, C, H, W) as (B, C, rows, h, columns, w)."""
    (height, width), (rows, columns) = images.shape[-2:], grid
    if height % rows or width % columns:
        raise ValueError(f"a {height} x {width} image does not divide into {rows} x {columns} patches")
    return images.unflatten(3, (columns, -1)).unflatten(2, (rows, -1))
