"""Images are opened as what their names say, and by decoders that start no program.

Pillow goes by a file's content: asked to open a ``.jpg`` that holds PostScript, it starts Ghostscript on it. Here the
name decides which decoders may look at a file. Photographs are one family, because data sets mix them up (ImageNet has
a PNG called ``.JPEG``); a label map or mask called ``.png`` must be one. Pillow's limit on the number of pixels stays.
"""

from __future__ import annotations

import io
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

PHOTOS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
FORMATS = {".tif": ("TIFF",), ".tiff": ("TIFF",), ".ppm": ("PPM",), ".pgm": ("PPM",)}  # all others: `PHOTOS`
PNG = ("PNG",)
ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}  # how JPEG and PNG begin and end; inside, they hold no end
HEAD = 4096  # bytes at its beginning in which its size mostly is
FRAMES = {0xC0, 0xC1, 0xC2, 0xC3}  # JPEG's markers before an image's size
JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}  # by colour type
TAIL = 1024  # bytes at the end of a file in which the end is looked for
ORIENTATION = 0x0112  # EXIF's tag: 1 is upright, 5 to 8 lie on a side
SIDEWAYS = range(5, 9)
DEEP = ("I;16", "I;16L", "I;16B", "I;16N")  # Pillow's modes of 16-bit grey
_FAILURES = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, MemoryError, ArithmeticError)


class UnreadableImage(OSError):
    """Says why a file is no image that can be read, without its name."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image say.

    Attributes:
        size: (width, height) in pixels as stored.
        mode: Pillow's, e.g. ``RGB``.
        kind: Pillow's name of the format, e.g. ``JPEG``.
        orientation: EXIF's, 1 to 8; 1 where there is none.
    """

    size: tuple[int, int]
    mode: str
    kind: str
    orientation: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the image turned as its orientation asks."""
        return self.size[::-1] if self.orientation in SIDEWAYS else self.size


def open_image(
    file: str | os.PathLike[str] | BinaryIO, formats: tuple[str, ...] | None = None, name: str = ""
) -> Image.Image:
    """An image whose pixels are not read yet.

    Args:
        file: a path, or an open file.
        formats: Pillow's names of those that are allowed; by default those of the name's suffix.
        name: of an open file.

    Raises:
        UnreadableImage: it is no regular file, no image of an allowed format, or over Pillow's limit on pixels.
    """
    if isinstance(file, str | os.PathLike):
        name = os.fspath(file)
        check_regular(name)
    formats = formats or FORMATS.get(Path(name).suffix.lower(), PHOTOS)
    try:
        return Image.open(file, formats=formats)
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(f"holds no image of the kind that its name says ({', '.join(formats)})") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, Pillow's limit") from error
    except _FAILURES as error:
        raise UnreadableImage(f"cannot be read as an image ({error})") from error


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise `UnreadableImage` unless there is a regular file: reading a FIFO or a device could wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise UnreadableImage("is not there") from error
    if not stat.S_ISREG(mode):
        raise UnreadableImage("is no regular file")


def read_pixels(
    file: str | os.PathLike[str] | BinaryIO, formats: tuple[str, ...] | None = None, name: str = ""
) -> Image.Image:
    """`open_image` with the pixels read, whatever goes wrong an `UnreadableImage`; 16-bit grey becomes 8-bit."""
    image = open_image(file, formats, name)
    try:
        image.load()
    except (*_FAILURES, Image.DecompressionBombError, RuntimeError) as error:
        raise UnreadableImage(f"is damaged or cut off ({error})") from error
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """An RGB image of 8 bits; of 16-bit grey the upper eight, which Pillow itself would clip to white.

    Raises:
        UnreadableImage: 32-bit numbers, whose black and white are not known, or 16 bits of which eight are used.
    """
    if image.mode in DEEP:
        values = np.asarray(image)
        if 0 < (most := int(values.max())) < 256:
            raise UnreadableImage(
                f"has 16 bits a pixel and values up to {most} only, which is all but black: save it with 8 bits"
            )
        image = Image.fromarray((values >> 8).astype(np.uint8))
    check_mode(image.mode)
    if isinstance(image.info.get("transparency"), bytes):  # a palette's: it is dropped in any case, Pillow warns of it
        del image.info["transparency"]
    return image.convert("RGB")


def read_header(path: str | os.PathLike[str], formats: tuple[str, ...] | None = None) -> Header:
    """What an image's first bytes say, and that it does not end early; pixels are read only where that is in doubt.

    Raises:
        UnreadableImage: as `read_pixels`.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # or a FIFO would wait for somebody who writes
    except (OSError, ValueError) as error:
        raise UnreadableImage("is not there, or may not be read") from error
    about = os.fstat(number)
    if not stat.S_ISREG(about.st_mode):
        os.close(number)
        raise UnreadableImage("is no regular file")
    with open(number, "rb", buffering=0) as file:
        head, tail = os.pread(number, HEAD, 0), os.pread(number, TAIL, max(0, about.st_size - TAIL))
        return _header(head, tail, lambda: rewound(file), formats, os.fspath(path))


