"""ImageNet-style class folders, checked before any training starts."""

from __future__ import annotations

from pathlib import Path

from transmix.data.sources.images import StrictImages
from transmix.data.sources.listing import list_folders, split_folder
from transmix.data.sources.source import ImageSource


def read_folders(root: Path | str) -> ImageSource:
    """List and check ``root/{train,val}/<class>/<image>``; the fingerprint covers all split, class and file names.

    Raises:
        UserError: a split is missing, a class folder has no images, or the splits differ in classes.
    """
    root = Path(root)
    listing = list_folders(root)

    def open_split(split: str) -> FolderImages:
        return FolderImages(split_folder(root, split))

    return ImageSource(listing.classes, listing.counts, listing.fingerprint, open_split)


class FolderImages(StrictImages):
    """The images of a folder of class folders in timm's order, class by class."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder
