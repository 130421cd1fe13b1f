"""ImageNet-style class folders, checked before any training starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from timm.data.readers.reader import Reader

from transmix.common.progress import progress_bar
from transmix.data import copies
from transmix.data.faults import Faults
from transmix.data.opening import DEEP, UnreadableImage, check_regular, read_header, read_pixels, to_rgb
from transmix.data.remembered import listing_key, remembered
from transmix.data.sources.images import StrictImages
from transmix.data.sources.listing import ascii_path, class_images, labelled_files, list_folders, split_folder
from transmix.data.sources.source import SPLITS, ImageSource

AT_ONCE = 8  # threads: on a network drive, headers are mostly waited for


def read_folders(root: Path | str, cache: Path | None = None, subset: str = "") -> ImageSource:
    """List and check ``root/{train,val}/<class>/<image>``; the fingerprint covers all split, class and file names.

    Args:
        root: of the splits.
        cache: where it is kept that all images were looked at.
        subset: the list whose classes are read (`transmix.data.sources.class_lists`); empty for all.

    Raises:
        UserError: a split or a class of the list is missing, a class folder has no images, the splits differ in
            classes, or a file is none.
    """
    root = Path(root)
    listing = list_folders(root, subset)

    def open_split(split: str) -> FolderImages:
        return FolderImages(split_folder(root, split), subset)

    folders = [split_folder(root, split) for split in SPLITS]
    notes = check_images({folder: class_images(folder, subset=subset) for folder in folders}, cache)
    return ImageSource(listing.classes, listing.counts, listing.fingerprint, open_split, listing.notes + notes)


class FolderImages(StrictImages):
    """The images of a folder of class folders in timm's order, class by class."""

    def __init__(self, folder: Path, subset: str = "") -> None:
        super().__init__(str(folder), reader=FolderReader(folder, subset))
        self.folder = folder


class FolderReader(Reader):
    """What `StrictImages` asks for. timm's own reader numbers classes of one `natural_key` by chance.

    Args:
        folder: of class folders.
        subset: the list whose classes are read; empty for all.
    """

    def __init__(self, folder: Path, subset: str = "") -> None:
        super().__init__()
        self.folder = str(folder)
        self.files = labelled_files(folder, subset)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[BinaryIO, int]:
        name, label = self.files[index]
        path = os.path.join(self.folder, name)
        check_regular(path)
        return open(path, "rb"), label

    def _filename(self, index: int, basename: bool = False, absolute: bool = False) -> str:
        name = self.files[index][0]
        return os.path.basename(name) if basename else os.path.join(self.folder, name) if absolute else name


def check_images(splits: Mapping[Path, Mapping[str, list[str]]], cache: Path | None) -> tuple[str, ...]:
    """Look at the header and the end of every image of class folders, once for as long as they do not change.

    Args:
        splits: the names of the images of each class, by the folder of a split; if there are two, training comes first.
        cache: where it is kept that they were looked at.

    Returns:
        which images of two splits are there twice, in words.

    Raises:
        UserError: names the first file that cannot be read as an image, with how many more there are.
    """
    files = [
        [os.path.join(folder, label, image) for label, images in found.items() for image in images]
        for folder, found in splits.items()
    ]
    paths = [path for split in files for path in split]

    def check() -> dict[str, Any]:
        faults = Faults()
        with ThreadPoolExecutor(AT_ONCE) as pool, progress_bar() as bar:
            line = bar.add_task(f"looking at {' and '.join(map(str, splits))}", total=len(paths), note="")
            for path, fault in zip(paths, pool.map(image_fault, paths, chunksize=64), strict=True):
                if fault:
                    faults.add(f"{ascii_path(path)} {fault}: replace it or remove it")
                bar.advance(line)
        faults.check()
        pictures = [copies.files(split, of_classes=True) for split in files]
        return {"images": len(paths), "notes": copies.describe_copies(*pictures) if len(pictures) == 2 else ()}

    return tuple(remembered(cache, "images", listing_key(paths), check)["notes"])


def image_fault(path: str) -> str:
    """Why an image cannot be used; empty if it can."""
    try:
        if read_header(path).mode in DEEP:  # there are few: what they hold is looked at
            to_rgb(read_pixels(path))
    except UnreadableImage as error:
        return str(error)
    return ""
