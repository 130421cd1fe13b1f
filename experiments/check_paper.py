"""``python -m experiments check-paper``: the paper's models as they are built here, against what is known about them.

Each module in `PARTS` has a function ``part(write_costs) -> Part``. They are imported by name: one may live in a
package that imports this one.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass

from transmix.common.errors import UserError, unknown_name
from transmix.common.options import separated
from transmix.common.progress import progress_bar

PARTS = ("experiments.check_table1", "experiments.check_mixes", "downstream.check_configs")


@dataclass(frozen=True)
class Part:
    """Checks that print as one table.

    Attributes:
        heading: what is checked, and titles over the columns.
        checks: by name; each does its check and returns its lines, or raises `UserError` with what is wrong.
    """

    heading: str
    checks: dict[str, Callable[[], str]]


def run(args: argparse.Namespace) -> None:
    """Carry out the checks that the command line names, all by default, and print each as soon as it is done.

    Raises:
        UserError: a name is unknown, or something is not as expected; the other checks are carried out nevertheless.
    """
    carry_out("check-paper", [importlib.import_module(module).part(args.write_costs) for module in PARTS], args.rows)


def carry_out(command: str, parts: list[Part], wanted: str | None) -> None:
    """Carry out checks of some parts, and print each as soon as it is done.

    Args:
        command: what it is called, for people.
        parts: all there are.
        wanted: names of checks, separated by commas; None or ``all`` for all.

    Raises:
        UserError: a name is unknown, or something is not as expected; the other checks are carried out nevertheless.
    """
    known = [name for part in parts for name in part.checks]
    names = separated(command, wanted) if wanted and wanted != "all" else known
    for name in names:
        if name not in known:
            raise unknown_name("row", name, known)
    failures = []
    with progress_bar() as bar:
        line = bar.add_task(command, total=len(names), note="")
        for part in parts:
            chosen = [name for name in part.checks if name in names]
            if chosen:
                print(part.heading, flush=True)
            for name in chosen:
                bar.update(line, note=name)
                try:
                    print(part.checks[name](), flush=True)
                except UserError as error:
                    failures.append(f"{name}: {error}")
                    print(failures[-1], flush=True)
                bar.advance(line)
    if failures:
        raise UserError(f"{len(failures)} of {len(names)} checks are not as expected: {'; '.join(failures)}")
    print(f"{len(names)} of {len(names)} checks are as expected")
