"""Find the modules of a folder by name: a method, a row, a table, a kind of run is one file. Standard library only."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

VARIABLE = "PLUGINS"  # environment variable: folders of one's own, separated as in PATH


def assignments() -> list[str]:
    """What has to stand before a command, or beside make's target, that finds the same modules again; quoted."""
    return [f"{VARIABLE}={shlex.quote(os.environ[VARIABLE])}"] if os.environ.get(VARIABLE) else []


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """Every module of a package, in order of name, and those of the user's own folders of the same last name.

    ``PLUGINS=/my/study`` adds ``/my/study/methods/*.py`` to `transmix.methods`, ``/my/study/tables/*.py`` to
    `reports.tables`, and so on. Modules whose names begin with an underscore are the package's own business.
    """
    room = package.__name__.rpartition(".")[2]
    for folder in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        if not Path(folder).is_dir():
            # not a `UserError`: declarations are read while a command's modules load, and nothing would catch it
            print(f"error: {VARIABLE}: no such folder: {folder} ({os.pathsep!r} separates several)", file=sys.stderr)
            raise SystemExit(2)
        place = str(Path(folder).absolute() / room)
        if place not in package.__path__:
            package.__path__.append(place)
    for name in sorted({found.name for found in pkgutil.iter_modules(package.__path__)}):
        if not name.startswith("_"):
            yield importlib.import_module(f"{package.__name__}.{name}")
