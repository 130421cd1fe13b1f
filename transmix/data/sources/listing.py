"""ImageNet-style class folders, listed and checked. Standard library only.

Labels and images are ordered as timm orders them, by `natural_key`; where that ties (``A`` and ``a``, ``1`` and
``01``), the name itself decides, so that every process and every command numbers the same classes alike.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from transmix.common.errors import UserError
from transmix.data.sources.class_lists import check_all_there, class_list
from transmix.data.sources.source import SPLITS, find_split, natural_key

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's list
UNWRITABLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, line ends, and bytes that are no UTF-8
# what notebooks, file servers and archives leave in folders of images; a dot begins whatever else is hidden
NO_CLASSES = (".", "__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
MAC = "._"  # macOS keeps a file's attributes beside it, under such a name


@dataclass(frozen=True)
class Listing:
    """What ``root/{train,val}/<class>/<image>`` holds.

    Attributes:
        classes: class names in label order.
        counts: images in each split, ``train`` and ``val``.
        fingerprint: over all split, class and file names.
        notes: which files were left out, a line a split.
    """

    classes: tuple[str, ...]
    counts: dict[str, int]
    fingerprint: str
    notes: tuple[str, ...] = ()


def list_folders(root: Path, subset: str = "") -> Listing:
    """List and check class folders.

    Args:
        root: of the splits.
        subset: the list whose classes are read (`transmix.data.sources.class_lists`); empty for all.

    Raises:
        UserError: a split is missing, a class folder has no images, or the splits differ in classes.
    """
    digest, counts, classes, notes = hashlib.sha256(), {}, {}, []
    for split in SPLITS:
        left_out: Counter[str] = Counter()
        folder = split_folder(root, split)
        found = class_images(folder, left_out, subset)
        classes[split], counts[split] = list(found), sum(map(len, found.values()))
        notes += describe_left_out(folder, left_out)
        for name, images in found.items():
            digest.update("\n".join([f"{split}/{name}", *images, ""]).encode("utf-8", "surrogateescape"))
    if classes["train"] != classes["val"]:
        only = sorted(set(classes["train"]) ^ set(classes["val"]))[0]
        where, other = ("train", "val") if only in classes["train"] else ("val", "train")
        if any(_spelling(name) == _spelling(only) for name in classes[other]):
            raise UserError(
                f"class folder {only!r} of {root} is spelled in two ways in Unicode, one in train and one in val: "
                "give both the same name"
            )
        raise UserError(f"class folder {only!r} exists in {where} only: {root} needs the same classes in both splits")
    if len(classes["train"]) == 1:
        raise UserError(f"{root} has one class only, {classes['train'][0]!r}, and nothing to tell it from: give others")
    return Listing(tuple(classes["train"]), counts, digest.hexdigest()[:16], tuple(notes))


def split_folder(root: Path, split: str) -> Path:
    """The folder of a split, ``train`` or ``val``, under whichever of its usual names it has."""
    if (found := _split_in(root, split)) is not None:
        return found
    near = _with_splits(root.absolute().parent, *_folders(root))
    rather = f": give {near}, which has one" if near else f" (expected {root / split}/<class>/*.JPEG)"
    raise UserError(f"no {split} folder in {root}{rather}")


def _split_in(root: Path, split: str) -> Path | None:
    name = find_split(split, {folder.name for folder in _folders(root)})
    return root / name if name else None


def _with_splits(*folders: Path) -> Path | None:
    """The first that holds every split: what somebody meant who named a folder above or below it."""
    for folder in folders:
        try:
            if all(_split_in(folder, split) for split in SPLITS):
                return folder
        except OSError:  # somebody else's, or a link in a circle: nobody named it
            continue
    return None


def _no_split(folder: Path) -> UserError | None:
    """The error for a folder that was taken for a split, and holds the splits, or a folder of them."""
    near = _with_splits(folder, *_folders(folder))
    return near and UserError(f"{folder} holds no class folders: give a split, such as {_split_in(near, 'val')}")


def _folders(root: Path) -> list[Path]:
    return sorted(Path(entry) for entry in os.scandir(root) if os.path.isdir(entry))  # no error for a link in a circle


def class_images(folder: Path, left_out: Counter[str] | None = None, subset: str = "") -> dict[str, list[str]]:
    """The names of the images in each class folder of `folder`, in the order of the labels.

    Args:
        folder: of a split.
        left_out: counts the suffixes of the files that are not read.
        subset: the list whose classes are read; empty for all.

    Raises:
        UserError: there are no class folders, one is empty or has a name that cannot be used, images lie elsewhere, or
            a class of the list is missing.
    """
    left_out = Counter() if left_out is None else left_out
    entries = list(os.scandir(folder))
    classes = sorted((entry.name for entry in entries if entry.is_dir()), key=lambda name: (natural_key(name), name))
    if not classes:
        raise UserError(f"no class folders in {folder} (expected {folder}/<class>/*.JPEG)")
    stray = next((entry.name for entry in entries if _is_image(entry.name) and not entry.is_dir()), None)
    if stray:
        raise _no_split(folder) or UserError(
            f"image {folder / stray} lies beside the class folders: move it into one or remove it"
        )
    if subset:
        check_all_there(folder, {*classes}, class_list(subset), subset)
        classes = [*class_list(subset)]
    _check_names(folder, classes)
    return {name: _images(folder / name, left_out) for name in classes}


def labelled_files(folder: Path, subset: str = "") -> list[tuple[str, int]]:
    """Each image of a split as ``<class>/<name>`` with its label, in timm's order; `subset` as in `class_images`."""
    found = class_images(folder, subset=subset)
    files = [(f"{name}/{image}", label) for label, (name, images) in enumerate(found.items()) for image in images]
    return sorted(files, key=lambda file: (natural_key(file[0]), file[0]))


