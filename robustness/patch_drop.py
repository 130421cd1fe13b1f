"""PatchDrop: black out patches of an image, before normalisation. Pure functions.

Source of the protocol: "Intriguing Properties of Vision Transformers" (Naseer et al., 2021), evaluate.py.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def dropped_count(patches: int, tenths: int) -> int:
    """How many patches a ratio of `tenths`/10 drops: rounded down, as published (19 of 196 at 0.1)."""
    return patches * tenths // 10


def random_patches(rng: np.random.Generator, grid: tuple[int, int], count: int) -> Tensor:
    """A mask of the patches to drop: (rows, columns) bool with `count` ones."""
    rows, columns = grid
    mask = torch.zeros(rows * columns, dtype=torch.bool)
    mask[torch.from_numpy(rng.choice(rows * columns, size=count, replace=False))] = True
    return mask.view(rows, columns)


def drop_patches(images: Tensor, mask: Tensor) -> Tensor:
    """Set the masked patches to black; `images` is left as it was.

    Args:
        images: (B, C, H, W), pixels before normalisation; H and W are multiples of the grid.
        mask: (rows, columns) bool, for all images, or (B, rows, columns).

    Raises:
        ValueError: the image is not a whole number of patches.
    """
    height, width = images.shape[-2:]
    rows, columns = mask.shape[-2:]
    if height % rows or width % columns:
        raise ValueError(f"a {height} x {width} image does not divide into {rows} x {columns} patches")
    pixels = mask.repeat_interleave(height // rows, -2).repeat_interleave(width // columns, -1)
    return images.masked_fill(pixels.to(images.device)[..., None, :, :], 0)
