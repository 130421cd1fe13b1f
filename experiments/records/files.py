"""Record files: written whole or not at all, and read with all that is wrong with one said in a line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from experiments.records.record import Record, parse, unsound
from transmix.common.errors import UserError
from transmix.common.files import write_text

FORMAT = 2
NAME = "record.json"


class UnreadableRecord(UserError):
    """A record file that is there but cannot be used."""


def write_record(folder: Path, record: Record) -> Path:
    """Write `record` into a run's folder, atomically, with its format and digest.

    Raises:
        UserError: it holds what a record cannot hold; names the key.
    """
    path = folder / NAME
    write_text(path, _text(path, record))
    return path


def rehearse(folder: Path, record: Record) -> None:
    """Do all that `write_record` does but leave nothing: what would end a run after its last step ends it before.

    Raises:
        UserError: the record holds what a record cannot hold, or the folder cannot be written to.
    """
    path = folder / NAME
    trial = path.with_name(".rehearsal")
    write_text(trial, _text(path, record))
    trial.unlink()


def _text(path: Path, record: Record) -> str:
    content = record.content()
    if wrong := unsound(content):
        raise UserError(f"record {path} cannot be written: {wrong}")
    content = json.loads(json.dumps(content))  # as it will be read: lists for tuples
    parse(content)
    return signed(content)


def signed(content: dict[str, Any]) -> str:
    """The text of a record file around its content: with format and digest, each list of numbers in one line."""
    content = {"format": FORMAT} | {key: value for key, value in content.items() if key not in ("format", "digest")}
    return _lines(content | {"digest": digest(content)}, "\n ") + "\n"


def _lines(value: Any, start: str) -> str:
    """JSON with a line for each key, and for each item of a list but one of numbers; `start` begins such a line."""
    if isinstance(value, dict) and value:
        lines = [f"{json.dumps(key)}: {_lines(item, start + ' ')}" for key, item in value.items()]
        return "{" + start + f",{start}".join(lines) + start[:-1] + "}"
    if isinstance(value, list) and not {int, float}.issuperset(map(type, value)):
        return "[" + start + f",{start}".join(_lines(item, start + " ") for item in value) + start[:-1] + "]"
    return json.dumps(value)


def digest(content: dict[str, Any]) -> str:
    """SHA-256, in hex, of a record's canonical JSON without its own `digest`."""
    rest = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def digest_of(record: Record) -> str:
    """The digest that a record's file has."""
    return digest({"format": FORMAT} | record.content())


def read_record(folder: Path) -> Record | None:
    """The record of a run's folder; None if it has none.

    Raises:
        UnreadableRecord: names the file, and what of it is not as a run writes it.
    """
    path = folder / NAME
    try:
        if not path.is_file():
            if path.exists():
                raise UnreadableRecord(f"record {path} is not a file")
            if path.is_symlink():
                raise UnreadableRecord(f"record {path} is a link to {path.readlink()}, which is not there")
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise UnreadableRecord(f"record {path} is not readable (it is no object)")
        if content.get("format") != FORMAT:
            found = repr(content.get("format"))[:20]
            raise UnreadableRecord(f"record {path} has format {found}, this version reads {FORMAT}")
        if content.get("digest") != digest(content):
            raise UnreadableRecord(f"record {path} was changed after it was written")
    except (ValueError, OSError, RecursionError) as error:
        raise UnreadableRecord(f"record {path} is not readable ({error})") from error
    try:
        if wrong := unsound(content):
            raise ValueError(wrong)
        return parse(content)
    except KeyError as error:
        raise UnreadableRecord(f"record {path} lacks {error}") from error
    except ValueError as error:
        raise UnreadableRecord(f"record {path} is not as a run writes it ({error})") from error
