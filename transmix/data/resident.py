"""A training set that stays on the device: decoded once, then cropped, mirrored and resized there in whole batches.

For short runs, which would otherwise decode the same images again and again. Images of the size that the recipe asks
for come as `transmix.data.loaders.TrainLoader` streams them: same order, same draws, equal within rounding. Others are
resized to it once, before they are cropped. Object masks come along where the labels look at content.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from transmix.common.errors import UserError
from transmix.common.seeding import derive_seed
from transmix.data.loaders import Batch, EpochOrder, EvalBatches, Shard, eval_loader
from transmix.data.objects import ObjectMasks, masks_beside
from transmix.data.sources import Images
from transmix.recipe import Recipe

_AHEAD = 2**22  # pixels that are cropped in one go: what a call costs however few images it takes is shared
_LOG_RATIOS, _TRIES = (math.log(3 / 4), math.log(4 / 3)), 10  # of a crop's width to its height


class ResidentLoader:
    """`transmix.data.loaders.TrainLoader` for a set that fits on the device; its batches may have object masks.

    Args:
        recipe: crop scale, filter, flips and batch sizes; nothing else can be augmented here.
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
            one_of = " or ".join(FILTERS)
            raise UserError(f"resident=True resizes by {one_of}: set interpolation (is {recipe.interpolation})")
        shard = shard or Shard()
        self.recipe, self.seed = recipe.for_processes(shard.world), seed
        self._order = EpochOrder(len(images), self.recipe, shard, seed)
        self.steps, self.mine = self._order.steps, self._order.mine
        self.images, self.labels, self.objects = _read(recipe, images, device, workers)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The micro-batches of an epoch's steps from `first_step` on."""
        self._order.epoch, self._order.first_step = epoch, first_step
        keys = np.fromiter(self._order, dtype=np.dtype((np.int64, 3)), count=len(self._order))
        size, micro_batch, filter_ = self.recipe.image_size, self.recipe.micro_batch, self.recipe.interpolation
        ahead = micro_batch * max(1, _AHEAD // (size**2 * micro_batch))
        for some in range(0, len(keys), ahead):
            chosen = torch.from_numpy(keys[some : some + ahead, 2]).to(self.images.device)
            crops = Crops(chosen, *self._draw_crops(keys[some : some + ahead].tolist()))
            images = resample(self.images, crops, size, filter_, micro_batch)
            parts = [images, self.labels[chosen].split(micro_batch)]
            if self.objects is not None:
                parts.append(pick(self.objects, crops, size).split(micro_batch))
            yield from map(Batch, *parts)

    def _draw_crops(self, keys: list[list[int]]) -> tuple[Spans, Spans, Tensor]:
        """Where each sample's crop lies and whether it is mirrored: the draws of the streamed transform."""
        side, scale, hflip = self.recipe.image_size, self.recipe.crop_scale, self.recipe.hflip
        python, generator, drawn = random.Random(), torch.Generator(), torch.empty(1)
        boxes, flips = [], []
        for key in keys:
            seed = derive_seed(self.seed, "sample", *key)
            python.seed(seed)
            boxes.append(draw_box(python, side, scale))
            # what torchvision's flip draws, where there is one
            flips.append(drawn.uniform_(generator=generator.manual_seed(seed)).item() < hflip)
        top, left, heights, widths = torch.from_numpy(np.array(boxes)).to(self.images.device).unbind(1)
        return Spans(top, heights), Spans(left, widths), torch.tensor(flips).to(self.images.device)


def draw_box(rng: random.Random, side: int, scale: tuple[float, float]) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random crop: what timm's RandomResizedCropAndInterpolation draws.

    A box that does not fit is drawn again, and after ten the whole image is taken.

    Args:
        rng: in a state that `random.seed` gives.
        side: of the image, which is square, pixels.
        scale: least and largest share of the image's area.
    """
    for _ in range(_TRIES):
        area, ratio = rng.uniform(*scale) * side**2, math.exp(rng.uniform(*_LOG_RATIOS))
        height, width = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if width <= side and height <= side:
            return rng.randint(0, side - height), rng.randint(0, side - width), height, width
    return 0, 0, side, side


class Spans(NamedTuple):
    """One side of the crops of a batch, in pixels: where it begins (b,) and how long it is (b,)."""

    first: Tensor
    length: Tensor

    def centres(self, size: int) -> Tensor:
        """(b, size) where the crop's `size` output pixels have their middles, in pixels of the source from its edge."""
        steps = torch.arange(size, device=self.first.device) + 0.5
        return self.first[:, None] + steps * (self.length / size)[:, None]

    def weights(self, size: int, source: int, filter_: str) -> Tensor:
        """(b, size, source) what each pixel of the source counts for in each of the crop's output pixels.

        Pillow's antialiased resampling (src/libImaging/Resample.c): the filter is as wide as an output pixel where
        that is wider than one of the source, and does not look beyond the crop. It is computed where it can reach only.
        """
        shape, reach = FILTERS[filter_]
        centres, scale = self.centres(size)[..., None], (self.length / size).clamp_(min=1)[:, None, None]
        taps = torch.arange(math.ceil(2 * reach * max(1, source / size)), device=self.first.device)
        pixels = (centres - reach * scale + 0.5).floor_().long() + taps  # from the first one that is in reach
        weights = shape((pixels + 0.5 - centres).abs_().div_(scale))
        first, last = self.first[:, None, None], (self.first + self.length)[:, None, None]
        weights = weights.mul_((pixels >= first) & (pixels < last))
        weights = weights.div_(weights.sum(-1, keepdim=True))
        return weights.new_zeros(*weights.shape[:2], source).scatter_add_(2, pixels.clamp_(0, source - 1), weights)


class Crops(NamedTuple):
    """What is cropped: which images (b,), their rows and columns, and whether the crop is mirrored (b,) bool."""

    chosen: Tensor
    rows: Spans
    columns: Spans
    mirrored: Tensor

    def split(self, size: int) -> Iterator[Crops]:
        """The same in parts of `size` crops."""
        columns = (self.chosen, *self.rows, *self.columns, self.mirrored)
        for chosen, top, height, left, width, mirrored in zip(*(part.split(size) for part in columns), strict=True):
            yield Crops(chosen, Spans(top, height), Spans(left, width), mirrored)


def resample(images: Tensor, crops: Crops, size: int, filter_: str, batch: int) -> Iterator[Tensor]:
    """Crop, resize and mirror, as Pillow does each image: columns first, rounded in between.

    Args:
        images: (N, H, W, C) uint8, contiguous.
        crops: of some of them.
        size: of the result, square.
        filter_: one of `FILTERS`.
        batch: crops in a tensor of the result.

    Returns:
        (batch, C, size, size) uint8, one after the other.
    """
    if not images.is_cuda and filter_ in _KERNELS:
        return by_size(images, crops, size, filter_, batch)
    # each batch for itself: how products are rounded may depend on how many there are
    return (in_products(images, some, size, filter_) for some in crops.split(batch))


def by_size(images: Tensor, crops: Crops, size: int, filter_: str, batch: int) -> Iterator[Tensor]:
    """`resample` by torch's own uint8 kernel, all crops of one height and width in one call: the fastest on a CPU."""
    (chosen, rows, columns, mirrored), (_, height, width, channels) = crops, images.shape
    kinds, order = (rows.length * (width + 1) + columns.length).sort()
    kinds, counts = kinds.unique_consecutive(return_counts=True)
    first, every = ((chosen * height + rows.first) * width + columns.first)[order], torch.arange(height)
    lines = (first[:, None] + every * width)[every < rows.length[order, None]]  # where each one begins, in pixels
    resized = []
    for kind, begins in zip(kinds.tolist(), lines.split((counts * (kinds // (width + 1))).tolist()), strict=True):
        down, across = divmod(kind, width + 1)
        # a table of all runs of so many pixels, one from each pixel on: a crop is some of its lines
        runs = images.as_strided((images.numel() // channels - across + 1, across * channels), (channels, 1))
        found = runs.index_select(0, begins).view(-1, down, across, channels).permute(0, 3, 1, 2)
        found = nn.functional.interpolate(found, (size, size), mode=filter_, antialias=True)
        resized.append(found.permute(0, 2, 3, 1))
    # the mirrored ones come after all as they are: to write uint8 to places here and there is slow
    places, which = order.argsort(), mirrored.nonzero().flatten()
    table = images.new_empty(len(order) + len(which), size, size, channels)
    straight = torch.cat(resized, out=table[: len(order)])
    table[len(order) :] = straight.index_select(0, places[which]).flip(2)
    places[which] = torch.arange(len(order), len(table))
    return iter([table.index_select(0, some).permute(0, 3, 1, 2).contiguous() for some in places.split(batch)])


def in_products(images: Tensor, crops: Crops, size: int, filter_: str) -> Tensor:
    """`resample` as two products of matrices, for a batch: the fastest on a GPU."""
    (chosen, rows, columns, mirrored), (_, height, width, channels) = crops, images.shape
    across, down = columns.weights(size, width, filter_), rows.weights(size, height, filter_)
    across = torch.where(mirrored[:, None, None], across.flip(1), across)
    # channels in between: each step is one product
    lines = images.index_select(0, chosen).transpose(2, 3).reshape(len(chosen), -1, width)
    resized = torch.bmm(lines.float(), across.transpose(1, 2))
    resized = _rounded(torch.bmm(down, _rounded(resized).view(len(chosen), height, -1))).to(torch.uint8)
    return resized.view(-1, size, channels, size).transpose(1, 2).contiguous()


def _rounded(pixels: Tensor) -> Tensor:
    """To whole numbers in 0..255, halves upwards."""
    return pixels.add_(0.5).clamp_(0, 255).floor_()


def pick(masks: Tensor, crops: Crops, size: int) -> Tensor:
    """The same of masks (N, H, W), by the nearest pixel: (b, size, size)."""
    down, across = (spans.centres(size).long() for spans in (crops.rows, crops.columns))
    across = torch.where(crops.mirrored[:, None], across.flip(1), across)
    height, width = masks.shape[1:]
    lines = crops.chosen[:, None] * height + down  # whole lines first: 3 times as fast
    picked = masks.view(-1, width).index_select(0, lines.flatten()).view(-1, size, width)
    return picked.gather(2, across[:, None, :].expand(-1, size, -1))


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp_(min=0)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic with a = -1/2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0))


FILTERS = {"bilinear": (_triangle, 1), "bicubic": (_cubic, 2)}  # and how far they reach, in pixels
_KERNELS = ("bilinear",)  # of torch for uint8; of its bicubic one .7 % of values are off by 1 or 2 of 255


class KeptBatches(EvalBatches):
    """Validation batches that are decoded when they are first asked for, and stay on the device.

    Args:
        batches: to read them from.
        device: where they stay.
    """

    def __init__(self, batches: EvalBatches, device: torch.device) -> None:
        self._batches, self._device, self._kept = batches, device, None
        self.samples, self.indices = batches.samples, batches.indices

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        if self._kept is None:
            self._kept = [Batch(some.images.to(self._device), some.labels.to(self._device)) for some in self._batches]
        return iter(self._kept)


def _read(recipe: Recipe, source: Images, device: torch.device, workers: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """All images (N, H, W, C) uint8, labels (N,), and object masks (N, H, W) bool.

    The masks are for labels that look at content: the rule ``oracle`` needs them, by attention they say how good labels
    are.
    """
    masks = masks_beside(source) if recipe.label_rule != "area" else None
    if recipe.label_rule == "oracle" and masks is None:
        where = source.folder or "this data"
        raise UserError(f"label_rule=oracle needs object masks, and {where} has none beside it: the scenes have")
    batches, size = eval_loader(replace(recipe.view, crop=1.0), source, workers), recipe.image_size
    count = len(batches.samples)
    try:
        images = torch.empty((count, size, size, 3), dtype=torch.uint8, device=device)
        objects = torch.empty((count, size, size), dtype=torch.bool, device=device) if masks else None
    except RuntimeError as error:  # torch's for want of memory
        raise UserError(f"{count} images do not fit on {device}: set resident=False") from error
    labels = torch.empty(count, dtype=torch.int64, device=device)
    done = 0
    for batch in batches:
        some = slice(done, done + len(batch.labels))
        images[some], labels[some] = batch.images.permute(0, 2, 3, 1).to(device), batch.labels.to(device)
        done = some.stop
    if masks:
        reader = ObjectMasks(masks, batches.samples.names(), size, crop=1.0)
        for index, mask in enumerate(DataLoader(reader, None, num_workers=workers)):
            objects[index] = mask.to(device)
    return images, labels, objects
