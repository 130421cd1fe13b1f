"""MaskMix: mix by a random mask of large cells, drawn for each image; label by area. MixPro without its labelling.

Zhao et al., ICLR 2023 (MixPro), arXiv 2304.12043. Source: fistyee/MixPro@53a229e, utils.py, configs/deit/*. Half of
the batches, the others are Mixup or CutMix as the policy draws them: ``share`` is the first half. lambda ~ Beta(1, 1)
once a batch says how many cells each image keeps, rounded up; which ones is drawn for each image. Partners are a
random permutation. Cells are whole patch tokens, four a side.

Where cells do not divide the grid, those at the border are cut, and the published code counts the label's share before
that: ``SET=as_published=true``. Here it is counted on the mask. The published DeiT configurations have patches of 14
pixels, so their numbers are not of DeiT's usual 16; as released their training cannot start (a missing import).
All three have progressive attention labelling switched off: they are this method, not `mixpro`.

Cost: nothing beside the paste. Expected: no number is published for it alone; see `mixpro`.
``make table2 METHODS=cutmix,maskmix``.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from transmix.common.lazy import np, torch
from transmix.common.ranges import Range
from transmix.methods import Method
from transmix.methods._draws import batch_share, draw_partners, draw_share, patch_grid, to_pixels
from transmix.methods._step import Step
from transmix.mixing import Mix, mix_batch, paste

if TYPE_CHECKING:
    from torch import Tensor

METHOD = Method(
    title="MaskMix",
    settings={},
    position=180,
    options={"share": 0.5, "cells": 4},
    ranges={"share": Range(0, 1), "cells": Range(2, 64)},  # of one cell nothing could be pasted
)


def mix(step: Step) -> Mix:
    """Random cells of the partner, or Mixup or CutMix."""
    if step.rng.random() >= step.options["share"]:
        return mix_batch(step.images, step.policy, step.rng)
    grid = patch_grid(step)
    tokens = ceil(max(grid) / step.options["cells"])
    cells, kept = cells_and_kept(grid, tokens, 1 - draw_share(step))
    orders = torch.from_numpy(step.rng.permuted(np.tile(np.arange(cells**2), (len(step.images), 1)), axis=1))
    pasted = ~kept_tokens(orders.to(step.images.device), kept, tokens, grid)
    lam = batch_share(1 - kept / cells**2, step.images) if step.as_published else None
    step.kept["pasted tokens"] = pasted
    return paste(step.images, to_pixels(pasted, step.images.shape[-2:]), draw_partners(step), lam)


def cells_and_kept(grid: tuple[int, int], tokens: int, share: float) -> tuple[int, int]:
    """Cells of so many tokens a side that the grid has a side, and how many an image keeps of its `share`."""
    cells = ceil(max(grid) / tokens)
    return cells, ceil(cells**2 * share)


def kept_tokens(orders: Tensor, kept: int, tokens: int, grid: tuple[int, int]) -> Tensor:
    """Which tokens stay the own image's: (B, rows, columns) bool.

    Args:
        orders: (B, cells^2), the cells of each image in the order in which they are kept.
        kept: how many.
        tokens: of a cell, on each side.
        grid: (rows, columns); cells that reach over its border are cut.
    """
    cells = int(orders.shape[1] ** 0.5)
    keep = torch.zeros_like(orders, dtype=torch.bool).scatter_(1, orders[:, :kept], True).unflatten(1, (cells, cells))
    whole = keep.repeat_interleave(tokens, 1).repeat_interleave(tokens, 2)
    return whole[:, : grid[0], : grid[1]]
