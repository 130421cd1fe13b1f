"""When labels by attention pay: TransMix and the true labels over CutMix, by object size and length of training."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from experiments.grid import WITH_MIXUP
from experiments.rows import model_name
from reports.analysis.arms import gain_cell, mean_cell, seeds_text
from reports.analysis.cells import CEILING, REFERENCE, CellRow, cell_rows
from reports.analysis.names import TRANSMIX, method_title
from reports.analysis.statistics import estimate_numbers, interval_numbers
from reports.analysis.verdicts import Verdict
from reports.analysis.words import number, plural, quoted
from reports.formats.table import NOT_PLANNED, NOT_RUN, Cell, Column, Table, missing
from reports.records.collect import Collected
from reports.records.published_sets import MARKED, PUBLISHED_LINE, grid_study, published_cells, published_grid
from reports.tables import Numbers, Shown, TableSpec
from reports.tables._cell_notes import corrections, findings, judged, verdict_note
from transmix.methods import methods

OVER = f"over {method_title(REFERENCE)} (points)"
CAPTION = (
    "The same model trained on scenes whose objects are of two sizes, for several lengths of training, each a schedule "
    "of its own, at scale {scale}. The methods of a line differ in their labels only: all batches are CutMix{but}. "
    "Top-1 in percent; paired differences in points, mean ± 95 % interval over seeds (Student’s t), each for itself. "
    "{ceiling} labels by the share of the objects’ visible pixels, the truth: a ceiling for label rules, of which "
    "TransMix’s share, over the seeds that both have, is given where the interval of the ceiling lies above zero. The "
    "error of λ is the mean distance of TransMix’s labels from the truth in training, beside the area’s. Verdicts "
    "below: {corrected}, cells still to be run included. Not in the paper, so nothing is published."
)
NO_GRID = (
    "Labels by attention are compared by object size and length of training on the embedded scenes only, at a scale "
    "that has a grid of them: make table6 SCALE=desk."
)


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of one origin in the cells of a grid.

    Attributes:
        collected: their records.
        whose: empty for the study's own; how a caption calls published ones.
    """

    collected: Collected
    whose: str

    @cached_property
    def rows(self) -> list[CellRow]:
        """Every row and cell that is planned."""
        return cell_rows(self.collected)


def _origins(collected: Collected) -> list[Runs]:
    """The study's own runs, then published ones of its grid; without a grid the published runs of scale desk."""
    own = Runs(*grid_study(collected))
    beside = None if own.whose else published_grid(own.collected)
    return [own, Runs(*beside)] if beside else [own]


def _lines(origins: list[Runs]) -> Iterator[tuple[CellRow, Runs]]:
    """Each cell, and after it (in its place, if nothing of it was run) the published one that has what it lacks."""
    own, *others = origins
    published = {row.name: (row, other) for other in others for row in other.rows}
    for row in own.rows:
        there, other = published.get(row.name, (row, own))
        more = any(arm.mean is None and there.arms[name].mean is not None for name, arm in row.arms.items())
        if not more or any(arm.status != NOT_RUN for arm in row.arms.values()):
            yield row, own
        if more:
            yield there, other


def build(collected: Collected) -> Table:
    """A line for each row of the study and cell of its grid; without one the published runs of scale desk.

    A cell that the study lacks has a line of published runs.
    """
    origins = _origins(collected)
    own, *others = origins
    shown = _shown(own.rows)
    columns = (
        Column("name", "Objects, training", align="left"),
        Column("seeds", "Seeds"),
        Column(REFERENCE, method_title(REFERENCE), "top-1 (%)"),
        *(Column(method, method_title(method), OVER) for method in shown),
        Column("share", "TransMix’s share of the ceiling (%)"),
        Column("error_area", "area", "error of λ in training"),
        Column("error_label", "TransMix’s label", "error of λ in training"),
    )
    but = "".join(f" (but for {method_title(name)})" for name in shown if name in WITH_MIXUP)
    caption = CAPTION.format(
        scale=own.collected.study.scale.name,
        ceiling=method_title(CEILING),
        but=but,
        corrected=corrections(own.rows),
    )
    lines = []
    for row, whose in _lines(origins):
        cells = _cells(row, shown)
        if whose in others:
            cells["name"] = Cell(f"{row.name}{PUBLISHED_LINE}")
        lines.append(published_cells(cells) if whose.whose else cells)
    caption = own.whose + caption + (MARKED if any(whose in others for _, whose in _lines(origins)) else "")
    return Table("table6", caption, columns, tuple(lines), _notes(origins))


def _shown(rows: list[CellRow]) -> list[str]:
    """Methods that cells have beside CutMix, TransMix and the ceiling first; without those of one cell, Table 7's."""
    cells: dict[str, set[str]] = {TRANSMIX: set(), CEILING: set()}
    for row in rows:
        for name in row.arms:
            cells.setdefault(name, set()).add(row.cell.name)
    variants = {name for name, where in cells.items() if "table7" in methods()[name].tables and len(where) == 1}
    return [name for name in cells if name != REFERENCE and name not in variants]


