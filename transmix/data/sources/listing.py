"""ImageNet-style class folders, listed and checked. Standard library only."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from transmix.common.errors import UserError
from transmix.data.sources.source import SPLITS, find_split, natural_key

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")  # what timm's folder reader takes as an image


@dataclass(frozen=True)
class Listing:
    """What ``root/{train,val}/<class>/<image>`` holds.

    Attributes:
        classes: class names in label order.
        counts: images in each split, ``train`` and ``val``.
        fingerprint: over all split, class and file names.
    """

    classes: tuple[str, ...]
    counts: dict[str, int]
    fingerprint: str


def list_folders(root: Path) -> Listing:
    """List and check class folders.

    Raises:
        UserError: a split is missing, a class folder has no images, or the splits differ in classes.
    """
    digest, counts, classes = hashlib.sha256(), {}, {}
    for split in SPLITS:
        found = class_images(split_folder(root, split))
        classes[split], counts[split] = list(found), sum(map(len, found.values()))
        for name, images in found.items():
            digest.update("\n".join([f"{split}/{name}", *images, ""]).encode())
    if classes["train"] != classes["val"]:
        only = sorted(set(classes["train"]) ^ set(classes["val"]))[0]
        where = "train" if only in classes["train"] else "val"
        raise UserError(f"class folder {only!r} exists in {where} only: {root} needs the same classes in both splits")
    return Listing(tuple(classes["train"]), counts, digest.hexdigest()[:16])


def split_folder(root: Path, split: str) -> Path:
    """The folder of a split, ``train`` or ``val``, under whichever of its usual names it has."""
    name = find_split(split, {entry.name for entry in os.scandir(root) if entry.is_dir()})
    if name is None:
        raise UserError(f"no {split} folder in {root} (expected {root / split}/<class>/*.JPEG)")
    return root / name


def class_images(folder: Path) -> dict[str, list[str]]:
    """The names of the images in each class folder of `folder`, in the order of the labels that timm gives them.

    Raises:
        UserError: there are no class folders, one is empty, or images lie elsewhere, where timm would see more classes.
    """
    entries = list(os.scandir(folder))
    classes = sorted((entry.name for entry in entries if entry.is_dir()), key=natural_key)
    if not classes:
        raise UserError(f"no class folders in {folder} (expected {folder}/<class>/*.JPEG)")
    stray = next((entry.name for entry in entries if entry.name.lower().endswith(IMAGE_SUFFIXES)), None)
    if stray:
        raise UserError(f"image {folder / stray} lies beside the class folders: move it into one or remove it")
    return {name: _images(folder / name) for name in classes}


def _images(folder: Path) -> list[str]:
    entries = list(os.scandir(folder))
    nested = next((entry.path for entry in entries if entry.is_dir()), None)
    if nested:
        raise UserError(f"folder {nested} lies inside a class folder: images belong directly into {folder}")
    images = sorted(entry.name for entry in entries if entry.name.lower().endswith(IMAGE_SUFFIXES))
    if not images:
        raise UserError(f"class folder {folder} holds no images ({', '.join(IMAGE_SUFFIXES)}): fill it or remove it")
    return images
