"""What lies in an ImageNet-style folder, checked before any training starts. Standard library only."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from transmix.errors import UserError

SPLITS = {"train": ("train", "training"), "val": ("val", "validation", "valid")}
IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")  # what timm's folder reader takes as an image


@dataclass(frozen=True)
class ImageFolders:
    """A data set of class folders: ``root/{train,val}/<class>/<image>``.

    Attributes:
        root: the folder given.
        classes: class names in label order, as timm's folder reader counts them (``c2`` before ``c10``).
        counts: images in each split.
        fingerprint: hash over all split, class and file names.
    """

    root: Path
    classes: tuple[str, ...]
    counts: dict[str, int]
    fingerprint: str

    def split(self, name: str) -> Path:
        """The folder of a split, ``train`` or ``val``, under whichever of its usual names it has."""
        return _split_folder(self.root, name)


def read_folders(root: Path | str) -> ImageFolders:
    """List and check a data set of class folders.

    Raises:
        UserError: the root or a split is missing, a class folder has no images, or the splits differ in classes.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"no such data folder: {root} (it should hold train/<class>/*.JPEG and val/<class>/*.JPEG)")
    digest, counts, classes = hashlib.sha256(), {}, {}
    for split in SPLITS:
        folder = _split_folder(root, split)
        classes[split] = sorted((entry.name for entry in os.scandir(folder) if entry.is_dir()), key=_natural)
        if not classes[split]:
            raise UserError(f"no class folders in {folder} (expected {folder}/<class>/*.JPEG)")
        counts[split] = 0
        for name in classes[split]:
            images = _images(folder / name)
            counts[split] += len(images)
            digest.update("\n".join([f"{split}/{name}", *images, ""]).encode())
    if classes["train"] != classes["val"]:
        only = sorted(set(classes["train"]) ^ set(classes["val"]))[0]
        where = "train" if only in classes["train"] else "val"
        raise UserError(f"class folder {only!r} exists in {where} only: {root} needs the same classes in both splits")
    return ImageFolders(root, tuple(classes["train"]), counts, digest.hexdigest()[:16])


def _split_folder(root: Path, split: str) -> Path:
    for name in SPLITS[split]:
        if (root / name).is_dir():
            return root / name
    raise UserError(f"no {split} folder in {root} (expected {root / split}/<class>/*.JPEG)")


def _natural(name: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name.lower())]


def _images(folder: Path) -> list[str]:
    entries = list(os.scandir(folder))
    nested = next((entry.path for entry in entries if entry.is_dir()), None)
    if nested:
        raise UserError(f"folder {nested} lies inside a class folder: images belong directly into {folder}")
    images = sorted(entry.name for entry in entries if entry.name.lower().endswith(IMAGE_SUFFIXES))
    if not images:
        raise UserError(f"class folder {folder} holds no images ({', '.join(IMAGE_SUFFIXES)}): fill it or remove it")
    return images
