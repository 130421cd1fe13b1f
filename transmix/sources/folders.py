"""ImageNet-style class folders, checked before any training starts."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from transmix.errors import UserError
from transmix.sources.images import StrictImages
from transmix.sources.source import SPLITS, ImageSource, find_split, natural_key

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")  # what timm's folder reader takes as an image


def read_folders(root: Path | str) -> ImageSource:
    """List and check ``root/{train,val}/<class>/<image>``; the fingerprint covers all split, class and file names.

    Raises:
        UserError: a split is missing, a class folder has no images, or the splits differ in classes.
    """
    root = Path(root)
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

    def open_split(split: str) -> FolderImages:
        return FolderImages(split_folder(root, split))

    return ImageSource(tuple(classes["train"]), counts, digest.hexdigest()[:16], open_split)


class FolderImages(StrictImages):
    """The images of a folder of class folders in timm's order, class by class."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder


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
