"""Which of a model's classes the class folders of a benchmark are about."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from timm.data import ImageNetInfo

from transmix.common.errors import UserError
from transmix.data.sources.folders import check_images
from transmix.data.sources.listing import class_images
from transmix.data.sources.source import digest


def listed(folder: Path) -> dict[str, list[str]]:
    """`class_images` of a folder that a user named.

    Raises:
        UserError: there is no such folder, or what is wrong with it.
    """
    if not folder.is_dir():
        raise UserError(f"no such data folder: {folder} (it should hold <class>/*.JPEG)")
    return class_images(folder)


def class_names(folder: Path) -> tuple[str, ...]:
    """The class folders in `folder`, in the order of the labels that timm gives them; errors as `listed`."""
    return tuple(listed(folder))


def check_folder(folder: Path) -> None:
    """Look at the header of every image before any is measured; `UserError` as `listed`, or names the first bad one."""
    check_images({folder: listed(folder)}, None)


def describe_folder(folder: Path) -> dict[str, Any]:
    """What a record says about class folders: where they are, and what tells them from others.

    Raises:
        UserError: as `listed`.
    """
    names = [f"{name}/{image}" for name, images in listed(folder).items() for image in images]
    return {"path": str(folder), "images": len(names), "fingerprint": digest(names)}


@cache
def imagenet_classes() -> tuple[str, ...]:
    """ImageNet-1k's classes by WordNet id, in the order of every published model's outputs."""
    return tuple(ImageNetInfo().label_names())


@cache
def imagenet_a_classes() -> tuple[str, ...]:
    """The 200 of them that ImageNet-A is about, from timm's list."""
    indices = pkgutil.get_data("timm.data", "_info/imagenet_a_indices.txt").decode().split()
    return tuple(imagenet_classes()[int(index)] for index in indices)


def classes_of(outputs: int, folder: Path, own: bool = False) -> tuple[str, ...]:
    """The names of a model's classes, as far as its number of outputs and the folders to be classified tell.

    Args:
        outputs: how many classes the model tells apart.
        folder: of class folders.
        own: with as many classes as ImageNet has, the model's are nevertheless these folders in their order.

    Raises:
        UserError: the folders are not the model's classes, nor some of ImageNet's if the model may be one of ImageNet.
    """
    names = class_names(folder)
    if outputs == len(imagenet_classes()) and set(names) <= set(imagenet_classes()):
        return imagenet_classes()
    if len(names) == outputs:
        if outputs == len(imagenet_classes()) and not own and not numbered(names):
            raise UserError(
                f"the {outputs:,} class folders in {folder} are not called by ImageNet's WordNet ids ({names[0]!r}), "
                "so their order says nothing about an ImageNet model's classes: rename them to ids, or say "
                "--own-classes for a model that was trained on these folders"
            )
        return names
    raise UserError(
        f"{folder} has {len(names)} class folders and the model {outputs} classes: give the data that it was trained on"
    )


def numbered(names: Sequence[str]) -> bool:
    """Whether class folders are called by their labels, ``0`` (or ``0000``), ``1``, ..."""
    return all(name.isdecimal() and int(name) == label for label, name in enumerate(names))


def positions(names: Sequence[str], known: Sequence[str], folder: Path) -> list[int]:
    """Where a benchmark's classes are among those that a model knows.

    Raises:
        UserError: the model does not know one of them.
    """
    place = {name: index for index, name in enumerate(known)}
    for name in names:
        if name not in place:
            raise UserError(f"class folder {folder / name} is none of the model's {len(known)} classes: remove it")
    return [place[name] for name in names]


def check_imagenet_a(names: Sequence[str], folder: Path) -> None:
    """Raise `UserError` unless the folders are exactly ImageNet-A's classes."""
    missing = sorted(set(imagenet_a_classes()).difference(names))
    if missing:
        raise UserError(f"{folder} is not ImageNet-A: class folder {missing[0]} is missing ({len(missing)} in all)")
    others = sorted(set(names).difference(imagenet_a_classes()))
    if others:
        raise UserError(f"{folder} is not ImageNet-A: class folder {others[0]} is none of its 200 classes")
