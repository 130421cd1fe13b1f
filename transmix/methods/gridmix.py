"""GridMix: paste the partner through a grid of holes; label by area.

Baek et al., Pattern Recognition 109, 2021. Source: IlyaDobrynin/GridMixup@11b741f, gridmix/gridmix_pytorch.py, and
Westlake-AI/openmixup@37e1372, models/augments/gridmix.py, whose masks are the same for the same numbers. A crop of the
image is divided into cells, each has a hole of sqrt(lambda) of its sides at its top left, at least a pixel and less
than the cell. One mask a batch, partners are a random permutation.
``variant=openmixup`` (the default, its ViT configs): lambda ~ Beta(alpha, alpha), 2 to 6 holes across, crops of half to
all of the image with heights of .5 to 2 widths. ``variant=official``: kept share ~ U(.1, .9), 20 holes, no crop.

In the code a crop may be larger than the image (in 56 % of openmixup's draws) and its negative start then counts from
the other end: ``SET=as_published=true``. Here it ends where the image does. Fewer holes are drawn where a cell would
be narrower than two pixels, an error in the code. Cost: nothing beside the paste. Expected: CIFAR-100 top-1 of DeiT-S
68.86 after 200 epochs, 74.96 after 600, against CutMix's 74.12 and 79.54 (openmixup,
docs/en/mixup_benchmarks/Mixup_cifar.md). ``make table2 METHODS=cutmix,gridmix``.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

from transmix.common.lazy import torch
from transmix.methods import Method
from transmix.methods._draws import draw_partners, draw_share, in_place_of_cutmix
from transmix.methods._step import Step
from transmix.mixing import Mix, paste

if TYPE_CHECKING:
    from torch import Tensor

METHOD = Method(
    title="GridMix",
    settings={"mixup_alpha": 0.0},
    position=150,
    options={"variant": "openmixup"},
    choices={"variant": ("openmixup", "official")},
    published=("GridMix",),
)


def mix(step: Step) -> Mix:
    """One grid of holes for the batch."""
    return in_place_of_cutmix(step, _mix)


def _mix(step: Step) -> Mix:
    rng, size = step.rng, step.images.shape[-2:]
    if step.options["variant"] == "official":
        lam, holes, area, aspect = 1 - float(rng.uniform(0.1, 0.9)), 20, 1.0, 1.0
    else:
        lam, holes = draw_share(step), int(rng.integers(2, 7))
        area, aspect = float(rng.uniform(0.5, 1)), float(rng.uniform(0.5, 2))
    corner = (float(rng.random()), float(rng.random()))
    pasted = grid_of_holes(size, lam, holes, area, aspect, corner, as_published=step.as_published)
    return paste(step.images, pasted.to(step.images.device), draw_partners(step))


def grid_of_holes(
    size: tuple[int, int],
    lam: float,
    holes: int,
    area: float,
    aspect: float,
    corner: tuple[float, float],
    hole_aspect: float = 1.0,
    as_published: bool = False,
) -> Tensor:
    """Where holes are: (H, W) bool.

    Args:
        size: (H, W).
        lam: share of a cell that its hole should have.
        holes: cells across.
        area: share of the image that the crop should have.
        aspect: height of the crop over its width.
        corner: (vertical, horizontal) place of the crop, from 0, at the top left, to 1.
        hole_aspect: height of a cell over its width.
        as_published: crops larger than the image wrap around.
    """
    crop_width = int(sqrt(int(size[0] * size[1] * area) / aspect))
    crop_height = int(crop_width * aspect)
    if not as_published:
        crop_height, crop_width = min(crop_height, size[0]), min(crop_width, size[1])
        holes = max(1, min(holes, crop_width // 2))
    top, left = int((size[0] - crop_height) * corner[0]), int((size[1] - crop_width) * corner[1])
    cell_width = ceil(crop_width / holes)
    cell_height = int(cell_width * hole_aspect)
    hole_height, hole_width = (min(max(int(side * sqrt(lam)), 1), side - 1) for side in (cell_height, cell_width))
    mask = torch.zeros(size, dtype=torch.bool)
    for y in range(0, crop_height, cell_height):
        for x in range(0, crop_width, cell_width):
            bottom, right = min(y + hole_height, crop_height), min(x + hole_width, crop_width)
            mask[top + y : top + bottom, left + x : left + right] = True
    return mask
