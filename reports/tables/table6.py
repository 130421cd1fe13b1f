"""When labels by attention pay: TransMix and the true labels over CutMix, by object size and length of training."""

from __future__ import annotations

from typing import Any

from experiments.grid import WITH_MIXUP
from experiments.rows import model_name
from reports.analysis.arms import gain_cell, mean_cell, seeds_text
from reports.analysis.cells import CEILING, REFERENCE, CellRow, cell_rows
from reports.analysis.names import TRANSMIX, method_title
from reports.analysis.statistics import Estimate, estimate_numbers, interval_numbers, mean_interval
from reports.analysis.verdicts import NOT_SHOWN, NOT_TESTED, OPPOSITE, SHOWN, Evidence, Verdict, judge
from reports.analysis.words import interval_text, number, plural
from reports.formats.table import NOT_PLANNED, NOT_RUN, Cell, Column, Table, missing
from reports.records.collect import Collected
from reports.records.published_sets import grid_study, published_cells
from reports.tables import Numbers, Shown, TableSpec
from transmix.methods import methods

OVER = f"over {method_title(REFERENCE)} (points)"
CAPTION = (
    "The same model trained on scenes whose objects are of two sizes, for several lengths of training, each a schedule "
    "of its own, at scale {scale}. The methods of a line differ in their labels only: all batches are CutMix{but}. "
    "Top-1 in percent; paired differences in points, mean ± 95 % interval over seeds (Student’s t), each for itself. "
    "{ceiling} labels by the share of the objects’ visible pixels, the truth: a ceiling for label rules, of which "
    "TransMix’s share is given where the interval of the ceiling lies above zero. The error of λ is the mean distance "
    "of TransMix’s labels from the truth in training, beside the area’s. Not in the paper, so nothing is published."
)
NO_GRID = (
    "Labels by attention are compared by object size and length of training on the embedded scenes only, at a scale "
    "that has a grid of them: make table6 SCALE=desk."
)


def build(collected: Collected) -> Table:
    """A line for each row of the study and cell of its grid; without one the published runs of scale desk."""
    collected, whose = grid_study(collected)
    rows = cell_rows(collected)
    shown = _shown(rows)
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
    caption = CAPTION.format(scale=collected.study.scale.name, ceiling=method_title(CEILING), but=but)
    lines = [_cells(row, shown) for row in rows]
    lines = [published_cells(line) for line in lines] if whose else lines
    return Table("table6", whose + caption, columns, tuple(lines), _notes(collected, rows))


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
    sources = row.gains[TRANSMIX].sources + row.gains[CEILING].sources
    unknown = missing(NOT_RUN if row.gains[CEILING].gain is None else "no ceiling shown")
    cells["share"] = unknown if share is None else Cell(number(100 * share, 0), "measured", sources)
    for which in ("area", "label"):
        found = missing(row.arms[TRANSMIX].lack or "not recorded")
        if errors is not None:
            found = Cell(number(float(getattr(errors, which).mean()), 3), "measured", row.arms[TRANSMIX].sources)
        cells[f"error_{which}"] = found
    return cells


def judged(rows: list[CellRow], method: str) -> dict[str, Verdict]:
    """Whether a method is shown to gain over CutMix, cell by cell, corrected for their number."""
    gains = {row.name: row.gains[method].gain for row in rows if method in row.gains}
    return judge({name: Evidence(() if gain is None else (gain,)) for name, gain in gains.items()})


def _notes(collected: Collected, rows: list[CellRow]) -> tuple[str, ...]:
    if not rows:
        return (NO_GRID,)
    notes = [_verdict_note(rows, method) for method in (CEILING, TRANSMIX)]
    notes += [_mixing_note(row) for row in rows if "none" in row.gains]
    notes += [_trend_note(rows, size) for size in dict.fromkeys(row.cell.size for row in rows)]
    notes += [_overtaking_note(rows)]
    waiting = list(filter(None, map(_waiting, rows)))
    if waiting:
        notes.append(f"Not run: {'; '.join(waiting)}; {collected.study.make('table6')} runs what is missing.")
    return tuple(filter(None, notes))


def _waiting(row: CellRow) -> str:
    """A cell that has no run yet, or one with its methods that have none; empty where all have one."""
    lacking = [method_title(name) for name, arm in row.arms.items() if arm.status == NOT_RUN]
    if len(lacking) == len(row.arms):
        return row.name
    return f"{row.name} ({', '.join(lacking)})" if lacking else ""


