"""``python -m reports compare A B``: what changed between two folders of runs."""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from reports.analysis.arms import Comparison
from reports.analysis.words import estimate_text, number, plural
from reports.compare.figures import CAPTION as FIGURES
from reports.compare.figures import curves_gallery, difference_figures
from reports.compare.pairs import Pair, Pairing, pair_up, settings_apart
from reports.figures.kept import write_figures
from reports.figures.style import Gallery, Picture
from reports.formats.html import fill
from reports.formats.render import print_table, to_csv, warn
from reports.formats.table import Cell, Column, Table, missing
from reports.records.found import readable
from transmix.common.errors import UserError
from transmix.common.files import write_text
from transmix.common.text import printable_lines

OUT = Path("results/comparisons")
NAMED = 6  # runs that a line names; of more it gives the number
CAPTION = (
    "A is {a}, B is {b}. Means over the seeds that both have; B − A is paired by seed, with two or more seeds ± its "
    "95 % interval (Student’s t). The interval over images is a paired bootstrap: it is about these very models, and "
    "says nothing about other trainings."
)


@dataclass(frozen=True)
class Compared:
    """Two folders of runs, compared; in no format yet.

    Attributes:
        folders: A and B, as they were given.
        pairing: their runs.
        table: every metric of every pair.
        notes: what may be concluded from all of it.
        apart: the settings, data and environments that differ.
        problems: one line for every record that could not be read.
    """

    folders: tuple[Path, Path]
    pairing: Pairing
    table: Table
    notes: tuple[str, ...]
    apart: Table
    problems: list[str]

    @cached_property
    def figures(self) -> list[Picture]:
        """Differences by run, one figure a table."""
        return difference_figures(self.pairing)

    @cached_property
    def curves(self) -> Gallery | None:
        """Occlusion curves of both, if both have any."""
        return curves_gallery(self.pairing)

    @property
    def pictures(self) -> list[Picture]:
        """All figures, those of the gallery last."""
        return self.figures + (self.curves.pictures if self.curves else [])

    @property
    def command(self) -> str:
        """What makes it again."""
        return shlex.join(["python", "-m", "reports", "compare", *map(str, self.folders)])

    @property
    def only(self) -> list[tuple[str, list[str]]]:
        """Runs that only A has, and those that only B has."""
        both = (("A", self.pairing.only_a), ("B", self.pairing.only_b))
        return [(side, [_with_seeds(*run) for run in runs.items()]) for side, runs in both if runs]


def compare(args: argparse.Namespace) -> None:
    """Print what changed, and write it as Markdown, CSV, HTML and figures.

    Raises:
        UserError: a folder has no records, or not in a way that can be paired.
    """
    found = build(args.a, args.b)
    page = write(found, args.out or default_folder(args.a, args.b))
    warn(found.problems)
    print_table(replace(found.table, notes=found.notes))
    print_table(found.apart)
    for side, names in found.only:
        print(f"Only in {side}: {'; '.join(names)}")
    print(f"Comparison: {page}")


def build(a: Path, b: Path) -> Compared:
    """Read and compare two folders.

    Raises:
        UserError: as `compare`.
    """
    (first, problems), (second, others) = readable(a), readable(b)
    if a.resolve() == b.resolve():  # which takes that they are there
        raise UserError(f"A and B are the same folder, {a}: give two")
    pairing = pair_up(first, second, (a, b))
    return Compared(
        folders=(a, b),
        pairing=pairing,
        table=difference_table(pairing, (a, b)),
        notes=conclusions(pairing),
        apart=apart_table(pairing),
        problems=problems + others,
    )


def difference_table(pairing: Pairing, folders: tuple[Path, Path]) -> Table:
    """A line for every metric of every pair."""
    columns = (
        Column("name", "Run", align="left"),
        Column("metric", "Metric", align="left"),
        Column("seeds", "Seeds"),
        Column("a", "A"),
        Column("b", "B"),
        Column("gain", "B − A"),
        Column("images", "95 % over images"),
    )
    caption = CAPTION.format(a=folders[0], b=folders[1])
    rows = tuple(_cells(*compared) for compared in pairing.comparisons)
    return Table("comparison", caption, columns, rows)


def _cells(pair: Pair, found: Comparison) -> dict[str, Cell]:
    digits = found.metric.digits
    a, b = found.means
    gain = "equal" if found.equal else estimate_text(found.difference, True, digits)
    return {
        "name": Cell(pair.name),
        "metric": Cell(found.metric.title),
        "seeds": Cell(f"{found.difference.count:,}"),
        "a": Cell(number(a, digits), "measured"),
        "b": Cell(number(b, digits), "measured"),
        "gain": Cell(gain, "measured"),
        "images": Cell(found.images.text, "measured") if found.images else missing(_no_images(found)),
    }


