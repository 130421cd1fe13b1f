"""timm's data set, as strict as the suite needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from timm.data import ImageDataset

from transmix.data.opening import read_pixels, to_rgb


class StrictImages(ImageDataset):
    """timm's data set by index, except that an image that cannot be read is an error, and so is what is no image.

    timm would put the next image in its place, and let Pillow guess what a file is. Arguments are `ImageDataset`'s.
    """

    folder: Path | None = None

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(root, **options)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        file, label, *_ = self.reader[index]
        with file:
            return to_rgb(read_pixels(file, name=getattr(file, "name", ""))), label