def _verdict_note(rows: list[CellRow], method: str) -> str:
    """In which cells a method gains over CutMix, after the correction; where none is shown, how large it could be."""
    verdicts = {name: found for name, found in judged(rows, method).items() if found.word != NOT_TESTED}
    tested = {name: found for name, found in verdicts.items() if found.p is not None}
    if not tested:
        return f"{method_title(method)}: one seed, or none, tests nothing." if verdicts else ""
    shown = {word: [name for name, found in tested.items() if found.word == word] for word in (SHOWN, OPPOSITE)}
    parts = [f"shown above CutMix for {'; '.join(shown[SHOWN])}"] if shown[SHOWN] else []
    parts += [f"shown below CutMix for {'; '.join(shown[OPPOSITE])}"] if shown[OPPOSITE] else []
    undecided = [row.gains[method].gain for row in rows if row.name in tested and tested[row.name].word == NOT_SHOWN]
    if undecided:
        where = plural(len(undecided), "cell")
        parts.append(f"no difference is shown in {where}, where it is {_bounds(undecided)}")
    corrected = f"corrected for {plural(len(tested), 'cell')} by Holm’s method"
    return f"{method_title(method)}: {'; '.join(parts)} (95 % intervals; verdicts {corrected})."


def _bounds(gains: list[Estimate]) -> str:
    """``between −0.8 and +1.2 points``: the ends of all intervals together."""
    low, high = min(gain.low for gain in gains), max(gain.high for gain in gains)
    return f"between {number(low, sign=True)} and {number(high, sign=True)} points"


def _mixing_note(row: CellRow) -> str:
    """Whether mixing helps in a cell, without which no label rule can be judged there."""
    loss = row.gains["none"].gain
    if loss is None:
        return ""
    size = f"{row.name}: CutMix is {number(-loss.mean, sign=True)} points from no mixing"
    if loss.count == 1 or loss.half_width is None:
        return f"{size}, in one seed."
    says = "mixing helps" if loss.high < 0 else "mixing hurts" if loss.low > 0 else "mixing is not shown to help"
    return f"{size}: {says} ({interval_text(loss)} for no mixing minus CutMix)."


def _trend_note(rows: list[CellRow], size: str) -> str:
    """Whether what TransMix gains depends on the length of training: the longest minus the shortest, seed by seed."""
    same = [row for row in rows if row.cell.size == size and row.row == rows[0].row]
    if len(same) < 2:
        return ""
    by_seed = [_differences(row, TRANSMIX) for row in (same[0], same[-1])]
    shared = sorted(by_seed[0].keys() & by_seed[1].keys())
    if len(shared) < 2:
        return ""
    change = mean_interval([by_seed[1][seed] - by_seed[0][seed] for seed in shared])
    return (
        f"{size.capitalize()} objects: from {same[0].cell.epochs} to {same[-1].cell.epochs} epochs TransMix’s gain "
        f"changes by {number(change.mean, sign=True)} points, and {interval_text(change)}."
    )


def _differences(row: CellRow, method: str) -> dict[int, float]:
    before, after = row.gains[method].values
    return {seed: after[seed] - before[seed] for seed in before}


def _overtaking_note(rows: list[CellRow]) -> str:
    """From which epoch on TransMix's labels are nearer to the truth than the area."""
    parts = []
    for row in rows:
        errors = row.label_errors(TRANSMIX)
        if errors is not None:
            first = errors.overtakes
            parts.append(f"{row.name}: {'at no time' if first is None else f'from epoch {first} on'}")
    return f"When TransMix’s labels are nearer to the truth than the area: {'; '.join(parts)}." if parts else ""


def numbers(collected: Collected) -> Numbers:
    """The table for programs, unrounded: a line for each cell and method."""
    collected, whose = grid_study(collected)
    rows = cell_rows(collected)
    verdicts = {method: judged(rows, method) for method in _shown(rows)} if rows else {}
    return [
        {"published": bool(whose)} | _numbers(row, method, verdicts.get(method, {}).get(row.name))
        for row in rows
        for method in row.arms
        if method in (REFERENCE, *verdicts)
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
        "verdict": verdict.word if verdict else "",
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

    rows = cell_rows(grid_study(collected)[0])
    drawn = tuple(gallery for gallery in (gain_gallery(rows), error_gallery(rows)) if gallery is not None)
    return Shown((Panel(drawn, ""),) if drawn else ())


def summary(collected: Collected) -> str:
    """Where TransMix is shown to gain over CutMix, in a sentence; empty where no cell has been tested."""
    collected, whose = grid_study(collected)
    rows = cell_rows(collected)
    tested = any(verdict.p is not None for verdict in judged(rows, TRANSMIX).values())
    return f"{whose}By object size and length of training (Table 6), {_verdict_note(rows, TRANSMIX)}" if tested else ""


TABLE = TableSpec(
    label="Table 6",
    title="Table 6: when it pays to label by attention",
    build=build,
    numbers=numbers,
    position=8,
    figures=figures,
    heading="Gain",
    summary=summary,
)
