"""torchvision's small data sets, from files that are already there.

Those of CIFAR are pickles. torchvision unpickles them only after their MD5 sums have proved to be the known ones, so
nothing that was downloaded can run code. MNIST's files are plain numbers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from timm.data import create_dataset

from transmix.common.errors import UserError
from transmix.data.copies import Pictures, describe_copies
from transmix.data.remembered import remembered
from transmix.data.sources.source import SPLITS, ImageSource, check_labels, digest
from transmix.data.sources.spec import TORCHVISION

TIMM_SPLITS = {"train": "train", "val": "validation"}


class TorchvisionImages:
    """One split of a torchvision data set, all of it in memory.

    Args:
        name: timm's name, e.g. ``cifar100``.
        root: where torchvision looks for it.
        split: ``train`` or ``val``.
    """

    folder = None

    def __init__(self, name: str, root: Path, split: str) -> None:
        self.name, self.split = name, split
        self.images = create_dataset(f"torch/{name}", root=str(root), split=TIMM_SPLITS[split], download=False)
        self.labels, self.pixels = np.asarray(self.images.targets), np.ascontiguousarray(self.images.data)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        image, label = self.images[index]
        return image.convert("RGB"), label

    def filename(self, index: int, basename: bool = False, absolute: bool = False) -> str:
        """There are no files of single images: its place in the split."""
        return f"image {index} of {self.name} {self.split}"

    def pictures(self) -> Pictures:
        """What tells copies among them: their pixels."""
        return Pictures(
            sizes=[self.pixels[0].nbytes] * len(self),
            digest=lambda index: hashlib.sha256(self.pixels[index]).digest(),
            name=self.filename,
            usual=self.filename,
            labels=self.labels.tolist(),
            at_hand=True,
        )


def read_torchvision(name: str, root: Path, cache: Path) -> ImageSource:
    """Load one of `TORCHVISION`; the fingerprint covers labels and pixels.

    Args:
        name: which.
        root: where torchvision looks for it.
        cache: where it is kept which images are there twice.

    Raises:
        UserError: its files are missing or not the original ones.
    """
    try:
        splits = {split: TorchvisionImages(name, root, split) for split in SPLITS}
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:  # how torchvision finds files wrong
        raise UserError(
            f"{root / TORCHVISION[name]} is missing or does not hold the original files of {name}: "
            "unpack the authors' archive there, nothing is downloaded here"
        ) from error
    classes = tuple(splits["train"].images.classes)
    labels = {split: images.labels for split, images in splits.items()}
    check_labels(root, classes, labels)
    counts = {split: len(images) for split, images in splits.items()}
    fingerprint = digest(name, classes, *labels.values(), *(images.pixels for images in splits.values()))

    def check() -> dict[str, Any]:
        return {"notes": describe_copies(*(images.pictures() for images in splits.values()))}

    notes = tuple(remembered(cache, "copies", fingerprint, check)["notes"])
    return ImageSource(classes, counts, fingerprint, splits.__getitem__, notes)
