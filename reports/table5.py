"""Table 5: natural adversarial images, of known classes (ImageNet-A) and of unknown ones (ImageNet-O)."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.protocols import STAND_INS
from experiments.published import model_name
from reports.answers import UNREADABLE, image_difference
from reports.collect import Collected, Result
from reports.occlusion import METHOD_NAMES
from reports.statistics import mean_interval, paired_difference
from reports.table import Cell, Column, Table, missing
from reports.words import gain_text, number

FILE = "scores.npz"
METRICS = {  # key in the record: title, what makes it percent, whether it is about the outliers
    "natural_top1": ("Top-1 (%) ↑", 1, False),
    "rms_calibration_error": ("Calibration error (%), all bins ↓", 100, False),
    "rms_calibration_error_published": ("as published ↓", 100, False),
    "aurra": ("AURRA (%) ↑", 100, False),
    "aupr": ("AUPR (%) ↑", 100, True),
}


def build(collected: Collected) -> Table:
    """A line for each row and method of the study, and their difference where both were measured."""
    sets = names(collected)
    columns = (
        Column("name", "Model", align="left"),
        Column("method", "Method", align="left"),
        *(Column(key, title, sets[outliers]) for key, (title, _, outliers) in METRICS.items()),
    )
    rows = [line for row in collected.study.rows for line in _lines(collected, row)]
    return Table("table5", _caption(collected), columns, tuple(rows), _notes(collected))


def names(collected: Collected) -> tuple[str, str]:
    """What the two sets of images are called."""
    settings = next(result.run.settings for result in collected.results if result.run.kind == "natural")
    return settings["natural"], settings["outliers"]


def _caption(collected: Collected) -> str:
    natural, outliers = names(collected)
    text = (
        f"{natural}: hard images of known classes; calibration error: root mean square over bins of 100 images by "
        "confidence, the published script leaving out the most confident bin; AURRA: area under the response rate "
        f"accuracy curve. {outliers}: images of unknown classes, told from ordinary ones of the classes that they are "
        "filed under by minus the largest probability; AUPR: area under the precision-recall curve. The slides give no "
        "numbers. Difference in points, with two or more seeds ± its 95 % interval."
    )
    if (natural, outliers) == (STAND_INS["natural"], STAND_INS["outliers"]):
        text = "Stand-ins drawn by this suite, not ImageNet-A and ImageNet-O. " + text
    return text


def _lines(collected: Collected, row: str) -> list[dict[str, Cell]]:
    lines = [_line(collected, row, method) for method in METHOD_NAMES]
    cells = {"name": Cell(model_name(row)), "method": Cell("difference")}
    done = [result for method in METHOD_NAMES for result in collected.done("table5", row, method)]
    for key in METRICS:
        gain = paired_difference(*(_values(collected, row, method, key) for method in METHOD_NAMES))
        sources = tuple(result.source for result in done)
        cells[key] = Cell(gain_text(gain), "measured", sources) if gain else missing("too few images")
    paired = any(cells[key].kind == "measured" for key in METRICS)
    return [*lines, cells] if paired else lines


def _values(collected: Collected, row: str, method: str, key: str) -> dict[int, float]:
    _, factor, _ = METRICS[key]
    return {seed: factor * value for seed, value in collected.values("table5", row, method, key).items()}


def _line(collected: Collected, row: str, method: str) -> dict[str, Cell]:
    cells = {"name": Cell(model_name(row)), "method": Cell(METHOD_NAMES[method])}
    done = collected.done("table5", row, method)
    sources = tuple(result.source for result in done)
    for key in METRICS:
        values = list(_values(collected, row, method, key).values())
        if values:
            text = number(mean_interval(values).mean)
            cells[key] = Cell(text, "measured", sources, links=key == "natural_top1")
        else:
            cells[key] = missing("too few images" if done else collected.status("table5", row, method))
    return cells


def _notes(collected: Collected) -> tuple[str, ...]:
    """For each row measured with both methods, how far the top-1 differs, with an interval over the images."""
    notes = []
    for row in collected.study.rows:
        done = [collected.done("table5", row, method) for method in METHOD_NAMES]
        found = image_difference(*done, _correct)
        if found is not None:
            notes.append(
                f"{model_name(row)}: top-1 on {names(collected)[0]} differs by {number(found.mean, sign=True)} points; "
                f"for these models the 95 % interval over images (paired bootstrap) is {found.text}."
            )
    return tuple(notes)


def numbers(collected: Collected) -> list[dict[str, Any]]:
    """What each run measured, for programs: top-1 in percent, the others from 0 to 1."""
    labels = ("row", "method", "seed", "id")
    return [
        {name: getattr(result.run, name) for name in labels} | {name: result.metrics[name] for name in METRICS}
        for result in collected.results
        if result.run.kind == "natural" and result.record is not None
    ]


def _correct(result: Result) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        with np.load(result.run.folder / FILE, allow_pickle=False) as file:
            correct = file["natural_correct"]
    except UNREADABLE:
        return None
    return np.arange(len(correct)), 100.0 * correct
