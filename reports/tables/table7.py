"""TransMix taken apart: label rule, whose attention and which, warm-up, share of CutMix batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from experiments.rows import model_name
from experiments.scales import table_of
from reports.analysis.arms import Arm, Comparison, arm, gain_cell, mean_cell, verdict_notes
from reports.analysis.cells import CellRow, cell_rows
from reports.analysis.names import TRANSMIX, method_title
from reports.analysis.statistics import estimate_numbers, interval_numbers
from reports.analysis.verdicts import Evidence, Verdict, judge
from reports.formats.table import NOT_PLANNED, Cell, Column, Table, missing
from reports.records.collect import Collected
from reports.records.published_sets import grid_study, published_cells
from reports.tables import Numbers, TableSpec
from transmix.methods import methods, of_table

REFERENCES = (TRANSMIX, "cutmix")  # what every variant is compared with
BESIDE = ("cutmix", TRANSMIX, "oracle")  # shown with the variants, in that order
CAPTION = (
    "Variants of TransMix, {where}: top-1 in percent, and paired differences in points to TransMix and to CutMix, mean "
    "± 95 % interval over seeds (Student’s t), each for itself. What a variant changes is in its card (python -m "
    "experiments methods). Not in the paper as such, so nothing is published."
)


@dataclass(frozen=True)
class Apart:
    """What a study has of the variants.

    Attributes:
        where: on what, in words.
        arms: runs by method: the references, the ceiling and the variants.
    """

    where: str
    arms: dict[str, Arm]

    def over(self, reference: str) -> dict[str, Comparison]:
        """Every other method compared with one of them."""
        before = self.arms[reference]
        claims = {name: f"With {method_title(name)} the top-1 is {{}} here" for name in self.arms if name != reference}
        return {name: Comparison(before, self.arms[name], claim) for name, claim in claims.items()}

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Of every variant against TransMix, corrected for their number."""
        gains = {name: found.gain for name, found in self.over(TRANSMIX).items() if name not in BESIDE}
        return judge({name: Evidence(() if gain is None else (gain,)) for name, gain in gains.items()})


def apart(collected: Collected) -> Apart:
    """The variants in their cell of the grid; without a grid in the recipe of Table 2."""
    study = collected.study
    if study.grid is not None:
        home = next((row for row in cell_rows(collected) if _at_home(collected, row)), None)
        if home is None:
            return Apart(f"{study.grid.home} of Table 6", {})
        shown = [name for name in home.arms if name in BESIDE or "table7" in methods()[name].tables]
        return Apart(f"in the cell “{home.name}” of Table 6", _in_order({name: home.arms[name] for name in shown}))
    shown = {name: arm(collected, study.mixed_row, name) for name in (*BESIDE, *of_table("table7"))}
    planned = {name: found for name, found in shown.items() if found.settings is not None or name in REFERENCES}
    return Apart(f"on {model_name(study.mixed_row)} at scale {study.scale.name}, as in Table 2", _in_order(planned))


def _at_home(collected: Collected, row: CellRow) -> bool:
    grid = collected.study.grid
    return row.row == grid.row and row.cell.name == grid.home


def _in_order(arms: Mapping[str, Arm]) -> dict[str, Arm]:
    return {name: arms[name] for name in dict.fromkeys((*BESIDE, *arms)) if name in arms}


def build(collected: Collected) -> Table:
    """A line for each variant, after CutMix, TransMix and the true labels; else the published runs of scale desk."""
    collected, whose = _source(collected)
    found = apart(collected)
    columns = (
        Column("name", "Variant", align="left"),
        Column("seeds", "Seeds"),
        Column("top1", "Top-1 (%)"),
        *(Column(f"over_{name}", f"over {method_title(name)}", "difference (points)") for name in REFERENCES),
        Column("verdict", "Against TransMix", align="left"),
    )
    lines = [_cells(found, name) for name in found.arms] if _any_variant(found) else []
    lines = [published_cells(line) for line in lines] if whose else lines
    return Table("table7", whose + CAPTION.format(where=found.where), columns, tuple(lines), _notes(collected, found))


def _source(collected: Collected) -> tuple[Collected, str]:
    """The study itself if it has variants, else what `grid_study` finds."""
    return (collected, "") if _any_variant(apart(collected)) else grid_study(collected)


def _any_variant(found: Apart) -> bool:
    return any(table_of(name) == "table7" for name in found.arms)


def _cells(found: Apart, name: str) -> dict[str, Cell]:
    arm, verdict = found.arms[name], found.verdicts.get(name)
    cells = {
        "name": Cell(method_title(name)),
        "seeds": Cell(f"{len(arm.by_seed):,}", "measured", arm.sources) if arm.by_seed else missing(arm.lack),
        "top1": missing(NOT_PLANNED) if arm.settings is None else mean_cell(arm),
        "verdict": Cell("–" if verdict is None else verdict.text),
    }
    for reference in REFERENCES:
        compared = found.over(reference).get(name)
        cells[f"over_{reference}"] = Cell("–") if compared is None else gain_cell(compared)
    return cells


def _notes(collected: Collected, found: Apart) -> tuple[str, ...]:
    if not _any_variant(found):
        names = ", ".join(of_table("table7"))
        return (f"No variant is in this study: make table7 SCALE=desk, or here METHODS=NAME,... of {names}.",)
    variants = {method_title(name): pair for name, pair in found.over(TRANSMIX).items() if name not in BESIDE}
    tested = sum(verdict.p is not None for verdict in found.verdicts.values())
    corrected = (f"Verdicts are corrected for {tested} variants by Holm’s method.",) if tested else ()
    return (*verdict_notes(variants, "against TransMix"), *corrected)


def numbers(collected: Collected) -> Numbers:
    """The table for programs, unrounded: a line for each variant and what it is compared with."""
    collected, whose = _source(collected)
    found = apart(collected)
    shown = found.arms if _any_variant(found) else ()
    return [{"published": bool(whose)} | _numbers(found, name) for name in shown]


def _numbers(found: Apart, name: str) -> dict[str, Any]:
    arm, verdict = found.arms[name], found.verdicts.get(name)
    line = {"method": name, "name": method_title(name), "where": found.where, "status": arm.status}
    line |= {"seeds": len(arm.by_seed), **estimate_numbers("top1", arm.mean)}
    for reference in REFERENCES:
        compared = found.over(reference).get(name)
        line |= estimate_numbers(f"over_{reference}", compared.gain if compared else None)
        line |= interval_numbers(f"over_{reference}", compared.images if compared else None)
    line |= {"verdict": verdict.word if verdict else "", "p_holm": verdict.p if verdict else None}
    return line | {"records": " ".join(source.id for source in arm.sources)}


TABLE = TableSpec(
    label="Table 7",
    title="Table 7: TransMix taken apart",
    build=build,
    numbers=numbers,
    position=9,
)
