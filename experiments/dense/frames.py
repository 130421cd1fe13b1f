"""Whether annotations lie on their image: its size, and the way up in which its readers show it."""

from __future__ import annotations

from pathlib import Path

from transmix.data.opening import SIDEWAYS, UnreadableImage, read_header

Size = tuple[int, int]  # (width, height)


def size_fault(path: Path, size: Size, by: str, turns: bool = True) -> str:
    """What is wrong between an image and annotations of a size; empty if nothing is.

    OpenCV turns a JPEG as its EXIF orientation asks. Annotations of the turned size are of the turned image; where both
    sizes are the same, nobody knows of which they are.

    Args:
        path: of the image.
        size: (width, height) of what was drawn on it.
        by: who says so, for the message.
        turns: whether the image's reader turns it; timm's does not.
    """
    try:
        header = read_header(path)
    except UnreadableImage as error:
        return f"{path} {error}: replace it"
    if header.orientation != 1:
        told = header.orientation in SIDEWAYS and header.size[0] != header.size[1] and header.kind == "JPEG"
        if told and size == (header.upright_size if turns else header.size):
            return ""
        return (
            f"{path} has EXIF orientation {header.orientation}, by which some readers turn it, and others do not: "
            "save the image upright without that tag, and draw its annotations on that"
        )
    if header.size != size:
        return (
            f"{path} has {shown(header.size)} pixels (width x height), {by} {shown(size)}: "
            "write the size of the file, and see that annotations lie on it"
        )
    return ""


def shown(size: Size) -> str:
    """A size for people."""
    return f"{size[0]} x {size[1]}"
