"""Find the modules of a folder by name: a method, a row, a table, a kind of run is one file. Standard library only."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import shlex
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

VARIABLE = "PLUGINS"  # environment variable: folders of one's own, separated as in PATH


def assignments() -> list[str]:
    """What has to stand before a command, or beside make's target, that finds the same modules again; quoted."""
    return [f"{VARIABLE}={shlex.quote(os.environ[VARIABLE])}"] if os.environ.get(VARIABLE) else []


def modules(package: ModuleType, declares: str) -> Iterator[ModuleType]:
    """Every module of a package, in order of name, and those of the user's own folders of the same last name.

    ``PLUGINS=/my/study`` adds ``/my/study/methods/*.py`` to `transmix.methods`, ``/my/study/tables/*.py`` to
    `reports.tables`, and so on. Modules whose names begin with an underscore are the package's own business.

    Args:
        package: the room.
        declares: the name that each of its modules has to give a value. A file of the user's that does not, or cannot
            be loaded, ends the program with one line.
    """
    room = package.__name__.rpartition(".")[2]
    for folder in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        if not Path(folder).is_dir():
            raise ended(f"{VARIABLE}: no such folder: {folder} ({os.pathsep!r} separates several)")
        if Path(folder).absolute().name == room and any(Path(folder).glob("*.py")):
            raise ended(f"{VARIABLE}: {folder} holds the files of {room}/ themselves: give the folder above it")
        place = str(Path(folder).absolute() / room)
        if place not in package.__path__:
            package.__path__.append(place)
    for name in sorted({found.name for found in pkgutil.iter_modules(package.__path__)}):
        if not name.startswith("_"):
            yield _loaded(package, name, declares)


def _loaded(package: ModuleType, name: str, declares: str) -> ModuleType:
    name = f"{package.__name__}.{name}"
    file = importlib.util.find_spec(name).origin
    remedy = f"mend it, or take it out of {VARIABLE}"
    try:
        module = importlib.import_module(name)
    except Exception as error:
        if Path(file).parent == Path(package.__file__).parent:
            raise  # the suite's own
        raise ended(f"{_fault(error, file)}: {remedy}") from None
    if not hasattr(module, declares):
        raise ended(f"{file}: there is no {declares} in it: {remedy}")
    return module


def _fault(error: Exception, file: str) -> str:
    """Where in a file something went wrong as it was loaded, and what."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return f"{file}, line {error.lineno}: {error.msg}"
    lines = [f", line {frame.lineno}" for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}{''.join(lines[-1:])}: {type(error).__name__}: {error}"


def ended(message: str) -> SystemExit:
    """What ends the program for a fault of a declaration, which is said.

    No `UserError`: declarations are read while a command's modules load, and nothing would catch it.
    """
    print(f"error: {message}", file=sys.stderr)
    return SystemExit(2)
