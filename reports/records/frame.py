"""``python -m reports frame``: all records as one table for pandas, a line each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.formats.render import warn
from reports.records.collect import Result
from reports.records.found import default_folders, readable
from transmix.common.errors import UserError
from transmix.common.files import replacing

if TYPE_CHECKING:
    import pandas


def frame(args: argparse.Namespace) -> None:
    """Write the table as CSV or Parquet; without a file, as CSV to standard output.

    Raises:
        UserError: no record that can be used, or no library that writes Parquet.
    """
    found, problems = frame_of(args.folders or default_folders())
    warn(problems)
    if args.parquet is not None:
        try:
            content = found.to_parquet(index=False)
        except ImportError as error:
            raise UserError("--parquet needs pyarrow, which is not installed: install it, or use --csv FILE") from error
        with replacing(args.parquet) as file:
            file.write(content)
    elif args.csv is not None:
        with replacing(args.csv) as file:
            file.write(found.to_csv(index=False, lineterminator="\n").encode(errors="backslashreplace"))
    else:
        sys.stdout.write(found.to_csv(index=False, lineterminator="\n"))
        return
    print(f"{args.parquet or args.csv}: {len(found):,} records, {len(found.columns):,} columns")


def frame_of(folders: Sequence[Path]) -> tuple[pandas.DataFrame, list[str]]:
    """All records below some folders, and what is wrong with those that cannot be used.

    The columns are those of `experiments.records.RunInfo`, ``folder``, ``started`` and ``wall_seconds``, then
    ``settings.*``, ``data.*``, ``metrics.*`` and ``environment.*``: single values, those within others by their path
    (``metrics.curves.random.area``). Lists of settings are JSON; lists that were measured are left out. A record that
    lacks a column has nothing there.

    Raises:
        UserError: no folder, no record that can be used, or a run that comes twice in one folder.
    """
    import pandas  # takes longer to import than everything else here

    lines, problems = [], []
    for folder in folders:
        results, wrong = readable(folder)
        lines += [dict(_line(result)) for result in results]
        problems += wrong
    names = sorted(dict.fromkeys(name for line in lines for name in line), key=_place)  # else as they come
    columns = {name: _column([line.get(name) for line in lines]) for name in names}
    return pandas.DataFrame(
        {name: pandas.Series(values, dtype=kind) for name, (values, kind) in columns.items()}
    ), problems


_PARTS = ("settings", "data", "metrics", "environment")


def _place(name: str) -> int:
    """Where a column's part stands: that of the run first, then `_PARTS`."""
    part, dot, _ = name.partition(".")
    return 1 + _PARTS.index(part) if dot else 0


def _line(result: Result) -> Iterator[tuple[str, Any]]:
    content = result.record.content()
    yield from (content["run"] | {"needs": " ".join(result.record.run.needs), "folder": str(result.folder)}).items()
    yield "started", result.record.started
    yield "wall_seconds", result.record.wall_seconds
    for part in _PARTS:
        yield from _values(part, content[part], lists=part == "settings")


def _values(name: str, value: Any, lists: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(f"{name}.{key}", item, lists)
    elif not isinstance(value, list | tuple):
        yield name, value
    elif lists:
        yield name, json.dumps(value)


def _column(values: list[Any]) -> tuple[list[Any], str]:
    """The values of a column and its type, one that can also say that there is nothing."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return values, "boolean"
    if kinds == {int}:
        return values, "Int64"
    if kinds <= {int, float}:
        return values, "float64"
    if kinds != {str}:
        values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return values, "object"
