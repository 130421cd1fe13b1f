"""Natural adversarial images: hard ones of known classes (ImageNet-A), and ones of unknown classes (ImageNet-O)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from experiments.protocols import STAND_INS
from experiments.rows import model_name
from reports.analysis.arms import Arm, Comparison, gain_cell, mean_cell, verdict_notes
from reports.analysis.gains import arms_in, with_baseline
from reports.analysis.metrics import NATURAL
from reports.analysis.names import BASELINE, difference_name, method_name, with_method
from reports.analysis.power import power_note
from reports.analysis.statistics import estimates_numbers, interval_numbers
from reports.formats.table import Cell, Column, Table, missing
from reports.records.collect import Collected
from reports.records.published_sets import (
    agreement_notes,
    published_gain,
    published_mean,
    set_columns,
    set_key,
    sets_of,
)
from reports.tables import Numbers, TableSpec

FIRST = "natural_top1"
HEADINGS = {
    FIRST: "Top-1 (%) ↑",
    "rms_calibration_error": "Calibration error (%), all bins ↓",
    "rms_calibration_error_published": "as published ↓",
    "aurra": "AURRA (%) ↑",
    "aupr": "AUPR (%) ↑",
}
OUTLIERS = ("aupr",)  # those about images of unknown classes
VERDICTS = {FIRST: "top-1", "aupr": "AUPR"}  # what is judged, and its name
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


def build(collected: Collected) -> Table:
    """A line for each row and method of the study, and their difference where both were measured."""
    hard, outliers = names(collected)
    sets = sets_of(collected, "table5")
    columns = (
        Column("name", "Model", align="left"),
        Column("method", "Method", align="left"),
        Column("seeds", "Seeds"),
        *(Column(key, title, outliers if key in OUTLIERS else hard) for key, title in HEADINGS.items()),
        *set_columns(sets, {FIRST: HEADINGS[FIRST]}),
    )
    lines = [line for row in collected.study.rows for line in _lines(collected, row, [there for _, there in sets])]
    caption = CAPTION.format(natural=hard, outliers=outliers, scale=collected.study.scale.name)
    if (hard, outliers) == (STAND_INS["natural"], STAND_INS["outliers"]):
        caption = f"Stand-ins drawn by this suite, not ImageNet-A and ImageNet-O. {caption}"
    return Table("table5", caption, columns, tuple(lines), _notes(collected))


def arms_of(collected: Collected, row: str, name: str = FIRST) -> dict[str, Arm]:
    """A row's methods, by one of `NATURAL`."""
    return arms_in(collected, "table5", row, NATURAL[name])


def _lines(collected: Collected, row: str, sets: list[Collected]) -> Iterator[dict[str, Cell]]:
    """A row's methods, then their differences to the baseline."""
    arms = {key: arms_of(collected, row, key) for key in NATURAL}
    published = [arms_of(there, row) for there in sets]
    for method, first in arms[FIRST].items():
        cells = {"name": Cell(model_name(row)), "method": Cell(method_name(method))}
        cells["seeds"] = Cell(f"{len(first.results):,}")
        cells |= {key: _metric_cell(of[method], links=key == FIRST) for key, of in arms.items()}
        yield cells | {set_key(at, FIRST): published_mean(of[method]) for at, of in enumerate(published)}
    found, theirs = (
        {key: with_baseline(of, "it") for key, of in arms.items()},
        [with_baseline(of, "") for of in published],
    )
    for method, first in found[FIRST].items():
        pairs = {key: of[method] for key, of in found.items()}
        if any(pair.gain is not None for pair in (*pairs.values(), *(of[method] for of in theirs))):
            name = difference_name(method, len(found[FIRST]), "difference")
            cells = {"name": Cell(model_name(row)), "method": Cell(name), "seeds": Cell(f"{first.pairs:,}")}
            cells |= {key: _gain_cell(pair) for key, pair in pairs.items()}
            yield cells | {set_key(at, FIRST): published_gain(of[method]) for at, of in enumerate(theirs)}


def _metric_cell(arm: Arm, links: bool) -> Cell:
    return missing("too few images") if arm.results and arm.mean is None else mean_cell(arm, links=links)


def _gain_cell(found: Comparison) -> Cell:
    lacking = all(arm.results for arm in found.arms) and any(arm.mean is None for arm in found.arms)
    return missing("too few images") if lacking else gain_cell(found)


def _notes(collected: Collected) -> tuple[str, ...]:
    """For each row and method measured beside the baseline, what may be concluded."""
    notes: list[str] = []
    for name, title in VERDICTS.items():
        found = {
            with_method(row, method): pair
            for row in collected.study.rows
            for method, pair in with_baseline(arms_of(collected, row, name), "it").items()
        }
        notes += verdict_notes(found, f"{title} on {names(collected)[name in OUTLIERS]}")
        notes += power_note(found) if name == FIRST else ()
    return (*notes, *agreement_notes(collected, NATURAL[FIRST], "table5"))


def numbers(collected: Collected) -> Numbers:
    """The table for programs, unrounded and in percent: a line for each row and method, and for their differences."""
    return [line for row in collected.study.rows for line in _numbers(collected, row)]


def _numbers(collected: Collected, row: str) -> Iterator[dict[str, Any]]:
    arms, names = {key: arms_of(collected, row, key) for key in NATURAL}, {"row": row, "model": model_name(row)}
    for method, first in arms[FIRST].items():
        yield names | {
            "method": method,
            "minus": "",
            "status": first.status,
            "seeds": len(first.results),
            **estimates_numbers({key: of[method].mean for key, of in arms.items()}),
            **interval_numbers(FIRST, None),
            "verdict": "",
            "records": " ".join(source.id for source in first.sources),
        }
    found = {key: with_baseline(of, "it") for key, of in arms.items()}
    for method, first in found[FIRST].items():
        judged = {name: found[key][method].verdict for key, name in VERDICTS.items()}
        yield names | {
            "method": method,
            "minus": BASELINE,
            "status": first.status,
            "seeds": first.pairs,
            **estimates_numbers({key: of[method].gain for key, of in found.items()}),
            **interval_numbers(FIRST, first.images),
            "verdict": " ".join(f"{name}: {verdict}" for name, verdict in judged.items() if verdict),
            "records": " ".join(source.id for source in first.sources),
        }


TABLE = TableSpec(
    label="Table 5",
    title="Table 5: natural adversarial images",
    build=build,
    numbers=numbers,
    position=5,
)
