"""Loaders: timm's data sets and transforms, in an order and with draws that depend on (seed, epoch, image) only.

Batches are uint8 on the host and become floats on the model's device (`Normalizer`): a quarter of the traffic,
and robustness tests can change pixels before normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from timm.data import create_transform
from timm.data.random_erasing import RandomErasing
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from transmix.common.errors import UserError
from transmix.common.seeding import derive_seed, seed_python_numpy_torch
from transmix.common.stopping import outlive_a_stop
from transmix.data.sources import Images
from transmix.data.view import View
from transmix.recipe import Recipe


class Batch(NamedTuple):
    """Images and what is known about them.

    Attributes:
        images: (b, C, H, W) uint8.
        labels: (b,) int64.
        objects: (b, H, W) bool, where each image's labelled object is; None where nobody asks, or the data do not say.
    """

    images: Tensor
    labels: Tensor
    objects: Tensor | None = None


@dataclass(frozen=True)
class Shard:
    """This process's part of the data: every `world`-th image, starting with the `rank`-th."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class _Unreadable:
    path: str


class Samples(Dataset):
    """Images, transformed; sample (epoch, repeat, index) always comes from the same random numbers."""

    def __init__(self, images: Images, transform: Any, seed: int = 0) -> None:
        self.images, self.transform, self.seed = images, transform, seed

    def __len__(self) -> int:
        return len(self.images)

    def names(self) -> list[str]:
        """The images' paths within their split."""
        return [self.images.filename(index) for index in range(len(self))]

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[Any, int] | _Unreadable:
        epoch, repeat, index = key
        try:
            image, label = self.images[index]
        except (RuntimeError, OSError, SyntaxError, ValueError):  # what Pillow and timm raise on broken files
            return _Unreadable(self.images.filename(index, absolute=True))
        seed_python_numpy_torch(self.seed, "sample", epoch, repeat, index)
        return self.transform(image), label


class EpochOrder(Sampler):
    """Yields (epoch, repeat, index) for the micro-batches of one process: shuffled anew each epoch, from any step on.

    A step's images are dealt to its micro-batches in turn, and each process takes a run of micro-batches; so what a
    micro-batch holds does not depend on the number of processes. With repeated augmentation (Hoffer et al., 2020;
    DeiT's ``RASampler``) each image comes `repeats` times in a row, to as many micro-batches where there are that many,
    and an epoch, still as many samples as there are images, sees that much fewer of them.
    """

    def __init__(self, images: int, recipe: Recipe, shard: Shard, seed: int) -> None:
        self.images, self.seed, self.repeats = images, seed, recipe.repeated_augmentation
        self.batch_size, self.micro_batch = recipe.batch_size, recipe.micro_batch
        self.micro_batches = recipe.batch_size // recipe.micro_batch  # of a step
        mine = self.micro_batches // shard.world
        self.mine = range(shard.rank * mine, (shard.rank + 1) * mine)
        self.steps = images // recipe.batch_size
        if self.steps == 0:
            raise UserError(
                f"there are {images} images, fewer than one batch of {recipe.batch_size}: "
                f"set batch_size={images} or less"
            )
        self.epoch = self.first_step = 0

    def __len__(self) -> int:
        return (self.steps - self.first_step) * len(self.mine) * self.micro_batch

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.epoch))
        order = torch.randperm(self.images, generator=generator).tolist()
        for step in range(self.first_step, self.steps):
            for place in self.mine:
                first = step * self.batch_size + place
                for sample in range(first, (step + 1) * self.batch_size, self.micro_batches):
                    index, repeat = divmod(sample, self.repeats)
                    yield self.epoch, repeat, order[index]


class TrainLoader:
    """Augmented micro-batches of one process: ``epoch(e, first_step)`` yields a `Batch` at a time.

    A step takes ``len(mine)`` of them; ``mine`` are their places among those of all processes.

    Args:
        recipe: augmentation, batch size (of all processes together) and size of a micro-batch.
        images: the training split.
        seed: of the run.
        workers: loader processes; the batches do not depend on their number.
        shard: this process's part.
        pin_memory: for a CUDA device.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: Images,
        seed: int,
        workers: int = 0,
        shard: Shard | None = None,
        pin_memory: bool = False,
    ) -> None:
        shard = shard or Shard()
        recipe = recipe.for_processes(shard.world)
        samples = Samples(images, train_transform(recipe), seed)
        self._order = EpochOrder(len(samples), recipe, shard, seed)
        self.steps, self.mine = self._order.steps, self._order.mine
        self._loader = DataLoader(
            samples,
            recipe.micro_batch,
            sampler=self._order,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            worker_init_fn=outlive_a_stop,
        )

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The micro-batches of an epoch's steps from `first_step` on."""
        self._order.epoch, self._order.first_step = epoch, first_step
        return _batches(self._loader)


def eval_loader(
    view: View,
    images: Images,
    workers: int = 0,
    shard: Shard | None = None,
    pin_memory: bool = False,
    chosen: Sequence[int] | None = None,
) -> EvalBatches:
    """Validation batches of one process; each image in exactly one process.

    Images come in the source's order, often class by class; or those `chosen` by their indices, as they come.
    """
    shard = shard or Shard()
    samples = Samples(images, eval_transform(view))
    indices = (range(len(samples)) if chosen is None else chosen)[shard.rank :: shard.world]
    loader = DataLoader(
        samples,
        view.batch_size,
        sampler=[(0, 0, index) for index in indices],
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin_memory,
        worker_init_fn=outlive_a_stop,
    )
    return EvalBatches(loader, indices)


class EvalBatches:
    """A re-iterable loader of `samples` that stops with a `UserError` at an unreadable image.

    Attributes:
        samples: of all processes.
        indices: which of them come here, in this order.
    """

    def __init__(self, loader: DataLoader, indices: Sequence[int]) -> None:
        self._loader, self.samples, self.indices = loader, loader.dataset, indices

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        return _batches(self._loader)


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


def eval_transform(view: View) -> Any:
    """timm's resize and crop up to uint8 (C, H, W)."""
    # "random" (bilinear or bicubic, drawn for each image) is for training; timm evaluates by the model's own filter
    interpolation = "bicubic" if view.interpolation == "random" else view.interpolation
    return create_transform(
        view.image_size,
        use_prefetcher=True,
        interpolation=interpolation,
        crop_pct=view.crop,
        crop_mode=view.crop_mode,
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
        # in place where the pixels are our own copy: each further copy of a batch costs as much as the arithmetic
        centred = images - self.mean if images.is_floating_point() else images.float().div_(255).sub_(self.mean)
        normalised = centred.div_(self.std)
        if self.training and self.erasing:
            normalised = RandomErasing(self.erasing, mode="pixel", device=images.device)(normalised)
        return normalised


def _collate(samples: list[Any]) -> Any:
    for sample in samples:
        if isinstance(sample, _Unreadable):
            return sample  # an exception raised in a worker would reach the user as a traceback in a string
    return default_collate(samples)


def readable(loaded: Any) -> Any:
    """A sample or a batch itself; an image that cannot be read is a `UserError` that names it."""
    if isinstance(loaded, _Unreadable):
        raise UserError(f"{loaded.path} cannot be read as an image: replace it, then run the same command again")
    return loaded


def _batches(loader: DataLoader) -> Iterator[Batch]:
    for batch in loader:
        yield Batch(*readable(batch))