def rewound(file: BinaryIO) -> BinaryIO:
    """A file at its beginning."""
    file.seek(0)
    return file


def read_header_within(file: BinaryIO, offset: int, size: int) -> Header:
    """`read_header` of an image that lies in a file, with others before and behind it."""
    number = file.fileno()
    head, tail = (
        os.pread(number, min(HEAD, size), offset),
        os.pread(number, min(TAIL, size), offset + max(0, size - TAIL)),
    )
    return _header(head, tail, lambda: io.BytesIO(os.pread(number, size, offset)))


def _header(
    head: bytes, tail: bytes, opened: Callable[[], BinaryIO], formats: tuple[str, ...] | None = None, name: str = ""
) -> Header:
    """The header of an image that begins and ends so; `opened` gives all of it."""
    whole = head[:2] in ENDS and ENDS[head[:2]] in tail
    found = quick_header(head) if whole else None
    if found is None or found.kind not in (formats or PHOTOS):
        image = open_image(opened(), formats, name)
        found = Header(image.size, image.mode, image.format or "", orientation(image))
        check_mode(found.mode)
        if not whole:
            read_pixels(opened(), formats, name)
    return found


def quick_header(head: bytes) -> Header | None:
    """What the first bytes of a JPEG or PNG say; None wherever Pillow should look, as at EXIF's orientation.

    Pillow takes ten times as long, which is minutes for a million images.
    """
    try:
        found = _jpeg_header(head) if head[:2] == b"\xff\xd8" else _png_header(head)
    except (IndexError, struct.error):  # it goes on behind these bytes
        return None
    if found is None or not 0 < found.size[0] * found.size[1] <= Image.MAX_IMAGE_PIXELS:
        return None
    return found


def _jpeg_header(head: bytes) -> Header | None:
    position = 2
    while head[position] == 0xFF:
        marker = head[position + 1]
        (length,) = struct.unpack_from(">H", head, position + 2)
        if marker in FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", head, position + 4)
            known = bits == 8 and channels in JPEG_MODES
            return Header((width, height), JPEG_MODES[channels], "JPEG") if known else None
        if head[position + 4 : position + 8] == b"Exif" or length < 2:
            return None
        position += 2 + length
    return None


def _png_header(head: bytes) -> Header | None:
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return None
    width, height, bits, colour = struct.unpack_from(">IIBB", head, 16)
    position = 8
    while head[position + 4 : position + 8] != b"IDAT":
        (length,) = struct.unpack_from(">I", head, position)
        if head[position + 4 : position + 8] == b"eXIf":
            return None
        position += 12 + length
    mode = {(0, 1): "1", (0, 16): "I;16"}.get((colour, bits)) or PNG_MODES.get(colour)
    return mode and Header((width, height), mode, "PNG")


def check_mode(mode: str) -> None:
    """Raise `UnreadableImage` for images of 32-bit numbers, whose black and white are not known."""
    if mode in ("I", "F"):
        raise UnreadableImage("has 32 bits a pixel, of which black and white are not known: save it with 8 bits")


def orientation(image: Image.Image) -> int:
    """EXIF's, 1 to 8; 1 where there is none."""
    if image.format == "TIFF":
        value = image.tag_v2.get(ORIENTATION, 1)
    else:
        content = image.info.get("exif")  # Pillow's own getexif() would read all of a PNG
        if not content:
            return 1
        exif = Image.Exif()
        try:
            exif.load(content)
            value = exif.get(ORIENTATION, 1)
        except _FAILURES:  # what no reader understands turns no image
            return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
