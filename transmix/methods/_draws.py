"""What several methods share: when they mix, whom with whom, on which grid. Every draw is from the step's generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from transmix.common.lazy import torch
from transmix.methods._step import Step
from transmix.mixing import Mix, mixup, unmixed

if TYPE_CHECKING:
    from torch import Tensor


def in_place_of_cutmix(step: Step, own: Callable[[Step], Mix]) -> Mix:
    """Mix as the recipe's policy says, a method's `own` mixing where CutMix would be.

    A batch is mixed with probability ``mix_prob``; then by Mixup with probability ``1 - switch_prob``, unless
    ``mixup_alpha`` is 0.
    """
    policy, rng = step.policy, step.rng
    if rng.random() >= policy.prob:
        return unmixed(step.images)
    if policy.mixup_alpha > 0 and rng.random() >= policy.switch_prob:
        return mixup(step.images, float(rng.beta(policy.mixup_alpha, policy.mixup_alpha)))
    return own(step)


def draw_share(step: Step) -> float:
    """A share drawn from Beta(``cutmix_alpha``, ``cutmix_alpha``), the method's alpha."""
    return float(step.rng.beta(step.policy.cutmix_alpha, step.policy.cutmix_alpha))


def draw_partners(step: Step) -> Tensor:
    """(B,): a random permutation of the batch; an image may be its own partner."""
    return torch.from_numpy(step.rng.permutation(len(step.images))).to(step.images.device)


def patch_grid(step: Step) -> tuple[int, int]:
    """(rows, columns) of the student's patch tokens."""
    from transmix.attention import token_grid

    return token_grid(step.model)


def to_pixels(cells: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Cells (B, rows, columns) as pixels (B, H, W): a pixel takes the value of the cell that it lies in."""
    (rows, columns), (height, width) = cells.shape[-2:], image_size
    row = torch.arange(height, device=cells.device) * rows // height
    column = torch.arange(width, device=cells.device) * columns // width
    return cells[:, row[:, None], column]


def batch_share(lam: float, images: Tensor) -> Tensor:
    """One share for the whole batch: (B,) float32."""
    return torch.full((len(images),), lam, dtype=torch.float32, device=images.device)
