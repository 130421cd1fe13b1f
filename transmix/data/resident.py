"""A training set that stays on the device: decoded once, then cropped and flipped there in whole batches.

For many short runs, which would otherwise decode the same images again and again. Images that have the recipe's size
come as `transmix.data.loaders.TrainLoader` streams them: in the same order, with the same draws, equal within rounding;
and with object masks where the data has them, which the oracle's labels need.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from timm.data.transforms import RandomResizedCropAndInterpolation
from torch import Tensor
from torch.utils.data import DataLoader

from transmix.common.errors import UserError
from transmix.common.seeding import derive_seed
from transmix.data.loaders import Batch, EpochOrder, Shard, eval_loader
from transmix.data.objects import ObjectMasks, masks_beside
from transmix.data.sources import Images
from transmix.recipe import Recipe

RATIO = (3 / 4, 4 / 3)  # of a crop's sides, as timm's training transform draws them


class ResidentLoader:
    """`transmix.data.loaders.TrainLoader` for a set that fits on the device; its batches may have object masks.

    Args:
        recipe: crop scale, flips and batch sizes; nothing else can be augmented here.
        images: the training split.
        seed: of the run.
        device: where the images stay.
        workers: loader processes, for reading once.
        shard: this process's part; each process holds the whole set.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: Images,
        seed: int,
        device: torch.device,
        workers: int = 0,
        shard: Shard | None = None,
    ) -> None:
        if recipe.rand_augment is not None:
            raise UserError(f"resident=True crops and flips only: set rand_augment=none (is {recipe.rand_augment})")
        if recipe.interpolation not in FILTERS:
            raise UserError(f"resident=True resizes by {' or '.join(FILTERS)}: set interpolation to one of them")
        shard = shard or Shard()
        self.recipe, self.seed = recipe.for_processes(shard.world), seed
        self.images, self.labels, self.objects = _read(recipe, images, device, workers)
        self._order = EpochOrder(len(self.images), self.recipe, shard, seed)
        self.steps, self.mine = self._order.steps, self._order.mine
        self._blank, self._generator = self.images[0], torch.Generator()

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The micro-batches of an epoch's steps from `first_step` on."""
        self._order.epoch, self._order.first_step = epoch, first_step
        keys = np.fromiter(self._order, dtype=np.dtype((np.int64, 3)), count=len(self._order))
        for batch in keys.reshape(-1, self.recipe.micro_batch, 3):
            chosen = torch.from_numpy(batch[:, 2]).to(self.images.device)
            rows, columns = self._draw_crops(batch.tolist())
            images = resample(self.images[chosen], rows, columns, self.recipe.image_size, self.recipe.interpolation)
            objects = self.objects
            if objects is not None:
                objects = pick(objects[chosen], rows, columns, self.recipe.image_size)
            yield Batch(images, self.labels[chosen], objects)

    def _draw_crops(self, keys: list[list[int]]) -> tuple[Spans, Spans]:
        """Where each sample's crop lies and whether it is mirrored: the draws of the streamed transform."""
        ends, flips = [], []
        for key in keys:
            seed = derive_seed(self.seed, "sample", *key)
            random.seed(seed)  # what timm's crop draws from
            ends.append(RandomResizedCropAndInterpolation.get_params(self._blank, self.recipe.crop_scale, RATIO))
            # what torchvision's flip draws from, where there is one
            flips.append(float(torch.rand(1, generator=self._generator.manual_seed(seed))) < self.recipe.hflip)
        top, left, height, width = torch.tensor(ends, device=self.images.device).unbind(1)
        mirrored = torch.tensor(flips, device=self.images.device)
        return Spans(top, height, torch.zeros_like(mirrored)), Spans(left, width, mirrored)


