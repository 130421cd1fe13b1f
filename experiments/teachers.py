"""Frozen teachers of training runs: a run's id holds what is in a weights file, not where it lies."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from experiments.scales import OWN_BASELINE
from transmix.common.errors import UserError
from transmix.common.files import named_file, sha256

TEACHER = "teacher"  # the setting, and the file among a run's inputs


def by_content(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """Settings of a recipe with the hash of its teacher in place of the file; and the file, as a run's input.

    Raises:
        UserError: there is no such file.
    """
    spec = settings[TEACHER]
    if spec in (None, OWN_BASELINE):
        return settings, {}
    name, file = named_file(spec)
    try:
        about = file.stat()
        content = _content(file, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise UserError(f"teacher={spec}: no such weights file ({error.strerror.lower()}): give another") from error
    return settings | {TEACHER: f"{name}:{content}" if name else content}, {TEACHER: file}


def by_place(teacher: str | None, inputs: dict[str, Path]) -> str | None:
    """The other way round: the teacher of such settings as a recipe takes it, with the file."""
    if TEACHER not in inputs or teacher in (None, OWN_BASELINE):
        return teacher
    name = teacher.rpartition(":")[0]
    return f"{name}:{inputs[TEACHER]}" if name else str(inputs[TEACHER])


@cache
def _content(file: Path, size: int, changed: int) -> str:
    """A file's hash, 16 hex digits; read once for as long as its size and time of change are the same."""
    return sha256(file)[:16]
