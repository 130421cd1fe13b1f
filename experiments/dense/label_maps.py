"""Label maps: PNG files with a class number a pixel, read as what they hold and checked with their images.

mmseg takes whatever Pillow gives and cuts it to eight bits: 257 becomes class 1, four-bit grey is stretched, and
colours are a third dimension. Here a file holds class numbers, in whichever way PNG can say that, or is refused.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.dense.frames import size_fault
from transmix.common.errors import UserError
from transmix.common.progress import progress_bar
from transmix.data.faults import Faults
from transmix.data.opening import PNG, UnreadableImage, check_regular, orientation, read_pixels
from transmix.data.remembered import listing_key, remembered

NONE = 255  # no class, whatever the classes are
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # PNG's colour types
HEAD = 26  # bytes up to the colour type


def read_labels(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """A label map (H, W): grey or palette of 1 to 16 bits, or three equal channels.

    Raises:
        UnreadableImage: why it holds no class numbers below 256, and the remedy.
    """
    image, bits, colour = _open(path)
    pixels = np.asarray(image)
    if colour in (RGB, RGBA, GREY_ALPHA):
        return _one_channel(pixels, bits, colour)
    if bits == 16:
        if (largest := int(pixels.max())) > NONE:
            raise UnreadableImage(f"has label {largest}, which eight bits do not hold: save class numbers up to 255")
    elif colour == GREY and bits in (2, 4):
        pixels = pixels // (NONE // (2**bits - 1))  # Pillow stretches grey to 0..255
    return pixels.astype(np.uint8)


def count_labels(path: str | os.PathLike[str]) -> tuple[tuple[int, int], NDArray[np.int64]]:
    """(width, height) of a label map, and how many pixels have each of 256 labels; errors as `read_labels`."""
    image, bits, colour = _open(path)
    if bits != 8 or colour not in (GREY, PALETTE):
        image = Image.fromarray(read_labels(path))
    return image.size, np.array(image.histogram()[:256])


def _open(path: str | os.PathLike[str]) -> tuple[Image.Image, int, int]:
    """A PNG with its pixels, its bits a channel and its colour type."""
    check_regular(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            image = read_pixels(file, PNG, os.fspath(path))
            if orientation(image) != 1:
                raise UnreadableImage("has an EXIF orientation, by which some readers turn it")
    except UnreadableImage as error:
        raise UnreadableImage(f"{error}: save the class numbers as an 8-bit PNG") from error
    return image, *head[-2:]


def _one_channel(pixels: NDArray[np.uint8], bits: int, colour: int) -> NDArray[np.uint8]:
    if bits == 16:
        raise UnreadableImage("has several channels of 16 bits: save the class numbers as an 8-bit grey PNG")
    if colour in (RGBA, GREY_ALPHA):
        if pixels[..., -1].min() < NONE:
            raise UnreadableImage("is transparent in places: save the class numbers as an 8-bit grey PNG")
        pixels = pixels[..., :-1]
    if (pixels != pixels[..., :1]).any():
        raise UnreadableImage(
            "holds colours instead of class numbers: translate them by the data set's palette, and save the numbers "
            "as an 8-bit grey or palette PNG"
        )
    return np.ascontiguousarray(pixels[..., 0])


def check_label_maps(
    pairs: Sequence[tuple[str, str]], num_classes: int, zero_is_none: bool, cache: Path | None, name: str
) -> None:
    """Look at all label maps of a split, and at their images' headers, once for as long as they do not change.

    Args:
        pairs: paths of an image and its label map.
        num_classes: how many classes there are.
        zero_is_none: whether 0 is no class, and classes are counted from 1, as in ADE20K.
        cache: where it is kept that all were found whole.
        name: of the split.

    Raises:
        UserError: names the first file that is wrong, the remedy, and how many more there are; or no pixel has a class.
    """
    low = int(zero_is_none)
    allowed = np.zeros(256, bool)
    allowed[low : low + num_classes] = True

    def look(pair: tuple[str, str]) -> tuple[str, bool]:
        """What is wrong with one pair, and whether a pixel has a class."""
        image, path = pair
        try:
            size, counts = count_labels(path)
        except UnreadableImage as error:
            return f"{path} {error}", True
        wrong = np.flatnonzero(counts[:NONE] * ~allowed[:NONE])
        wrong = wrong[wrong > 0] if zero_is_none else wrong
        if len(wrong):
            none = "0 and 255 are" if zero_is_none else "255 is"
            return (
                f"{path} has label {wrong[0]} at {counts[wrong[0]]:,} pixels, but classes go from {low} to "
                f"{low + num_classes - 1} ({none} no class): save the class numbers of this data set",
                True,
            )
        return size_fault(Path(image), size, "its label map has"), bool(counts[allowed].any())

    def check() -> dict[str, Any]:
        faults, labelled = Faults(), False
        with ThreadPoolExecutor(os.cpu_count()) as pool, progress_bar() as bar:
            line = bar.add_task(f"looking at label maps ({name})", total=len(pairs), note="")
            for fault, any_class in pool.map(look, pairs, chunksize=16):
                labelled |= any_class
                if fault:
                    faults.add(fault)
                bar.advance(line)
        faults.check()
        if pairs and not labelled:
            raise UserError(
                f"no pixel of the {len(pairs):,} label maps beside {pairs[0][1]} has a class, from {low} to "
                f"{low + num_classes - 1}: save class numbers (255 is no class)"
            )
        return {"pairs": len(pairs)}

    files = sorted(file for pair in pairs for file in pair)
    remembered(cache, f"labels-{name}", listing_key(files, num_classes, zero_is_none), check)
