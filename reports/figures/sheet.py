"""The contact sheet of a sweep: what each setting does to one image, as its run drew it."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from reports.figures.predictions import UNREADABLE
from reports.formats.table import Source
from reports.records.collect import Collected, unreadable_file
from reports.tables.occlusion import METHOD_NAMES

FILE = "sheet.png"


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


def find_sheet(collected: Collected) -> tuple[Sheet | None, list[str]]:
    """The sheet of the first sweep that has one, and one line for each that cannot be read."""
    problems = []
    done = (collected.done("occlusion", row, method) for row in collected.study.rows for method in METHOD_NAMES)
    for result in (result for results in done for result in results):
        path = result.run.folder / FILE
        try:
            with Image.open(path, formats=["PNG"]) as file:
                file.load()
        except FileNotFoundError:
            continue
        except UNREADABLE as error:
            problems.append(unreadable_file("contact sheet", path, error, result.run))
            continue
        curves = ", ".join(result.metrics["curves"]).replace("_", " ")
        alt = f"One image, clean and under each setting of: {curves}."
        return Sheet(path.read_bytes(), alt, result.source), problems
    return None, problems
