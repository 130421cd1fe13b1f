"""Attentive CutMix: keep the cells of an image that a trained network attends to, fill the rest with the partner.

Walawalkar et al., ICASSP 2020, arXiv 2003.13048. A frozen teacher's last feature map scores the cells of each image;
the best k stay, label by their share. ``variant=openmixup`` (AttentiveMix+, Westlake-AI/openmixup@37e1372,
models/augments/attentivemix.py; the default, for the ViT numbers are its): mean over channels, k by lambda ~
Beta(alpha, alpha) once a batch with alpha 2, at least one. Its documentation says Beta(alpha, 8), its code does not:
``SET=mix_options.beta=8``. ``variant=official`` (xden2331/attentive_cutmix@55e133e, attentive_transform.py): the last
channel alone, k 6.

Differs from both: the teacher is in eval mode (there BatchNorm sees batch statistics) and gets images as normalised
for it; the partner comes from the batch (official: from the whole set). A convolutional teacher's map is a CAM-like
grid of 7 x 7 at 224 pixels; a vision transformer's is its patch tokens. Teacher: a weights file,
``SET=teacher=resnet50:FILE``; by default the baseline of Table 1, by the same seed. A ResNet-50 of ImageNet makes
CIFAR numbers no longer from scratch.

Cost: a forward pass of the teacher. Expected: ImageNet top-1 of DeiT-T 74.07, DeiT-S 80.32, DeiT-B 82.42, PVT-T 74.98,
PVT-S 79.84 (openmixup, docs/en/mixup_benchmarks/Mixup_imagenet.md). ``make table2 METHODS=cutmix,attentivemix``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transmix.common.lazy import torch
from transmix.common.ranges import Range
from transmix.methods import Method
from transmix.methods._draws import draw_partners, in_place_of_cutmix, to_pixels
from transmix.methods._step import Step
from transmix.methods._teachers import feature_map
from transmix.mixing import Mix, paste

if TYPE_CHECKING:
    from torch import Tensor

METHOD = Method(
    title="Attentive CutMix",
    settings={"mixup_alpha": 0.0, "cutmix_alpha": 2.0},
    position=120,
    options={"variant": "openmixup", "beta": None, "top_k": None},
    choices={"variant": ("openmixup", "official")},
    ranges={"beta": Range(0.01, 100.0), "top_k": Range(1, 4096)},
    passes="a forward pass of a teacher",
    extra_passes=1,
    reads=("teacher",),
    published=("AttentiveMix+", "Attentive-CutMix"),
)


def mix(step: Step) -> Mix:
    """The best cells of each image, the rest from its partner."""
    return in_place_of_cutmix(step, _mix)


def _mix(step: Step) -> Mix:
    official = step.options["variant"] == "official"
    features = feature_map(step)
    scores = features[:, -1] if official else features.mean(1)
    alpha = step.policy.cutmix_alpha
    share = float(step.rng.beta(alpha, step.options["beta"] or alpha))
    partner, kept = draw_partners(step), cells_to_keep(scores[0].numel(), share, step.options["top_k"] or 6 * official)
    return paste(step.images, to_pixels(~best_cells(scores, kept), step.images.shape[-2:]), partner)


def cells_to_keep(cells: int, share: float, top_k: int | None = None) -> int:
    """How many cells of the own image stay: `top_k`, or else their `share`, rounded down, but at least one."""
    return min(max(1, top_k or int(cells * share)), cells)


def best_cells(scores: Tensor, kept: int) -> Tensor:
    """The cells with the highest scores, the first of equal ones: (B, rows, columns) bool, from scores like it."""
    order = scores.flatten(1).sort(dim=1, descending=True, stable=True).indices
    best = torch.zeros_like(scores.flatten(1), dtype=torch.bool)
    return best.scatter_(1, order[:, :kept], True).view_as(scores)
