"""What the cells of a grid say together, in sentences: verdicts, trends, and where mixing pays at all."""

from __future__ import annotations

from reports.analysis.arms import evidence_of
from reports.analysis.cells import CEILING, CellRow
from reports.analysis.names import TRANSMIX, method_title
from reports.analysis.statistics import Estimate, mean_interval
from reports.analysis.verdicts import NOT_SHOWN, NOT_TESTED, OPPOSITE, SHOWN, Verdict, correction_text, judge
from reports.analysis.words import interval_text, number, plural


def judged(rows: list[CellRow], method: str) -> dict[str, Verdict]:
    """Whether a method is shown to gain over CutMix, cell by cell, corrected for the number of cells planned for it."""
    return judge({row.name: evidence_of(row.gains[method]) for row in rows if method in row.gains})


def corrections(rows: list[CellRow]) -> str:
    """What the verdicts on the ceiling and on TransMix are corrected for."""
    texts: dict[str, list[str]] = {}
    for method in (CEILING, TRANSMIX):
        texts.setdefault(correction_text(judged(rows, method)), []).append(method_title(method))
    return "; ".join(f"{' and '.join(titles)}, each for itself, {text}" for text, titles in texts.items())


def findings(rows: list[CellRow]) -> list[str]:
    """What the cells of one origin say together."""
    notes = [verdict_note(rows, method) for method in (CEILING, TRANSMIX)]
    notes += _mixing_notes(rows)
    notes += [_trend_note(rows, size) for size in dict.fromkeys(row.cell.size for row in rows)]
    notes += [_overtaking_note(rows)]
    return list(filter(None, notes))


def verdict_note(rows: list[CellRow], method: str) -> str:
    """In which cells a method gains over CutMix, after the correction; where none is shown, how large it could be."""
    verdicts = {name: found for name, found in judged(rows, method).items() if found.word != NOT_TESTED}
    tested = {name: found for name, found in verdicts.items() if found.p is not None}
    if not tested:
        several = any(row.gains[method].pairs > 1 for row in rows if row.name in verdicts)
        why = "seeds that all differ by the same test nothing" if several else "one seed, or none, tests nothing"
        return f"{method_title(method)}: {why}." if verdicts else ""
    named = {name: f"{name} ({found.so_far})" if found.so_far else name for name, found in tested.items()}
    shown = {word: [named[name] for name, found in tested.items() if found.word == word] for word in (SHOWN, OPPOSITE)}
    parts = [f"shown above CutMix for {'; '.join(shown[SHOWN])}"] if shown[SHOWN] else []
    parts += [f"shown below CutMix for {'; '.join(shown[OPPOSITE])}"] if shown[OPPOSITE] else []
    undecided = [row for row in rows if row.name in tested and tested[row.name].word == NOT_SHOWN]
    if undecided:
        where = plural(len(undecided), "cell")
        unfinished = sum(bool(tested[row.name].so_far) for row in undecided)
        where += f" ({unfinished} of them with seeds still to be run)" if unfinished else ""
        bounds = _bounds([row.gains[method].gain for row in undecided])
        parts.append(f"no difference is shown in {where}, where it is {bounds}")
    corrected = correction_text(judged(rows, method))
    return f"{method_title(method)}: {'; '.join(parts)} (95 % intervals; verdicts {corrected})."


def _bounds(gains: list[Estimate]) -> str:
    """``between −0.8 and +1.2 points``: the ends of all intervals together."""
    low, high = min(gain.low for gain in gains), max(gain.high for gain in gains)
    return f"between {number(low, sign=True)} and {number(high, sign=True)} points"


def _mixing_notes(rows: list[CellRow]) -> list[str]:
    """Whether mixing helps in each cell that has runs without, where else no label rule can be judged."""
    verdicts = judged(rows, "none")
    corrected = correction_text(verdicts)
    return [_mixing_note(row, verdicts[row.name], corrected) for row in rows if row.name in verdicts]


def _mixing_note(row: CellRow, verdict: Verdict, corrected: str) -> str:
    loss = row.gains["none"].gain
    if loss is None:
        return ""
    name = f"{row.name} ({verdict.so_far})" if verdict.so_far else row.name
    size = f"{name}: CutMix is {number(-loss.mean, sign=True)} points from no mixing"
    if verdict.p is None:
        return f"{size}, in {'one seed' if loss.count == 1 else f'each of {loss.count} seeds'}."
    says = {OPPOSITE: "mixing helps", SHOWN: "mixing hurts", NOT_SHOWN: "mixing is shown neither to help nor to hurt"}
    interval = f"{interval_text(loss)} for no mixing minus CutMix; {corrected}"
    return f"{size}: {says[verdict.word]} ({interval})."


def _trend_note(rows: list[CellRow], size: str) -> str:
    """Whether what TransMix gains depends on the length of training: the longest minus the shortest, seed by seed."""
    same = [row for row in rows if row.cell.size == size and row.row == rows[0].row]
    if len(same) < 2 or None in (same[0].gains[TRANSMIX].gain, same[-1].gains[TRANSMIX].gain):
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
