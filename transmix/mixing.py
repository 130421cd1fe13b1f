"""Mix a batch with its partners: CutMix and Mixup as drawn by timm and the official TransMix code.

Every random draw can be passed in instead, so a test or a picture can ask for exactly one box.
Lambda is the partner's share throughout (see `transmix.labels`). Imports without torch, for declarations of methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transmix.common.lazy import np, torch
from transmix.labels import Box, area_share, box_mask

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Mix:
    """A mixed batch and how it came about.

    Attributes:
        images: (B, C, H, W), mixed.
        partner: (B,) index into the batch of the image that was pasted or blended in.
        lam: (B,) float32, the partner's share by pixels: area of what was pasted, or Mixup's blend; 0 if not mixed.
        pasted: (B, H, W) bool, the pixels that come from the partner; it may be one mask, expanded. None for Mixup and
            for a batch that was not mixed: there is no region whose attention could be read.
    """

    images: Tensor
    partner: Tensor
    lam: Tensor
    pasted: Tensor | None = None


@dataclass(frozen=True)
class MixPolicy:
    """How a batch is mixed, in timm's terms.

    Attributes:
        mixup_alpha: Beta parameter of Mixup; 0 switches it off.
        cutmix_alpha: Beta parameter of CutMix; 0 switches it off.
        prob: probability that a batch is mixed at all.
        switch_prob: probability of CutMix where both are on.
    """

    mixup_alpha: float = 0.8
    cutmix_alpha: float = 1.0
    prob: float = 1.0
    switch_prob: float = 0.5


def mirror(batch_size: int, device: torch.device | str | None = None) -> Tensor:
    """The official pairing, image i with image N-1-i; the middle one of an odd batch is its own partner."""
    return torch.arange(batch_size - 1, -1, -1, device=device)


def draw_box(rng: np.random.Generator, image_size: tuple[int, int], lam: float) -> Box:
    """A rectangle with sides ``sqrt(lam)`` of the image's, uniform centre, clipped at the border (timm's draw)."""
    height, width = image_size
    ratio = np.sqrt(lam)
    cut_h, cut_w = int(height * ratio), int(width * ratio)
    cy, cx = int(rng.integers(height)), int(rng.integers(width))
    return Box(
        y1=max(cy - cut_h // 2, 0),
        y2=min(cy + (cut_h + 1) // 2, height),
        x1=max(cx - cut_w // 2, 0),
        x2=min(cx + (cut_w + 1) // 2, width),
    )


def cutmix(images: Tensor, box: Box, partner: Tensor | None = None) -> Mix:
    """Paste the partners' pixels inside `box`. `images` is left as it was."""
    y1, y2, x1, x2 = box
    mixed = images.clone()
    mixed[:, :, y1:y2, x1:x2], partner = _partners(images[:, :, y1:y2, x1:x2], partner)
    pasted = box_mask(box, images.shape[-2:], images.device).expand(len(images), -1, -1)
    return Mix(mixed, partner, _one_for_all(area_share(box, images.shape[-2:]), images), pasted)


def paste(images: Tensor, pasted: Tensor, partner: Tensor | None = None, lam: Tensor | None = None) -> Mix:
    """Paste the partners' pixels where a mask says so, a mask for each image or one for all.

    Args:
        images: (B, C, H, W); left as they were.
        pasted: (B, H, W) or (H, W) bool, what comes from the partner.
        partner: (B,); by default `mirror`.
        lam: (B,) float32, the partner's share; by default the mask's mean.
    """
    others, partner = _partners(images, partner)
    pasted = pasted.expand(len(images), -1, -1)
    mixed = torch.where(pasted[:, None], others, images)
    return Mix(mixed, partner, pasted.float().mean((1, 2)) if lam is None else lam, pasted)


def mixup(images: Tensor, lam: float, partner: Tensor | None = None) -> Mix:
    """Blend ``(1 - lam) * image + lam * partner``."""
    others, partner = _partners(images, partner)
    return Mix(images.lerp(others, lam), partner, _one_for_all(lam, images))


def unmixed(images: Tensor) -> Mix:
    """The batch as it is."""
    return Mix(images, mirror(len(images), images.device), _one_for_all(0.0, images))


def _partners(images: Tensor, partner: Tensor | None) -> tuple[Tensor, Tensor]:
    """A copy of each image's partner, and its index; by default the mirror's, which is the faster to look up."""
    if partner is None:
        return images.flip(0), mirror(len(images), images.device)
    return images[partner], partner


def _one_for_all(lam: float, images: Tensor) -> Tensor:
    return torch.full((len(images),), lam, dtype=torch.float32, device=images.device)


def mix_batch(images: Tensor, policy: MixPolicy, rng: np.random.Generator) -> Mix:
    """Draw Mixup, CutMix or neither for the whole batch, one lambda and one box, and apply it.

    Args:
        images: (B, C, H, W).
        policy: what may be drawn.
        rng: the only source of randomness.
    """
    both = policy.mixup_alpha > 0 and policy.cutmix_alpha > 0
    mixes = (policy.mixup_alpha > 0 or policy.cutmix_alpha > 0) and rng.random() < policy.prob
    if not mixes:
        return unmixed(images)
    use_cutmix = rng.random() < policy.switch_prob if both else policy.cutmix_alpha > 0
    alpha = policy.cutmix_alpha if use_cutmix else policy.mixup_alpha
    lam = float(rng.beta(alpha, alpha))  # symmetric, so kept and pasted shares have the same distribution
    if use_cutmix:
        return cutmix(images, draw_box(rng, images.shape[-2:], lam))
    return mixup(images, lam)
