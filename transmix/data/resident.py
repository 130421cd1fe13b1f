"""A training set that stays on the device: decoded once, then cropped and flipped there in whole batches.

For many short runs on one GPU (scale ``lab``), which would otherwise wait for JPEGs. Images come in the same order, and
with object masks where the data has them, which the oracle's labels need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from transmix.common.errors import UserError
from transmix.common.seeding import derive_seed
from transmix.data.loaders import Batch, EpochOrder, Shard, eval_loader
from transmix.data.objects import ObjectMasks, masks_beside
from transmix.data.sources import Images
from transmix.recipe import Recipe

# as torchvision's RandomResizedCrop: sides differ by a third at most; a box that does not fit is drawn again, and after
# ten the whole image is taken
_LOG_RATIO, _TRIES = np.log(4 / 3), 10


class ResidentLoader:
    """`transmix.data.loaders.TrainLoader` for a set that fits on the device; its batches have object masks, too.

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
        shard = shard or Shard()
        self.recipe, self.seed = recipe.for_processes(shard.world), seed
        self.images, self.labels, self.objects = _read(recipe, images, device, workers)
        self._order = EpochOrder(len(self.images), self.recipe, shard, seed)
        self.steps, self.mine = self._order.steps, self._order.mine

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The micro-batches of an epoch's steps from `first_step` on."""
        self._order.epoch, self._order.first_step = epoch, first_step
        keys = np.fromiter(self._order, dtype=np.dtype((np.int64, 3)), count=len(self._order))
        batches = keys.reshape(-1, self.recipe.micro_batch, 3)
        for number, batch in enumerate(batches):
            step, place = divmod(number, len(self.mine))
            crops = self._draw_crops(epoch, first_step + step, self.mine[place])
            chosen = torch.from_numpy(batch[:, 2]).to(self.images.device)
            images = F.grid_sample(self.images[chosen].float(), crops, padding_mode="border", align_corners=False)
            objects = None
            if self.objects is not None:
                masks = self.objects[chosen][:, None].float()
                objects = F.grid_sample(masks, crops, mode="nearest", align_corners=False)[:, 0] > 0.5
            yield Batch(images.round_().to(torch.uint8), self.labels[chosen], objects)

    def _draw_crops(self, epoch: int, step: int, place: int) -> Tensor:
        """Sampling grids (b, H, W, 2): a box of random area, shape and place, mirrored with probability `hflip`."""
        rng = np.random.default_rng(derive_seed(self.seed, "crop", epoch, step, place))
        count, (low, high) = self.recipe.micro_batch, self.recipe.crop_scale
        area = rng.uniform(low, high, (count, _TRIES))
        ratio = np.exp(rng.uniform(-_LOG_RATIO, _LOG_RATIO, (count, _TRIES)))
        sides = np.sqrt([area * ratio, area / ratio])
        fits = (sides <= 1).all(0)
        first = sides[:, np.arange(count), fits.argmax(1)]
        width, height = np.where(fits.any(1), first, 1.0)
        # in grid_sample's coordinates the image reaches from -1 to 1
        x, y = rng.uniform(width - 1, 1 - width), rng.uniform(height - 1, 1 - height)
        flip = np.where(rng.random(count) < self.recipe.hflip, -1.0, 1.0)
        zero = np.zeros(count)
        theta = np.stack([np.stack([width * flip, zero, x], 1), np.stack([zero, height, y], 1)], 1)
        shape = (count, 1, self.recipe.image_size, self.recipe.image_size)
        return F.affine_grid(torch.from_numpy(theta).float().to(self.images.device), shape, align_corners=False)


def _read(recipe: Recipe, source: Images, device: torch.device, workers: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """All images (N, C, S, S) uint8, labels (N,), and object masks (N, S, S) bool where the recipe needs them."""
    batches, size = eval_loader(replace(recipe.view, crop=1.0), source, workers), recipe.image_size
    count, oracle = len(batches.samples), recipe.label_rule == "oracle"
    masks = masks_beside(source)
    if oracle and masks is None:
        where = source.folder or "this data"
        raise UserError(f"label_rule=oracle needs object masks, and {where} has none beside it: the scenes have")
    try:
        images = torch.empty((count, 3, size, size), dtype=torch.uint8, device=device)
        objects = torch.empty((count, size, size), dtype=torch.bool, device=device) if oracle else None
    except RuntimeError as error:  # torch's for want of memory
        raise UserError(f"{count} images do not fit on {device}: set resident=False") from error
    labels = torch.empty(count, dtype=torch.int64, device=device)
    done = 0
    for batch in batches:
        some = slice(done, done + len(batch.labels))
        images[some], labels[some] = batch.images.to(device), batch.labels.to(device)
        done = some.stop
    if oracle:
        reader = ObjectMasks(masks, batches.samples.names(), size, crop=1.0)
        for index, mask in enumerate(DataLoader(reader, None, num_workers=workers)):
            objects[index] = mask.to(device)
    return images, labels, objects
