"""Pictures that fine-tuned models make of validation images, as their runs have drawn them."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

from PIL import Image

from reports.analysis.words import number
from reports.formats.table import Source
from reports.records.collect import Collected, Result, unreadable_file
from reports.tables.fine_tuning import WEIGHTS, Setup, Task, setups

FILE = "predictions.png"
SIDE = (900, 2400)  # pixels at most: the page embeds the pictures
OPEN = 1  # pictures of a table that are shown at once; the others wait behind a click
UNREADABLE = (OSError, ValueError, SyntaxError, zlib.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class Prediction:
    """The picture of one run.

    Attributes:
        title: whose it is.
        alt: what it shows, for who cannot see it.
        source: the run's record.
        jpeg: the picture, made smaller if it is large.
        size: (width, height) in pixels.
    """

    title: str
    alt: str
    source: Source
    jpeg: bytes
    size: tuple[int, int]


def find_predictions(collected: Collected, task: Task) -> tuple[list[Prediction], list[str]]:
    """A picture of each row and head, and one line for each that cannot be read."""
    found, problems = [], []
    for setup in setups(collected, task):
        result = _shown(setup)
        if result is None:
            continue
        try:
            found.append(read_prediction(setup, task, result))
        except UNREADABLE as error:
            problems.append(unreadable_file("picture", result.run.folder / FILE, error, result.run))
    return found, problems


def _shown(setup: Setup) -> Result | None:
    """The first run that has a picture: one of TransMix's weights if there is any."""
    results = [result for method in reversed(WEIGHTS) if method in setup.arms for result in setup.arms[method].results]
    return next((result for result in results if FILE in result.record["files"]), None)


def read_prediction(setup: Setup, task: Task, result: Result) -> Prediction:
    """The picture of one run.

    Raises:
        one of `UNREADABLE`: the file is missing or not a picture.
    """
    with Image.open(result.run.folder / FILE, formats=["PNG"]) as file:
        picture = file.convert("RGB")
    picture.thumbnail(SIDE, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=85, subsampling=0, optimize=True)
    weights = WEIGHTS[result.run.method]
    title = f"{setup.name}, {weights} weights, seed {result.run.seed}"
    return Prediction(title, _alt(setup, task, result), result.source, buffer.getvalue(), picture.size)


def _alt(setup: Setup, task: Task, result: Result) -> str:
    scores = ", ".join(
        f"{name} {number(result.metrics[metric])} %"
        for metric, name in task.verdicts.items()
        if result.metrics[metric] is not None
    )
    return (
        f"Validation images of {result.record['data']['name']}, one a line: the image, the truth, and the {task.drawn} "
        f"that {setup.name} predicts, fine-tuned from {WEIGHTS[result.run.method]} weights"
        + (f" ({scores} over all images)." if scores else ".")
    )
