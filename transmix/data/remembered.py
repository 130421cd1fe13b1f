"""A check that is not done twice: its result is kept as a small JSON file, by what it was about."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from transmix.common.files import Unwritable, write_text

VERSION = 2  # of the checks: other versions of them look again


def remembered(folder: Path | None, name: str, key: str, check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `check` finds, or found earlier on the same data.

    A file that is damaged, about other data or of another version of the checks is made again. Only what was found
    whole is kept: an error is looked for anew. Where nothing can be written, nothing is kept.

    Args:
        folder: where results are kept; None: nowhere.
        name: of the check, a part of the file's name.
        key: what it is about, see `listing_key`.
        check: returns what JSON can hold.
    """
    if folder is None:
        return check()
    path = folder / f"checked-{name}.json"
    kept = _read(path, key)
    if kept is not None:
        return kept
    found = check()
    try:
        write_text(path, json.dumps({"about": [VERSION, key], "found": found, "sha256": _digest(key, found)}))
    except Unwritable:
        return found
    return found


def _read(path: Path, key: str) -> dict[str, Any] | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        whole = kept["about"] == [VERSION, key] and kept["sha256"] == _digest(key, kept["found"])
        return kept["found"] if whole else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _digest(key: str, found: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([VERSION, key, found], sort_keys=True).encode()).hexdigest()


def listing_key(files: Iterable[str | os.PathLike[str]], *about: Any) -> str:
    """A fingerprint of files by name, size and time of change, and of whatever else a check depends on."""
    sha = hashlib.sha256(repr(about).encode("utf-8", "surrogatepass"))
    for file in files:
        try:
            found = os.stat(file)
            state = (found.st_size, found.st_mtime_ns)
        except (OSError, ValueError):
            state = None
        sha.update(f"{os.fspath(file)}\0{state}\n".encode("utf-8", "surrogatepass"))
    return sha.hexdigest()
