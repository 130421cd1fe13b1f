"""``python -m reports show RUN``: one record for a person, on the terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.records import NAME
from experiments.runs import Run
from experiments.study_options import study_from
from reports.analysis.metrics import ORIGINS, metrics_of
from reports.analysis.statistics import mean_interval
from reports.analysis.words import number, plural
from reports.records.collect import Result
from reports.records.found import Found, read_found
from reports.records.origins import duration
from transmix.common.errors import UserError
from transmix.common.plugins import VARIABLE
from transmix.common.text import printable

EPOCHS = 12  # lines of a history that are shown


def show(args: argparse.Namespace) -> None:
    """Print the record of a run, or what makes it where there is none.

    Raises:
        UserError: there is no such run or folder, or its record cannot be used.
    """
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for path in (Path(args.run), args.results / args.scale / args.run):
        if path.exists():
            return print_record(console, _at(path))
    if "/" in args.run:
        raise UserError(f"no such folder or record: {args.run}")
    run = _planned(args)
    if run.status() in ("not run", "started"):
        _print_pairs(console, run.name, {"Id": run.id, "Status": run.status(), "Command": run.command})
        return None
    if run.status() == "unreadable":
        run.record()  # raises with the remedy
    return print_record(console, read_found(run.folder / NAME))


def _planned(args: argparse.Namespace) -> Run:
    """The run of that name in the study that is asked for; one that another scale has a record of is told of."""
    study = study_from(args)
    try:
        return study.find(args.run)
    except UserError:
        folders = [path.parent for path in args.results.glob(f"*/*/{NAME}")]  # RESULTS/SCALE/NAME-HASH
        scales = sorted({one.parent.name for one in folders if one.name.rpartition("-")[0] == args.run})
        if not scales:
            raise
        if study.scale.name in scales:
            raise UserError(
                f"{args.run} has a record, but no place in this study: name its methods, rows and {VARIABLE}, or give "
                "its folder"
            ) from None
        raise UserError(
            f"no run {args.run} at scale {study.scale.name}, but elsewhere: add --scale {' or '.join(scales)}"
        ) from None


def _at(path: Path) -> Found:
    path = path / NAME if path.is_dir() else path
    if path.name != NAME or not os.path.lexists(path):
        raise UserError(f"no record at {path}: give a run’s name or id, its folder, or its {NAME}")
    return read_found(path)


def print_record(console: Console, found: Found) -> None:
    """Everything that a record says.

    Raises:
        UserError: the record cannot be used.
    """
    if found.result is None:
        raise UserError(found.problem)
    result, record = found.result, found.result.record
    run = result.run
    _print_pairs(console, run.name, dict(_who(result)))
    _print_pairs(console, "What it measured", dict(_measured(result)))
    origin = f"Where these are from: {_origin(result)}; {found.path}"
    console.print(f"[dim]{escape(printable(origin))}[/dim]\n", soft_wrap=True)
    if "curves" in record.metrics:
        _print_curves(console, record.metrics)
    if record.history:
        _print_history(console, record.history)
    _print_pairs(console, "Recipe" if run.kind == "train" else "Protocol", record.settings)
    content = record.content()
    images = ", ".join(f"{count:,} {split}" for split, count in record.data.images.items())
    _print_pairs(console, "Data", content["data"] | {"images": images})
    packages = content["environment"].pop("packages")
    _print_pairs(console, "Environment", content["environment"] | packages)
    _print_pairs(console, "Files", dict(_files(result)))
    _print_pairs(console, "How to make it again", {"Command": f"{run.command} --restart"})


def _who(result: Result) -> Iterator[tuple[str, Any]]:
    run, record = result.run, result.record
    yield "Id", run.id
    yield "Kind", run.kind
    yield "Scale", run.scale
    yield "Seed", run.seed
    for need in run.needs:
        there = (result.folder.parent / need / NAME).is_file()
        yield "Needs", f"{need} ({'there' if there else 'no record'})"
    yield "Started", record.started
    yield "Wall time", duration(record.wall_seconds)


def _measured(result: Result) -> Iterator[tuple[str, Any]]:
    """The numbers that tables show, as they show them; then all others that are single numbers."""
    metrics = result.metrics
    shown = metrics_of(result.run.kind)
    for metric in shown:
        value = metric.of(metrics)
        if value is not None:
            yield metric.title, number(value, metric.digits)
    for name, value in metrics.items():
        if isinstance(value, int | float) and name not in {metric.key for metric in shown}:
            yield name.replace("_", " "), f"{value:,}"


def _origin(result: Result) -> str:
    text = ORIGINS.get(result.run.kind, "as the run wrote them")
    return text.format(weights=result.record.weights or "its weights")


def _files(result: Result) -> Iterator[tuple[str, str]]:
    for name, digest in result.record.files.items():
        path = result.folder / name
        size = plural(path.stat().st_size, "byte") if path.is_file() else "not there"
        yield name, f"{size}, SHA-256 {digest}"


def _print_curves(console: Console, metrics: dict[str, Any]) -> None:
    table = Table(box=box.SIMPLE_HEAD, title="Top-1 (%) by severity, mean over draws", title_justify="left")
    table.add_column("curve")
    table.add_column("severity: top-1")
    for name, curve in metrics["curves"].items():
        means = [mean_interval(values).mean for values in zip(*curve["top1"], strict=True)]
        points = zip(curve["severities"], means, strict=True)
        table.add_row(
            escape(printable(name.replace("_", " "))),
            "  ".join(f"{_severity(at)}: {number(mean, 1)}" for at, mean in points),
        )
    console.print(table)


def _severity(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)


def _print_history(console: Console, history: list[dict[str, Any]]) -> None:
    """Its first and last epochs and some between, evenly."""
    last = len(history) - 1
    places = range(last + 1) if last < EPOCHS else sorted({round(last * at / (EPOCHS - 1)) for at in range(EPOCHS)})
    table = Table(box=box.SIMPLE_HEAD, title="History", title_justify="left")
    for title in ("epoch", "learning rate", "training loss", "label shift", "top-1 (%)", "top-5 (%)"):
        table.add_column(title, justify="right")
    for epoch in (history[place] for place in places):
        accuracy = epoch.get("accuracy", {})
        cells = (_short(epoch.get("lr"), ".2e"), _short(epoch["loss"], ".3f"), _short(epoch.get("label_shift"), ".3f"))
        scores = (_short(accuracy.get(name), ".2f") for name in ("top1", "top5"))
        table.add_row(str(epoch["epoch"] + 1), *cells, *scores)
    console.print(table)


def _short(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _print_pairs(console: Console, title: str, pairs: dict[str, Any]) -> None:
    """One line each, never broken: a command can be copied."""
    console.print(f"[bold]{escape(printable(title))}[/bold]")
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        name, text = printable(f"{name:{width}}"), printable(str(value))
        console.print(f"  [dim]{escape(name)}[/dim]  {escape(text)}", soft_wrap=True)
    console.print()
