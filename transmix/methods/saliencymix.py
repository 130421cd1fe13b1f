"""SaliencyMix: paste a box around the most salient point of the partner, where it was; label by area.

Uddin et al., ICLR 2021, arXiv 2006.01791. Source: afm-shahab-uddin/SaliencyMix@9ee02b8,
SaliencyMix_CIFAR/saliencymix.py (openmixup draws the same box). Sides are sqrt(lambda) of the image's, lambda ~
Beta(alpha, alpha) once a batch, the box is clipped at the border; partners are a random permutation. Its own code
mixes half of CIFAR's batches (``SET=mix_prob=.5``) and all of ImageNet's, without smoothing.

Whose saliency: each pair has a box by its own partner, as the paper describes. The published code makes one box, by the
partner of image 0, and uses it for the whole batch: ``SET=as_published=true``.
Which saliency: the code calls OpenCV's StaticSaliencyFineGrained, which only its contrib packages have. Here stands in
what that implements, by its paper (Montabone and Soto 2010): on and off differences between a pixel and its surround at
six sizes, from sums over boxes. It differs in rounding (none before the end), in that the surround is the whole window
without its middle at the border, too, and in that it is given grey values of 0 to 255, where the code gives OpenCV
normalised floats, on which its peak is close to chance. Compared with OpenCV 5.0.0 on 20 scenes of 64 and of 224
pixels: of the same grey values both maps correlate by .89 and .995, their peaks are within a sixteenth of the image in
9 and 17, and the boxes overlap by 57 and 86 % (intersection over union, halves and quarters of the image); of
normalised floats, as the code gives them, OpenCV's map correlates by .01 with this one, and no peak is near.

Cost: one map of an image each, no pass. Expected: ImageNet top-1 of DeiT-T 74.17, DeiT-S 79.88, DeiT-B 80.72, PVT-T
75.71, PVT-S 79.69 with alpha .2 (``SET=cutmix_alpha=.2``; openmixup, docs/en/mixup_benchmarks/Mixup_imagenet.md), below
CutMix there but for PVT. ``make table2 METHODS=cutmix,saliencymix``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transmix.common.lazy import torch
from transmix.labels import Box, box_mask
from transmix.methods import Method
from transmix.methods._draws import draw_partners, draw_share, in_place_of_cutmix
from transmix.methods._step import Step
from transmix.mixing import Mix, paste

if TYPE_CHECKING:
    from torch import Tensor

METHOD = Method(
    title="SaliencyMix",
    settings={"mixup_alpha": 0.0},
    position=110,
    passes="a saliency map of each image",
    published=("SaliencyMix",),
)
SURROUNDS = (12, 24, 48, 28, 56, 112)  # half widths in pixels, OpenCV's


def mix(step: Step) -> Mix:
    """A box by each pair's own saliency, or one for the batch as published."""
    return in_place_of_cutmix(step, _mix)


def _mix(step: Step) -> Mix:
    partner, kept = draw_partners(step), 1 - draw_share(step)
    looked_at = step.images[partner[:1] if step.as_published else partner]
    size = step.images.shape[-2:]
    boxes = [salient_box(saliency, kept) for saliency in fine_grained_saliency(looked_at)]
    return paste(step.images, torch.stack([box_mask(box, size, step.images.device) for box in boxes]), partner)


def salient_box(saliency: Tensor, kept: float) -> Box:
    """The box around the peak of a map.

    Args:
        saliency: (H, W) in [0, 1]; counted in 256 steps, and of equal peaks the first in reading order is taken.
        kept: share of the image that the box should leave; half sides are rounded down, so that it leaves a bit more.
    """
    height, width = saliency.shape
    levels = (saliency * 255).to(torch.uint8).flatten()
    peak = int((levels == levels.max()).nonzero()[0])
    half_height, half_width = (int(side * (1 - kept) ** 0.5) // 2 for side in (height, width))
    row, column = divmod(peak, width)
    return Box(
        y1=max(row - half_height, 0),
        y2=min(row + half_height, height),
        x1=max(column - half_width, 0),
        x2=min(column + half_width, width),
    )


def fine_grained_saliency(images: Tensor) -> Tensor:
    """How much pixels differ from their surrounds: (B, H, W) in [0, 1], from images (B, C, H, W) of any range.

    Grey values of 0 to 255 (each image's own range) against the mean of windows around them. Differences upwards and
    downwards are summed over `SURROUNDS`, each sum is brought to 1 at its maximum, and so is the sum of both.
    """
    grey = images.float().mean(1)
    low, high = grey.amin((1, 2), keepdim=True), grey.amax((1, 2), keepdim=True)
    grey = ((grey - low) / (high - low).clamp(min=1e-12) * 255).round().long()  # whole numbers: sums have no order
    sums = torch.nn.functional.pad(grey, (1, 0, 1, 0)).cumsum(1).cumsum(2)
    on = off = torch.zeros_like(grey, dtype=torch.float64)
    for half in SURROUNDS:
        difference = grey - _surround(sums, grey, half)
        on, off = on + difference.clamp(min=0), off + (-difference).clamp(min=0)
    return _to_one(_to_one(on) + _to_one(off)).float()


def _surround(sums: Tensor, grey: Tensor, half: int) -> Tensor:
    """Mean of the window around each pixel, without the pixel and without what lies outside the image."""
    height, width = grey.shape[-2:]
    rows, columns = (torch.arange(side, device=grey.device) for side in (height, width))
    top, bottom = (rows - half).clamp(min=0), (rows + half + 1).clamp(max=height)
    left, right = (columns - half).clamp(min=0), (columns + half + 1).clamp(max=width)
    bottom_rows, top_rows = sums[:, bottom], sums[:, top]
    total = bottom_rows[:, :, right] - bottom_rows[:, :, left] - top_rows[:, :, right] + top_rows[:, :, left]
    count = (bottom - top)[:, None] * (right - left)
    return (total - grey).double() / (count - 1).clamp(min=1)


def _to_one(values: Tensor) -> Tensor:
    return values / values.amax((1, 2), keepdim=True).clamp(min=1e-12)
