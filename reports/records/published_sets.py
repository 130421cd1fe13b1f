"""Columns of tables for what somebody's published runs of this suite gave, and how ours agree with it.

Such a number is another measurement of the same run: same recipe, name of the data and seed, but another machine. It
stands in a column of its own, with its device, and leads to the published records, never to this study's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from experiments.records import Record
from reports.analysis.arms import Arm, Comparison
from reports.analysis.metrics import Metric
from reports.analysis.words import gain_text, number, plural
from reports.formats.table import UNREADABLE, Cell, Column, missing
from reports.records.collect import DONE, Collected, PublishedSet, published_study

HEADING = "published runs of this suite"
NONE = "none published"
GRID = ("table6", "table7")
PUBLISHED_LINE = " (published)"  # after the name of a line
MARKED = (
    " Lines marked “published” are published runs of this suite where this study has no run: theirs alone, in no mean "
    "and no difference with others."
)


def grid_study(collected: Collected) -> tuple[Collected, str]:
    """The study itself if it has a grid, else what was published of scale desk's; and how a caption calls the latter.

    A study that has none and of which nothing was published is itself.
    """
    desk = None if collected.study.grid else published_study("desk")
    return (collected, "") if desk is None else (desk.collected, _said("desk", desk.devices))


def published_grid(collected: Collected) -> tuple[Collected, str] | None:
    """Somebody's published runs of the study's own grid, and how a note calls them; of several sets the largest.

    None where there are none, or no grid. They are told apart from the study's own, and never averaged with them.
    """
    sets = [there for there in collected.published if _records(there, GRID)] if collected.study.grid else []
    largest = max(sets, key=lambda there: len(_records(there, GRID)), default=None)
    return largest and (largest.collected, _said(collected.study.scale.name, _devices(largest, GRID)))


def _said(scale: str, devices: str) -> str:
    return f"{HEADING.capitalize()}, scale {scale}, {devices}. "


def published_cells(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """The same numbers as somebody's published ones."""
    return {
        key: Cell(cell.text, "published", cell.sources) if cell.kind == "measured" else cell
        for key, cell in cells.items()
    }


def sets_of(collected: Collected, *tables: str) -> list[tuple[str, Collected]]:
    """The sets that have a record of some tables: the heading of their columns, and what they hold."""
    found = [there for there in collected.published if _records(there, tables)]
    devices = [_devices(there, tables) for there in found]
    twins = {device for device in devices if devices.count(device) > 1}
    pairs = list(zip(devices, found, strict=True))
    named = [f"{device}, {there.name}" if device in twins else device for device, there in pairs]
    scale = collected.study.scale.name
    return [(f"{HEADING}: scale {scale}, {name}", there.collected) for name, there in zip(named, found, strict=True)]


def set_columns(sets: list[tuple[str, Collected]], titles: Mapping[str, str]) -> tuple[Column, ...]:
    """Columns for each set, by the keys of `titles`; their own keys are `set_key`'s."""
    headings = enumerate(heading for heading, _ in sets)
    return tuple(Column(set_key(place, key), titles[key], heading) for place, heading in headings for key in titles)


def set_key(place: int, key: str) -> str:
    """The key of a column of the set in that place."""
    return f"set{place}_{key}"


def _records(there: PublishedSet, tables: Iterable[str]) -> list[Record]:
    return [result.record for result in there.collected.results if result.record and result.run.table in tables]


def _devices(there: PublishedSet, tables: Iterable[str]) -> str:
    return ", ".join(sorted({record.environment.computed_on for record in _records(there, tables)}))


def published_mean(arm: Arm) -> Cell:
    """The mean in percent over the seeds that are there."""
    return Cell(number(arm.mean.mean), "published", arm.sources) if arm.mean is not None else _none(arm)


def published_gain(comparison: Comparison) -> Cell:
    """The paired difference over the seeds that are there."""
    if comparison.gain is None:
        return next((_none(arm) for arm in comparison.arms if arm.mean is None), missing("not paired"))
    return Cell(gain_text(comparison.gain), "published", comparison.sources)


def _none(arm: Arm) -> Cell:
    return missing(UNREADABLE if arm.status == UNREADABLE else NONE)


def agreement_notes(collected: Collected, metric: Metric, *tables: str) -> tuple[str, ...]:
    """For each set, how many numbers of runs that are done here too are the same, and how far the others are apart.

    A run's id holds the name of its data, not what is in it: runs on other images of a folder are not compared.
    """
    notes = []
    for heading, there in sets_of(collected, *tables):
        both = [
            (ours, theirs)
            for ours, theirs in zip(collected.results, there.results, strict=True)
            if ours.run.table in tables and ours.status == theirs.status == DONE
        ]
        same = [pair for pair in both if len({result.record.data_identity for result in pair}) == 1]
        values = [[metric.of(result.metrics) for result in pair] for pair in same]
        apart = [abs(ours - theirs) for ours, theirs in values if None not in (ours, theirs)]
        parts = [_agreement(apart)] if apart else []
        if len(same) < len(both):
            parts.append(f"{plural(len(both) - len(same), 'run')} on other data than ours, so not compared.")
        if parts:
            notes.append(f"{heading[0].upper()}{heading[1:]}: {' '.join(parts)}")
    return tuple(notes)


def _agreement(apart: list[float]) -> str:
    equal = apart.count(0.0)
    text = f"{equal} of {plural(len(apart), 'number')} {'is' if equal == 1 else 'are'} equal to ours to the last digit"
    if equal == len(apart):
        return f"{text}."
    mean = sum(apart) / len(apart)
    return f"{text}; the distance is {mean:.2g} points in the mean and {max(apart):.2g} at most."
