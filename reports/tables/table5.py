"""Table 5: natural adversarial images, of known classes (ImageNet-A) and of unknown ones (ImageNet-O)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from experiments.protocols import STAND_INS
from experiments.published import model_name
from reports.analysis.arms import Arm, Comparison, Measure, arm_of, gain_cell, mean_cell, verdict_notes
from reports.analysis.metrics import NATURAL
from reports.analysis.power import power_note
from reports.analysis.statistics import estimates_numbers, interval_numbers
from reports.formats.table import Cell, Column, Table, missing
from reports.records.answers import natural
from reports.records.collect import Collected
from reports.records.published_sets import (
    agreement_notes,
    published_gain,
    published_mean,
    set_columns,
    set_key,
    sets_of,
)
from reports.tables.occlusion import METHOD_NAMES

FIRST = "natural_top1"
VERDICTS = {FIRST: "top-1", "aupr": "AUPR"}  # what is judged, and its name
CLAIM = "With TransMix it is {} here"
CAPTION = (
    "{natural}: hard images of known classes; calibration error: root mean square over bins of 100 images by "
    "confidence, the published script leaving out the most confident bin; AURRA: area under the response rate accuracy "
    "curve. {outliers}: images of unknown classes, told from ordinary ones of the classes that they are filed under by "
    "minus the largest probability; AUPR: area under the precision-recall curve. Measured at scale {scale}; means over "
    "seeds and paired differences in points, with two or more seeds ± their 95 % intervals (Student’s t), each for "
    "itself. Published numbers: not in the slides."
)


def names(collected: Collected) -> tuple[str, str]:
    """What the two sets of images are called."""
    settings = next(result.run.settings for result in collected.results if result.run.kind == "natural")
    return settings["natural"], settings["outliers"]


def measure(name: str) -> Measure:
    """One of `NATURAL`, in percent."""
    return Measure(partial(_percent, name=name), natural if name == FIRST else None)


def _percent(metrics: dict[str, Any], name: str) -> float | None:
    value = metrics[name]
    return None if value is None else NATURAL[name][1] * value


def comparison(collected: Collected, row: str, name: str = FIRST) -> Comparison:
    """Our runs of a row without and with TransMix, by one of `NATURAL`."""
    before, after = (arm_of(collected, "table5", row, method).of(measure(name)) for method in METHOD_NAMES)
    return Comparison(before, after, CLAIM)


def build(collected: Collected) -> Table:
    """A line for each row and method of the study, and their difference where both were measured."""
    hard, outliers = names(collected)
    sets = sets_of(collected, "table5")
    columns = (
        Column("name", "Model", align="left"),
        Column("method", "Method", align="left"),
        Column("seeds", "Seeds"),
        *(Column(key, title, outliers if of_outliers else hard) for key, (title, _, of_outliers) in NATURAL.items()),
        *set_columns(sets, {FIRST: NATURAL[FIRST][0]}),
    )
    lines = [
        line
        for row in collected.study.rows
        for line in _lines(
            row,
            {key: comparison(collected, row, key) for key in NATURAL},
            [comparison(there, row) for _, there in sets],
        )
    ]
    caption = CAPTION.format(natural=hard, outliers=outliers, scale=collected.study.scale.name)
    if (hard, outliers) == (STAND_INS["natural"], STAND_INS["outliers"]):
        caption = f"Stand-ins drawn by this suite, not ImageNet-A and ImageNet-O. {caption}"
    return Table("table5", caption, columns, tuple(lines), _notes(collected))


def _lines(row: str, found: dict[str, Comparison], published: list[Comparison]) -> Iterator[dict[str, Cell]]:
    """The two methods and their difference; `published` are the sets' comparisons of the first metric."""
    for place, name in enumerate(METHOD_NAMES.values()):
        cells = {"name": Cell(model_name(row)), "method": Cell(name)}
        cells["seeds"] = Cell(f"{len(found[FIRST].arms[place].results):,}")
        cells |= {key: _metric_cell(of.arms[place], links=key == FIRST) for key, of in found.items()}
        yield cells | {set_key(at, FIRST): published_mean(of.arms[place]) for at, of in enumerate(published)}
    if any(of.gain is not None for of in (*found.values(), *published)):
        cells = {"name": Cell(model_name(row)), "method": Cell("difference"), "seeds": Cell(f"{found[FIRST].pairs:,}")}
        cells |= {key: _gain_cell(of) for key, of in found.items()}
        yield cells | {set_key(at, FIRST): published_gain(of) for at, of in enumerate(published)}


def _metric_cell(arm: Arm, links: bool) -> Cell:
    return missing("too few images") if arm.results and arm.mean is None else mean_cell(arm, links=links)


def _gain_cell(found: Comparison) -> Cell:
    lacking = all(arm.results for arm in found.arms) and any(arm.mean is None for arm in found.arms)
    return missing("too few images") if lacking else gain_cell(found)


def _notes(collected: Collected) -> tuple[str, ...]:
    """For each row measured with both methods, what may be concluded."""
    notes: list[str] = []
    for name, title in VERDICTS.items():
        found = {model_name(row): comparison(collected, row, name) for row in collected.study.rows}
        notes += verdict_notes(found, f"{title} on {names(collected)[NATURAL[name][2]]}")
        notes += power_note(found) if name == FIRST else ()
    return (*notes, *agreement_notes(collected, measure(FIRST), "table5"))


def numbers(collected: Collected) -> list[dict[str, Any]]:
    """The table for programs, unrounded and in percent: a line for each row and method, and for their difference."""
    return [line for row in collected.study.rows for line in _numbers(collected, row)]


def _numbers(collected: Collected, row: str) -> Iterator[dict[str, Any]]:
    found = {key: comparison(collected, row, key) for key in NATURAL}
    first, names = found[FIRST], {"row": row, "model": model_name(row)}
    for place, method in enumerate(METHOD_NAMES):
        arm = first.arms[place]
        yield names | {
            "method": method,
            "minus": "",
            "status": arm.status,
            "seeds": len(arm.results),
            **estimates_numbers({key: of.arms[place].mean for key, of in found.items()}),
            **interval_numbers(FIRST, None),
            "verdict": "",
            "records": " ".join(source.id for source in arm.sources),
        }
    judged = {name: found[key].verdict for key, name in VERDICTS.items()}
    yield names | {
        "method": "transmix",
        "minus": "baseline",
        "status": first.status,
        "seeds": first.pairs,
        **estimates_numbers({key: of.gain for key, of in found.items()}),
        **interval_numbers(FIRST, first.images),
        "verdict": " ".join(f"{name}: {verdict}" for name, verdict in judged.items() if verdict),
        "records": " ".join(source.id for source in first.sources),
    }
