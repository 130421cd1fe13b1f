"""Decoding and augmenting images for training, beside timm's own loader, on one core."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path

import torch
from timm.data import create_dataset, create_loader
from torch.utils.data import DataLoader

from benchmarks.rows import Row, clock_for, rate, ratio, turns
from benchmarks.sweep import write_images
from experiments.scales import SCALES
from transmix.data.loaders import TrainLoader
from transmix.data.sources.folders import FolderImages
from transmix.recipe import Recipe, override
from transmix.training.distributed import Processes

AS_FAST = 1.0  # goal
SIDE = 432  # of a JPEG: about as many pixels as the 500 x 375 that most of ImageNet's have


def rows(row: str, images: int, rounds: int, processes: Processes) -> list[Row]:
    """Our time over timm's, and the images that a core gets ready in a second.

    Args:
        row: of Table 1, whose augmentation at scale paper it is.
        images: JPEGs to write, and of an epoch.
        rounds: how often each loader takes its turn.
        processes: this one.
    """
    recipe = override(SCALES["paper"].recipe(row, "transmix"), batch_size=images // 2, micro_batch=images // 2)
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_images(Path(scratch) / "images", images, SIDE)
        ours, epochs, theirs = TrainLoader(recipe, FolderImages(folder), 0), count(), timm_loader(recipe, folder)
        taken = turns(
            {"ours": lambda: list(ours.epoch(next(epochs))), "timm": lambda: list(theirs)},
            rounds,
            clock_for(processes.device),
        )
    where = f"{images} JPEGs of {SIDE} px to {recipe.image_size} px, {recipe.rand_augment}"
    return [
        ratio("our loader / timm's, time", where, taken["ours"], taken["timm"], AS_FAST),
        rate("images read for training, one core", where, images, taken["ours"]),
    ]


def timm_loader(recipe: Recipe, folder: Path) -> DataLoader:
    """What timm's training script loads with, up to the uint8 batches that it sends to a device."""
    loader = create_loader(
        create_dataset("", root=folder, is_training=True),
        (3, recipe.image_size, recipe.image_size),
        recipe.micro_batch,
        is_training=True,
        scale=recipe.crop_scale,
        hflip=recipe.hflip,
        color_jitter=None,
        auto_augment=recipe.rand_augment,
        interpolation=recipe.interpolation,
        num_workers=0,
        persistent_workers=False,
        device=torch.device("cpu"),
    )
    return loader.loader
