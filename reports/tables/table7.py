"""TransMix taken apart: label rule, whose attention and which, warm-up, share of CutMix batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from experiments.rows import model_name
from experiments.scales import table_of
from reports.analysis.arms import Arm, Comparison, arm, evidence_of, gain_cell, mean_cell, verdict_notes
from reports.analysis.cells import CellRow, cell_rows
from reports.analysis.names import TRANSMIX, method_title
from reports.analysis.statistics import estimate_numbers, interval_numbers
from reports.analysis.verdicts import Verdict, correction_text, judge, legend
from reports.analysis.words import quoted
from reports.formats.table import NOT_PLANNED, NOT_RUN, Cell, Column, Table, missing
from reports.records.collect import Collected
from reports.records.published_sets import MARKED, PUBLISHED_LINE, grid_study, published_cells, published_grid
from reports.tables import Numbers, TableSpec
from transmix.methods import methods, of_table

REFERENCES = (TRANSMIX, "cutmix")  # what every variant is compared with
BESIDE = ("cutmix", TRANSMIX, "oracle")  # shown with the variants, in that order
CAPTION = (
    "Variants of TransMix, {where}: top-1 in percent, and paired differences in points to TransMix and to CutMix, mean "
    "± 95 % interval over seeds (Student’s t), each for itself. Verdicts against TransMix: {corrected}. What a variant "
    "changes is in its card (python -m experiments methods). Not in the paper as such, so nothing is published."
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
        """Every other method compared with one of them; empty where the study does not plan that."""
        if reference not in self.arms:
            return {}
        claims = {
            name: f"For itself, uncorrected, the top-1 with {quoted(method_title(name))} is {{}} here"
            for name in self.arms
            if name != reference
        }
        return {name: Comparison(self.arms[reference], self.arms[name], claim) for name, claim in claims.items()}

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Of every variant against TransMix, corrected for the number that is planned."""
        return judge({name: evidence_of(found) for name, found in self.over(TRANSMIX).items() if name not in BESIDE})


def apart(collected: Collected) -> Apart:
    """The variants in their cell of the grid; without a grid in the recipe of Table 2."""
    study = collected.study
    if study.grid is not None:
        home = next((row for row in cell_rows(collected) if _at_home(collected, row)), None)
        if home is None:
            return Apart(f"in the cell {study.grid.home} of Table 6", {})
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
    """A line for each variant, after CutMix, TransMix and the true labels; else the published runs of scale desk.

    A method that the study plans and has not run has its line of published runs.
    """
    origins = _origins(collected)
    found = origins[0].found
    columns = (
        Column("name", "Variant", align="left"),
        Column("seeds", "Seeds"),
        Column("top1", "Top-1 (%)"),
        *(Column(f"over_{name}", f"over {method_title(name)}", "difference (points)") for name in REFERENCES),
        Column("verdict", "Against TransMix", align="left"),
    )
    lines, beside = [], False
    for name, origin in _lines(origins):
        cells = _cells(origin.found, name)
        if origin is not origins[0]:
            cells["name"], beside = Cell(f"{cells['name'].text}{PUBLISHED_LINE}"), True
        lines.append(published_cells(cells) if origin.whose else cells)
    caption = origins[0].whose + CAPTION.format(where=found.where, corrected=correction_text(found.verdicts))
    return Table("table7", caption + MARKED * beside, columns, tuple(lines), _notes(origins))


@dataclass(frozen=True, eq=False)
class _Origin:
    """Variants as one study has them; `whose` is empty for the study's own, else how a caption calls them."""

    found: Apart
    whose: str


def _origins(collected: Collected) -> list[_Origin]:
    """The study's own variants, then published ones of its grid; a study that has none shows scale desk's."""
    own, whose = (collected, "") if _any_variant(apart(collected)) else grid_study(collected)
    beside = None if whose else published_grid(own)
    return [_Origin(apart(there), called) for there, called in [(own, whose), *([beside] if beside else [])]]


def _lines(origins: list[_Origin]) -> Iterator[tuple[str, _Origin]]:
    """Every method with whose runs its line shows: the study's own, else published ones of what it has not run."""
    own, *others = origins
    for name, runs in own.found.arms.items() if _any_variant(own.found) else ():
        published = [other for other in others if runs.status == NOT_RUN and other.found.arms[name].mean is not None]
        yield name, published[0] if published else own


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


def _notes(origins: list[_Origin]) -> tuple[str, ...]:
    own, *others = origins
    if not _any_variant(own.found):
        names = ", ".join(of_table("table7"))
        return (f"No variant is in this study: make table7 SCALE=desk, or here METHODS=NAME,... of {names}.",)
    shown = [(name, origin) for name, origin in _lines(origins) if name in origin.found.verdicts]
    notes = [legend("better than TransMix", "worse")]
    for origin in origins:
        over = origin.found.over(TRANSMIX)
        variants = {method_title(name): over[name] for name, whose in shown if whose is origin}
        called = origin.whose if origin in others else ""
        notes += [called + note for note in verdict_notes(variants, "against TransMix")]
        if called and variants:
            notes.append(f"{called}Verdicts on them: {correction_text(origin.found.verdicts)}.")
    return tuple(notes)


def numbers(collected: Collected) -> Numbers:
    """The table for programs, unrounded: a line for each variant and what it is compared with."""
    shown = _lines(_origins(collected))
    return [{"published": bool(origin.whose)} | _numbers(origin.found, name) for name, origin in shown]


def _numbers(found: Apart, name: str) -> dict[str, Any]:
    arm, verdict = found.arms[name], found.verdicts.get(name)
    line = {"method": name, "name": method_title(name), "where": found.where, "status": arm.status}
    line |= {"seeds": len(arm.by_seed), **estimate_numbers("top1", arm.mean)}
    for reference in REFERENCES:
        compared = found.over(reference).get(name)
        line |= estimate_numbers(f"over_{reference}", compared.gain if compared else None)
        line |= interval_numbers(f"over_{reference}", compared.images if compared else None)
    line |= {"verdict": verdict.words if verdict else "", "p_holm": verdict.p if verdict else None}
    return line | {"records": " ".join(source.id for source in arm.sources)}


TABLE = TableSpec(
    label="Table 7",
    title="Table 7: TransMix taken apart",
    build=build,
    numbers=numbers,
    position=9,
)
