"""The contact sheet of a sweep: what each setting does to one image, as its run drew it."""

from __future__ import annotations

from dataclasses import dataclass

from reports.collect import Collected
from reports.occlusion import METHOD_NAMES
from reports.table import Source

FILE = "sheet.png"
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Sheet:
    """A finished picture.

    Attributes:
        png: as it lies beside the record.
        alt: what it shows.
        source: the record.
    """

    png: bytes
    alt: str
    source: Source


def find_sheet(collected: Collected) -> Sheet | None:
    """The sheet of the first sweep that has one."""
    for row in collected.study.rows:
        for method in METHOD_NAMES:
            for result in collected.done("occlusion", row, method):
                path = result.run.folder / FILE
                png = path.read_bytes() if path.is_file() else b""
                if png.startswith(_PNG):
                    curves = ", ".join(result.metrics["curves"]).replace("_", " ")
                    return Sheet(png, f"One image, clean and under each setting of: {curves}.", result.source)
    return None
