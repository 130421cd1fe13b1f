"""Pictures that runs drew beside their records: contact sheets of sweeps, predictions of fine-tuned models."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from reports.formats.table import Source
from reports.records.collect import Result, unreadable_file

SIDE = (900, 2400)  # pixels at most: the page embeds the pictures
UNREADABLE = (OSError, ValueError, SyntaxError, zlib.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class Wanted:
    """A picture that a section would show.

    Attributes:
        result: the run that drew it.
        file: its name beside the record.
        caption: whose it is.
        alt: what it shows, for those who cannot see it.
    """

    result: Result
    file: str
    caption: str
    alt: str


@dataclass(frozen=True)
class RunImage:
    """A picture that a run drew; the first three attributes are those of `Wanted`.

    Attributes:
        file: its name beside the record.
        caption: whose it is.
        alt: what it shows.
        source: the run's record.
        content: the picture as JPEG, or as PNG where it is small enough to be shown as it is.
        media_type: which of the two.
        size: (width, height) in pixels.
    """

    file: str
    caption: str
    alt: str
    source: Source
    content: bytes
    media_type: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Album:
    """Pictures of runs below one heading.

    Attributes:
        heading: what they have in common; empty for none.
        images: the pictures.
        shown: how many are shown at once; the others wait behind a click.
    """

    heading: str
    images: tuple[RunImage, ...]
    shown: int = 1
    kind = "album"
    pictures = ()  # none that the report draws


def read_images(
    wanted: Iterable[Wanted], most: int | None = None, exact: bool = False
) -> tuple[tuple[RunImage, ...], tuple[str, ...]]:
    """Those of some pictures that can be read, and one line for each that cannot.

    Args:
        wanted: the pictures.
        most: stop when so many are found.
        exact: show the file as it is, not as a smaller JPEG.
    """
    found, problems = [], []
    for one in wanted:
        if len(found) == most:
            break
        try:
            found.append(_read(one, exact))
        except UNREADABLE as error:
            path = one.result.folder / one.file
            problems.append(unreadable_file("picture", path, error, one.result.run))
    return tuple(found), tuple(problems)


def _read(wanted: Wanted, exact: bool) -> RunImage:
    path = wanted.result.folder / wanted.file
    with Image.open(path, formats=["PNG"]) as file:
        picture = file.convert("RGB")
    content, media_type = path.read_bytes(), "image/png"
    if not exact:
        picture.thumbnail(SIDE, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG", quality=85, subsampling=0, optimize=True)
        content, media_type = buffer.getvalue(), "image/jpeg"
    return RunImage(wanted.file, wanted.caption, wanted.alt, wanted.result.source, content, media_type, picture.size)
