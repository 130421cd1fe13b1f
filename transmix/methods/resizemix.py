"""ResizeMix: paste the whole partner, made small; label by area.

Qin et al., 2020, arXiv 2012.11101. ``variant=official`` (JayQine/ResizeMix@45441ff, run_apis/trainer.py and
tools/utils.py; the default): scale tau ~ U(.1, .8) once a batch, nearest sampling, a place for each image, shifted
inside so that all of the partner is seen; 23.9 % of the pixels on average. ``variant=openmixup``
(Westlake-AI/openmixup@37e1372, models/augments/resizemix.py, with ``use_alpha`` as its ViT configs have it): one
place a batch, the box clipped at the border and the whole partner squeezed into what is left; 17.2 %. The ViT numbers
are of the latter; its CIFAR ViT configs sample bilinearly (``SET=mix_options.interpolation=bilinear``). Partners are
a random permutation.

Pasted pixels are resampled: they are not those of the partner at that place.
Cost: nothing beside the paste. Expected: ImageNet top-1 of DeiT-T 74.79, DeiT-S 78.61, DeiT-B 80.89, PVT-T 76.05, PVT-S
79.55 (openmixup, docs/en/mixup_benchmarks/Mixup_imagenet.md). ``make table2 METHODS=cutmix,resizemix``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transmix.common.lazy import torch
from transmix.common.ranges import Range
from transmix.labels import Box
from transmix.methods import Method
from transmix.methods._draws import draw_partners, in_place_of_cutmix
from transmix.methods._step import Step
from transmix.mixing import Mix

if TYPE_CHECKING:
    from torch import Tensor

METHOD = Method(
    title="ResizeMix",
    settings={"mixup_alpha": 0.0},
    position=140,
    options={"variant": "official", "smallest": 0.1, "largest": 0.8, "interpolation": "nearest"},
    choices={"variant": ("official", "openmixup"), "interpolation": ("nearest", "bilinear")},
    published=("ResizeMix",),
    ranges={"smallest": Range(0.01, 1), "largest": Range(0.01, 1)},
)


def mix(step: Step) -> Mix:
    """The partners made small and pasted, each at a place of its own or all at one."""
    return in_place_of_cutmix(step, _mix)


def _mix(step: Step) -> Mix:
    images, rng, options = step.images, step.rng, step.options
    size = images.shape[-2:]
    tau = float(rng.uniform(options["smallest"], options["largest"]))
    partner = draw_partners(step)
    if options["variant"] == "openmixup":
        box = clipped_box(size, tau, (int(rng.integers(size[0])), int(rng.integers(size[1]))))
        small, boxes = squeezed(images, box, options["interpolation"]), [box] * len(images)
    else:
        small = shrunk(images, tau, options["interpolation"])
        centres = rng.integers((0, 0), size, (len(images), 2)).tolist()
        boxes = [box_inside(size, small.shape[-2:], centre) for centre in centres]
    return paste_small(images, small, boxes, partner)


def shrunk(images: Tensor, tau: float, interpolation: str = "nearest") -> Tensor:
    """Images at a scale; nearest sampling takes pixel ``floor(i / tau)`` for pixel i, as the scale itself asks."""
    scale = max(tau, 1 / min(images.shape[-2:]))  # a pixel is left
    return torch.nn.functional.interpolate(images, scale_factor=scale, mode=interpolation)


def squeezed(images: Tensor, box: Box, interpolation: str = "nearest") -> Tensor:
    """Images at the size of a box."""
    return torch.nn.functional.interpolate(images, (box.y2 - box.y1, box.x2 - box.x1), mode=interpolation)


def box_inside(size: tuple[int, int], small: tuple[int, int], centre: tuple[int, int]) -> Box:
    """A box as large as the small image around a centre, shifted so that it lies in the image."""
    y1, x1 = (
        min(max(middle - extent // 2, 0), side - extent)
        for side, extent, middle in zip(size, small, centre, strict=True)
    )
    return Box(y1, y1 + small[0], x1, x1 + small[1])


def clipped_box(size: tuple[int, int], tau: float, centre: tuple[int, int]) -> Box:
    """A box of `tau` times the sides, made even, around a centre, clipped at the border."""
    (y1, y2), (x1, x2) = (
        (max(middle - half, 0), min(middle + half, side))
        for side, middle, half in zip(size, centre, (max(int(side * tau) // 2, 1) for side in size), strict=True)
    )
    return Box(y1, y2, x1, x2)


def paste_small(images: Tensor, small: Tensor, boxes: list[Box], partner: Tensor) -> Mix:
    """Paste ``small[partner[i]]`` into box i of image i."""
    mixed = images.clone()
    pasted = torch.zeros_like(images[:, 0], dtype=torch.bool)
    for i, (box, other) in enumerate(zip(boxes, partner.tolist(), strict=True)):
        mixed[i, :, box.y1 : box.y2, box.x1 : box.x2] = small[other]
        pasted[i, box.y1 : box.y2, box.x1 : box.x2] = True
    return Mix(mixed, partner, pasted.float().mean((1, 2)), pasted)