def _cells(row: CellRow, shown: list[str]) -> dict[str, Cell]:
    reference = row.arms[REFERENCE]
    cells = {
        "name": Cell(row.name),
        "seeds": Cell(seeds_text(*(arm for name, arm in row.arms.items() if name in (REFERENCE, *shown)))),
        REFERENCE: mean_cell(reference),
    }
    cells |= {name: gain_cell(row.gains[name]) if name in row.gains else missing(NOT_PLANNED) for name in shown}
    share, errors = row.share, row.label_errors(TRANSMIX)
    cells["share"] = missing(row.share_lack)
    if share is not None:
        cells["share"] = Cell(number(100 * share, 0), "measured", row.share_sources)
    for which in ("area", "label"):
        found = missing(row.arms[TRANSMIX].lack or "not recorded")
        if errors is not None:
            found = Cell(number(float(getattr(errors, which).mean()), 3), "measured", row.arms[TRANSMIX].sources)
        cells[f"error_{which}"] = found
    return cells


def _notes(origins: list[Runs]) -> tuple[str, ...]:
    own = origins[0]
    if not own.rows:
        return (NO_GRID,)
    notes = findings(own.rows)
    published = {whose for _, whose in _lines(origins)} - {own}
    notes += [f"{other.whose}{note}" for other in published for note in findings(other.rows)]
    shown = (REFERENCE, *_shown(own.rows))
    waiting = list(filter(None, (_waiting(row, shown) for row in own.rows)))
    if waiting:
        notes.append(f"Not run: {'; '.join(waiting)}; {own.collected.study.make('table6')} runs what is missing.")
    return tuple(notes)


def _waiting(row: CellRow, shown: Collection[str]) -> str:
    """A cell that has no run yet, or one with the methods shown that lack some or all; empty where none does."""
    if all(arm.status == NOT_RUN for arm in row.arms.values()):
        return row.name
    lacking = {quoted(method_title(name)): arm for name, arm in row.arms.items() if name in shown and arm.waiting}
    methods = [
        title if arm.waiting == arm.planned else f"{title} in {arm.waiting} of {plural(arm.planned, 'seed')}"
        for title, arm in lacking.items()
    ]
    return f"{row.name} ({', '.join(methods)})" if methods else ""


def numbers(collected: Collected) -> Numbers:
    """The table for programs, unrounded: a line for each cell and method."""
    origins = _origins(collected)
    shown = _shown(origins[0].rows)
    verdicts = {whose: {method: judged(whose.rows, method) for method in shown} for whose in origins}
    return [
        {"published": bool(whose.whose)} | _numbers(row, method, verdicts[whose].get(method, {}).get(row.name))
        for row, whose in _lines(origins)
        for method in row.arms
        if method in (REFERENCE, *shown)
    ]


def _numbers(row: CellRow, method: str, verdict: Verdict | None) -> dict[str, Any]:
    arm, found = row.arms[method], row.gains.get(method)
    errors = row.label_errors(method)
    least, most = row.cell.shares
    return {
        "row": row.row,
        "model": model_name(row.row),
        "objects": row.cell.size,
        "least_share": least,
        "most_share": most,
        "epochs": row.cell.epochs,
        "method": method,
        "status": arm.status,
        "seeds": len(arm.by_seed),
        **estimate_numbers("top1", arm.mean),
        **estimate_numbers("difference", found.gain if found else None),
        **interval_numbers("difference", found.images if found else None),
        "verdict": verdict.words if verdict else "",
        "p_holm": verdict.p if verdict else None,
        "share_of_ceiling": row.share if method == TRANSMIX else None,
        "error_area": float(errors.area.mean()) if errors else None,
        "error_label": float(errors.label.mean()) if errors else None,
        "records": " ".join(source.id for source in arm.sources),
    }


def figures(collected: Collected) -> Shown:
    """Gains by length of training, and labels' errors by epoch, a figure for each object size."""
    from reports.figures.cells import error_gallery, gain_gallery  # matplotlib takes a second to import
    from reports.figures.style import Panel

    drawn = []
    for draw in (gain_gallery, error_gallery):
        galleries = ((draw(runs.rows), runs.whose) for runs in _origins(collected))
        drawn += [replace(found, caption=whose + found.caption) for found, whose in galleries if found is not None][:1]
    return Shown((Panel(tuple(drawn), ""),) if drawn else ())


def by_size_and_length(collected: Collected) -> str:
    """Where TransMix is shown to gain over CutMix, in a sentence; empty where no cell has been tested."""
    for runs in _origins(collected):
        if any(verdict.p is not None for verdict in judged(runs.rows, TRANSMIX).values()):
            note = verdict_note(runs.rows, TRANSMIX)
            return f"{runs.whose}By object size and length of training (Table 6), {note}"
    return ""


TABLE = TableSpec(
    label="Table 6",
    title="Table 6: when it pays to label by attention",
    build=build,
    numbers=numbers,
    position=8,
    figures=figures,
)