def _check_names(folder: Path, classes: list[str]) -> None:
    spelled: dict[str, str] = {}
    for name in classes:
        if name.startswith(NO_CLASSES):
            raise UserError(f"folder {folder / name} is no class, some program has left it there: remove it")
        if not UNWRITABLE.isdisjoint(map(unicodedata.category, name)):
            raise UserError(f"class folder {name!r} in {folder} has a name that cannot be written: rename it in UTF-8")
        if spelled.setdefault(_spelling(name), name) != name:
            raise UserError(f"class folder {name!r} is twice in {folder}, spelled in two ways in Unicode: merge them")


def _spelling(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(MAC)


def _images(folder: Path, left_out: Counter[str]) -> list[str]:
    images = []
    for entry in os.scandir(folder):
        if _is_image(entry.name):
            if entry.is_file():
                images.append(entry.name)
                continue
            if not entry.is_dir():
                raise UserError(f"{ascii_path(entry.path)} is no regular file, or a link to none: remove it")
        if entry.is_dir():
            raise _no_split(folder.parent) or UserError(
                f"folder {entry.path} lies inside a class folder: images belong directly into {folder}"
            )
        left_out[MAC if entry.name.startswith(MAC) else os.path.splitext(entry.name)[1].lower()] += 1
    if not images:
        raise UserError(f"class folder {folder} holds no images ({', '.join(IMAGE_SUFFIXES)}): fill it or remove it")
    return sorted(images)


def describe_left_out(folder: Path, left_out: Counter[str]) -> list[str]:
    """A line about the files of `folder` that are not read; none where all are."""
    kinds = [f"{count:,} {MAC + '*' if kind == MAC else kind or 'without suffix'}" for kind, count in left_out.items()]
    return [f"{folder}: left out, because they are read as no images: {', '.join(sorted(kinds))}"] if kinds else []


def ascii_path(path: str | os.PathLike[str]) -> str:
    """A path that can be printed: bytes that are no UTF-8 are escaped."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode()
