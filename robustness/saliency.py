"""Where the foreground of an image is: saliency maps on a grid of patches, from three sources.

A source is called with the model that is evaluated, clean images in [0, 1] and their indices; it returns (B, P).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.protocols import SALIENT, Sweep
from experiments.trained import TrainedModel
from robustness.masks import check_masks, open_masks
from robustness.patches import Grid
from transmix.attention import ClassAttention, token_grid
from transmix.common.errors import UserError
from transmix.data.objects import ObjectMasks, masks_beside
from transmix.data.sources import Images
from transmix.training.precision import autocast

DINO_HEAD = 1  # of its last block: the one that the published script reads


class Saliency(Protocol):
    """A source of saliency maps."""

    def __call__(self, trained: TrainedModel, images: Tensor, indices: Sequence[int]) -> Tensor:
        """(B, P) of clean images (B, C, H, W) in [0, 1], not negative."""


class OwnAttention:
    """The evaluated model's own class attention, mean over heads."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def __call__(self, trained: TrainedModel, images: Tensor, indices: Sequence[int]) -> Tensor:
        """As `Saliency`: where the model itself looks."""
        return self.with_logits(trained, images)[0]

    def with_logits(self, trained: TrainedModel, images: Tensor) -> tuple[Tensor, Tensor]:
        """The maps (B, P), and what the pass that they are read from says about the images (B, K)."""
        return attention_maps(trained.model, trained, images, self.grid, None)


class DinoAttention:
    """One head of a DINO ViT-S/16, which sees the images normalised for the evaluated model, as published."""

    def __init__(self, dino: nn.Module, grid: Grid) -> None:
        self.dino, self.grid = dino, grid

    def __call__(self, trained: TrainedModel, images: Tensor, indices: Sequence[int]) -> Tensor:
        """As `Saliency`: where DINO looks, whatever the model."""
        return attention_maps(self.dino, trained, images, self.grid, DINO_HEAD)[0]


class Objects:
    """The share of each patch that the labelled object covers, from masks in the data."""

    def __init__(self, masks: ObjectMasks, grid: Grid) -> None:
        self.masks, self.grid = masks, grid

    def __call__(self, trained: TrainedModel, images: Tensor, indices: Sequence[int]) -> Tensor:
        """As `Saliency`: the share of each patch that the object covers."""
        objects = torch.stack([self.masks[index] for index in indices])
        return on_grid(objects.to(images.device).float(), self.grid)


def find_saliency(
    sweep: Sweep,
    trained: TrainedModel,
    images: Images,
    grid: Grid,
    dino: nn.Module | None = None,
    masks: Path | None = None,
) -> Saliency | None:
    """The source of saliency that the sweep names; None if no curve needs it.

    Args:
        sweep: what is measured.
        trained: a model, and how images are resized for it.
        images: beside which masks may lie.
        grid: of patches.
        dino: the DINO model, for that source.
        masks: masks that lie elsewhere.

    Raises:
        UserError: there are no masks, or the model has no attention.
    """
    if not needs_saliency(sweep):
        return None
    if sweep.saliency == "attention":
        check_attention(trained)
        return OwnAttention(grid)
    if sweep.saliency == "dino":
        return DinoAttention(dino, grid)
    masks = masks or masks_beside(images)
    if masks is None:
        where = images.folder or "this data"
        raise UserError(f"saliency 'objects' needs masks, and {where} has none beside it: choose attention or dino")
    names = [images.filename(index) for index in range(len(images))]
    view = trained.view
    found = open_masks(masks, names, view.image_size, view.crop, view.crop_mode)
    if images.folder is not None:
        check_masks(found, [images.filename(index, absolute=True) for index in range(len(images))])
    return Objects(found, grid)


def attention_maps(
    model: nn.Module, trained: TrainedModel, images: Tensor, grid: Grid, head: int | None
) -> tuple[Tensor, Tensor]:
    """Class attention (B, P) of `model` on images as `trained` takes them, and its output."""
    reader = ClassAttention(model, head)
    with autocast(images.device, trained.view.precision):
        output = model(trained.normalise(images))
    reader.remove()
    return on_grid(reader.take().unflatten(1, reader.grid), grid), output


def check_attention(trained: TrainedModel) -> None:
    """Raise `UserError` if the model has no class attention to find the foreground by."""
    try:
        token_grid(trained.model)
    except UserError as error:
        raise UserError(
            f"{trained.name} has no class attention to find the foreground by: choose --saliency dino or "
            "objects, or --sweep random, which needs none"
        ) from error


def on_grid(maps: Tensor, grid: Grid) -> Tensor:
    """Maps (B, h, w), averaged over the patches of a grid: (B, P); a coarser map is repeated."""
    return F.interpolate(maps[:, None], grid, mode="area").flatten(1)


def foreground_from(sweep: Sweep, source: str) -> bool:
    """Whether the sweep asks this source where the foreground is."""
    return needs_saliency(sweep) and sweep.saliency == source


def needs_saliency(sweep: Sweep) -> bool:
    """Whether a curve of the sweep asks where the foreground is."""
    return not set(SALIENT).isdisjoint(sweep.curves)
