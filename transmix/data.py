"""Loaders: timm's data sets and transforms, in an order and with draws that depend on (seed, epoch, image) only.

Batches are uint8 on the host and become floats on the model's device (`Normalizer`): a quarter of the traffic,
and robustness tests can change pixels before normalisation.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.data import create_dataset, create_transform
from timm.data.random_erasing import RandomErasing
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from transmix.errors import UserError
from transmix.recipe import Recipe
from transmix.seeding import derive_seed, seed_python_numpy_torch

# an unreadable image stops the run in one line of ours; timm would skip it and log that
logging.getLogger("timm.data.dataset").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Shard:
    """This process's part of the data: every `world`-th image, starting with the `rank`-th."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class _Unreadable:
    path: str


class Samples(Dataset):
    """A timm data set of class folders; sample (epoch, repeat, index) always comes from the same random numbers."""

    def __init__(self, folder: Path, transform: Any, seed: int = 0) -> None:
        self.images = create_dataset("", root=str(folder), search_split=False)
        self.transform = transform
        self.images._max_retries = 1  # timm would put the next image in the place of one it cannot read
        self.seed = seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[Any, int] | _Unreadable:
        epoch, repeat, index = key
        try:
            image, label = self.images[index]
        except (RuntimeError, OSError, SyntaxError, ValueError):  # what Pillow and timm raise on broken files
            return _Unreadable(self.images.filename(index, absolute=True))
        seed_python_numpy_torch(self.seed, "sample", epoch, repeat, index)
        return self.transform(image), label


class _EpochOrder(Sampler):
    """Yields (epoch, repeat, index): shuffled anew each epoch, sharded over processes, from any batch on.

    With repeated augmentation (Hoffer et al., 2020; DeiT's ``RASampler``) each image comes `repeats` times in a row,
    and an epoch, still as many samples as there are images, sees that much fewer of them.
    """

    def __init__(self, images: int, batch_size: int, shard: Shard, seed: int, repeats: int) -> None:
        self.images, self.batch_size, self.shard, self.seed, self.repeats = images, batch_size, shard, seed, repeats
        self.epoch = self.first_batch = 0

    def __len__(self) -> int:
        return self.images // self.shard.world - self.first_batch * self.batch_size

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.epoch))
        order = torch.randperm(self.images, generator=generator).tolist()
        # every process takes equally many, or the one with a batch more would wait for the others for ever
        per_process = self.images // self.shard.world
        for sample in range(self.first_batch * self.batch_size, per_process):
            place, repeat = divmod(sample * self.shard.world + self.shard.rank, self.repeats)
            yield self.epoch, repeat, order[place]


class TrainLoader:
    """Augmented training batches of one process: `epoch(e, first_batch)` yields ((b, C, H, W) uint8, (b,) labels).

    Args:
        recipe: augmentation and batch size (of all processes together).
        folder: the training split, ``<class>/<image>``.
        seed: of the run.
        workers: loader processes; the batches do not depend on their number.
        shard: this process's part.
        pin_memory: for a CUDA device.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        seed: int,
        workers: int = 0,
        shard: Shard | None = None,
        pin_memory: bool = False,
    ) -> None:
        shard = shard or Shard()
        if recipe.batch_size % shard.world:
            raise UserError(f"batch_size={recipe.batch_size} does not divide over {shard.world} processes")
        batch_size = recipe.batch_size // shard.world
        samples = Samples(folder, train_transform(recipe), seed)
        self.steps = len(samples) // shard.world // batch_size
        if self.steps == 0:
            raise UserError(
                f"{folder} has {len(samples)} images, fewer than one batch: set batch_size below {recipe.batch_size}"
            )
        self._order = _EpochOrder(len(samples), batch_size, shard, seed, recipe.repeated_augmentation)
        self._loader = DataLoader(
            samples,
            batch_size,
            sampler=self._order,
            drop_last=True,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
        )

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch from `first_batch` on."""
        self._order.epoch, self._order.first_batch = epoch, first_batch
        return _readable(self._loader)


def eval_loader(
    recipe: Recipe,
    folder: Path,
    workers: int = 0,
    shard: Shard | None = None,
    pin_memory: bool = False,
    order_seed: int | None = None,
) -> _EvalBatches:
    """Validation batches of one process, ((b, C, H, W) uint8, (b,) labels); each image in exactly one process.

    Images come in the folder's order, class by class, or in the fixed random order of `order_seed`.
    """
    shard = shard or Shard()
    samples = Samples(folder, eval_transform(recipe))
    order = list(range(len(samples)))
    if order_seed is not None:
        random.Random(order_seed).shuffle(order)
    loader = DataLoader(
        samples,
        recipe.eval_batch_size,
        sampler=[(0, 0, index) for index in order[shard.rank :: shard.world]],
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin_memory,
    )
    return _EvalBatches(loader)


class _EvalBatches:
    """A re-iterable loader that stops with a `UserError` at an unreadable image."""

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return _readable(self._loader)


def train_transform(recipe: Recipe) -> Any:
    """timm's training augmentation up to uint8 (C, H, W); random erasing comes after `Normalizer`."""
    return create_transform(
        recipe.image_size,
        is_training=True,
        use_prefetcher=True,
        scale=recipe.crop_scale,
        hflip=recipe.hflip,
        color_jitter=None,
        auto_augment=recipe.rand_augment,
        interpolation=recipe.interpolation,
    )


def eval_transform(recipe: Recipe) -> Any:
    """timm's resize and centre crop, uint8 (C, H, W)."""
    return create_transform(
        recipe.image_size, use_prefetcher=True, interpolation=recipe.interpolation, crop_pct=recipe.eval_crop
    )


class Normalizer(nn.Module):
    """uint8 (B, C, H, W) to normalised floats on the device; in training with random erasing.

    Args:
        mean: per channel, of pixels in [0, 1].
        std: per channel.
        erasing: probability of erasing a rectangle with pixel noise, while the module is in training mode.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], erasing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.erasing = erasing

    def forward(self, images: Tensor) -> Tensor:
        """uint8 in 0..255, or floats in [0, 1]."""
        pixels = images if images.is_floating_point() else images.float() / 255
        normalised = (pixels - self.mean) / self.std
        if self.training and self.erasing:
            normalised = RandomErasing(self.erasing, mode="pixel", device=images.device)(normalised)
        return normalised


def _collate(samples: list[Any]) -> Any:
    for sample in samples:
        if isinstance(sample, _Unreadable):
            return sample  # an exception raised in a worker would reach the user as a traceback in a string
    return default_collate(samples)


def _readable(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    for batch in loader:
        if isinstance(batch, _Unreadable):
            raise UserError(f"{batch.path} cannot be read as an image: replace it, then run the same command again")
        yield batch