class Spans(NamedTuple):
    """One side of the crops of a batch: first pixel (b,), pixels (b,), and whether it is turned round (b,) bool."""

    first: Tensor
    length: Tensor
    turned: Tensor

    def centres(self, size: int) -> Tensor:
        """(b, size) where the crop's `size` output pixels have their middles, in pixels of the source from its edge."""
        steps = torch.arange(size, device=self.first.device) + 0.5
        steps = torch.where(self.turned[:, None], size - steps, steps)
        return self.first[:, None] + steps * (self.length / size)[:, None]

    def weights(self, size: int, source: int, filter_: str) -> Tensor:
        """(b, size, source) what each pixel of the source counts for in each of the crop's output pixels.

        Pillow's antialiased resampling (src/libImaging/Resample.c): the filter is as wide as an output pixel where
        that is wider than one of the source, and does not look beyond the crop.
        """
        pixels = torch.arange(source, device=self.first.device)
        distance = pixels + 0.5 - self.centres(size)[..., None]
        shape = FILTERS[filter_](distance.abs() / (self.length / size).clamp(min=1)[:, None, None])
        first, last = self.first[:, None, None], (self.first + self.length)[:, None, None]
        shape = shape * ((pixels >= first) & (pixels < last))
        return shape / shape.sum(-1, keepdim=True)


def resample(images: Tensor, rows: Spans, columns: Spans, size: int, filter_: str = "bilinear") -> Tensor:
    """Crop, mirror and resize a batch at once, as Pillow does each image: columns first, rounded in between.

    Args:
        images: (b, C, H, W) uint8.
        rows: of the crops.
        columns: of the crops.
        size: of the result, square.
        filter_: one of `FILTERS`.

    Returns:
        (b, C, size, size) uint8.
    """
    count, channels, height, width = images.shape
    across = columns.weights(size, width, filter_).transpose(1, 2)
    down = rows.weights(size, height, filter_)
    # one product an image, not one a channel
    resized = torch.bmm(images.float().reshape(count, channels * height, width), across).round_().clamp_(0, 255)
    resized = resized.view(count, channels, height, size).transpose(1, 2).reshape(count, height, channels * size)
    resized = torch.bmm(down, resized).round_().clamp_(0, 255).to(torch.uint8)
    return resized.view(count, size, channels, size).transpose(1, 2).contiguous()


def pick(masks: Tensor, rows: Spans, columns: Spans, size: int) -> Tensor:
    """The same of masks (b, H, W), by the nearest pixel: (b, size, size)."""
    down, across = (spans.centres(size).long() for spans in (rows, columns))
    return masks[torch.arange(len(masks), device=masks.device)[:, None, None], down[:, :, None], across[:, None, :]]


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp(min=0)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic with a = -1/2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0))


FILTERS = {"bilinear": _triangle, "bicubic": _cubic}


def _read(recipe: Recipe, source: Images, device: torch.device, workers: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """All images (N, C, S, S) uint8, labels (N,), and object masks (N, S, S) bool.

    The masks are for labels that look at content: the rule ``oracle`` needs them, by attention they say how good labels
    are.
    """
    batches, size = eval_loader(replace(recipe.view, crop=1.0), source, workers), recipe.image_size
    count = len(batches.samples)
    masks = masks_beside(source) if recipe.label_rule != "area" else None
    if recipe.label_rule == "oracle" and masks is None:
        where = source.folder or "this data"
        raise UserError(f"label_rule=oracle needs object masks, and {where} has none beside it: the scenes have")
    try:
        images = torch.empty((count, 3, size, size), dtype=torch.uint8, device=device)
        objects = torch.empty((count, size, size), dtype=torch.bool, device=device) if masks else None
    except RuntimeError as error:  # torch's for want of memory
        raise UserError(f"{count} images do not fit on {device}: set resident=False") from error
    labels = torch.empty(count, dtype=torch.int64, device=device)
    done = 0
    for batch in batches:
        some = slice(done, done + len(batch.labels))
        images[some], labels[some] = batch.images.to(device), batch.labels.to(device)
        done = some.stop
    if masks:
        reader = ObjectMasks(masks, batches.samples.names(), size, crop=1.0)
        for index, mask in enumerate(DataLoader(reader, None, num_workers=workers)):
            objects[index] = mask.to(device)
    return images, labels, objects