def _no_images(found: Comparison) -> str:
    if found.metric.by_image is None:
        return "not by image"
    return "no answers" if found.same_data else "other data"


def conclusions(pairing: Pairing) -> tuple[str, ...]:
    """What may be concluded from all differences together."""
    named = [(pair.name, one) for pair, one in pairing.comparisons if one.same_data]
    found = [one for _, one in named]
    notes = []
    equal = sum(one.equal for one in found)
    if equal:
        notes.append(f"{equal:,} of {plural(len(found), 'number')} on the same data are equal to the last digit.")
    judged = [one for one in found if one.judged]
    if judged:
        shown = [f"{name}, {one.metric.title}, is {_direction(one)}" for name, one in named if one.shown]
        notes.append(
            f"{len(shown):,} of {plural(len(judged), 'interval')} over seeds exclude zero"
            + (f": {_listed(shown)}." if shown else ": no difference is shown.")
            + f" Where nothing has changed, one in twenty does so by chance, here about {number(len(judged) / 20, 1)}."
        )
    if any(one.gain.count == 1 and not one.equal for one in found):
        notes.append("A difference of one seed says little: nothing is known about other trainings.")
    other = dict.fromkeys(pair.name for pair, one in pairing.comparisons if not one.same_data)
    if other:
        notes.append(
            f"On different data, so that a difference is also one of the data, and nothing is concluded: "
            f"{_listed([*other])}."
        )
    return tuple(notes)


def _direction(found: Comparison) -> str:
    return f"{'higher' if found.gain.low > 0 else 'lower'} in B"


def _listed(names: list[str]) -> str:
    return "; ".join(names) if len(names) <= NAMED else f"{'; '.join(names[:NAMED])}; and {len(names) - NAMED} more"


def apart_table(pairing: Pairing) -> Table:
    """What the pairs differ in besides their metrics."""
    columns = (
        Column("what", "What differs", align="left"),
        Column("a", "A", align="left"),
        Column("b", "B", align="left"),
        Column("runs", "Runs", align="left"),
    )
    rows = []
    for (what, a, b), names in settings_apart(pairing.pairs).items():
        runs = "all" if len(names) == len(pairing.pairs) else _listed(names)
        rows.append({"what": Cell(what), "a": Cell(a), "b": Cell(b), "runs": Cell(runs)})
    runs = plural(len(pairing.pairs), "run")
    caption = f"Settings, data and environments of the {runs} in both folders, where they differ."
    return Table("apart", caption, columns, tuple(rows), () if rows else ("They differ in none.",))


def numbers(pairing: Pairing) -> list[dict[str, Any]]:
    """Every difference for programs, unrounded; what cannot be known is None."""
    return [_numbers(*compared) for compared in pairing.comparisons]


def _numbers(pair: Pair, found: Comparison) -> dict[str, Any]:
    run = pair.first.run
    a, b = found.means
    records = {
        f"{side}_records": " ".join(results[seed].run.id for seed in found.values[0])
        for side, results in (("a", pair.a), ("b", pair.b))
    }
    return {
        "run": pair.name,
        "table": run.table,
        "row": run.row,
        "part": run.part or None,
        "method": run.method,
        "metric": found.metric.key,
        "unit": found.metric.title,
        "seeds": found.difference.count,
        "a": a,
        "b": b,
        "difference": found.difference.mean,
        "half_width_95_over_seeds": found.difference.half_width,
        "low_95_over_images": found.images.low if found.images else None,
        "high_95_over_images": found.images.high if found.images else None,
        "same_data": found.same_data,
        "equal": found.equal,
        **records,
    }


def _with_seeds(name: str, seeds: list[int]) -> str:
    return f"{name} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"


def default_folder(a: Path, b: Path) -> Path:
    """``results/comparisons/tiny-vs-lab``; by the whole paths where the folders have one name."""
    names = [path.resolve().name for path in (a, b)]
    if names[0] == names[1]:
        names = [re.sub(r"[^\w.]+", "-", str(path)).strip("-.") or path.resolve().name for path in (a, b)]
    return OUT / "-vs-".join(names)


def write(found: Compared, folder: Path) -> Path:
    """Write every format into `folder`, the page last; returns the page's path."""
    write_figures(found.pictures, folder / "figures")
    write_text(folder / "compare.csv", to_csv(numbers(found.pairing)))
    for name in ("compare.md", "compare.html"):
        write_text(folder / name, printable_lines(fill(name, found=found, reading=FIGURES)))
    return folder / "compare.html"
