"""Records: what a run measured and where that came from. Written last and atomically: no record, no run.

A record is JSON with these keys:

=============  =====================================================================================
format         2
digest         SHA-256 of all the rest (`digest`): a record that was changed after it was written is not read
run            id, name, table, kind, scale, row, part, method, seed, needs, command (makes it again)
settings       the recipe or protocol; with data, seed and needs they give the hash in the run's id
data           name, source, classes, images, fingerprint
metrics        what was measured; its keys depend on the kind
environment    commit, packages, Python, device, threads, processes
files          SHA-256 of what lies beside the record, by file name
started        UTC, ISO 8601
wall_seconds   over all the sessions that it took
=============  =====================================================================================

A kind of run may add keys of its own. One that trains has

=============  =====================================================================================
weights        the file whose accuracy is reported
right          which validation images these weights are right about (see `experiments.correctness`)
history        for each epoch: epoch, lr, loss, accuracy; label_shift, the mean distance of labels from
               the area rule; and lambda, histograms over the epoch's CutMix images (see
               `transmix.training.log.LAMBDA_BINS`): all zeros where there were none, and under the area rule
               all of shift in the bin that begins at 0
=============  =====================================================================================
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from transmix.common.errors import UserError
from transmix.common.files import write_text

FORMAT = 2
NAME = "record.json"
KEYS = ("run", "settings", "data", "metrics", "environment", "files", "started", "wall_seconds")


class UnreadableRecord(UserError):
    """A record file that is there but cannot be used."""


def write_record(folder: Path, record: dict[str, Any]) -> Path:
    """Write `record` into a run's folder, atomically, with its format and digest."""
    path = folder / NAME
    content = {"format": FORMAT} | {key: value for key, value in record.items() if key not in ("format", "digest")}
    content = json.loads(json.dumps(content, allow_nan=False))  # as it will be read: text keys, lists for tuples
    write_text(path, _spelled(content | {"digest": digest(content)}) + "\n")
    return path


def _spelled(record: dict[str, Any]) -> str:
    """JSON for people: indented, but with each list of numbers in one line."""
    numbers = re.compile(r"\[\n([-+.eE\d,\s]+)\]")  # never within a text, which has no line breaks in JSON
    return numbers.sub(lambda found: f"[{', '.join(found[1].replace(',', ' ').split())}]", json.dumps(record, indent=1))


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a run's folder; None if it has none.

    Raises:
        UnreadableRecord: names the file.
    """
    path = folder / NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise UnreadableRecord(f"record {path} has format {record['format']}, this version reads {FORMAT}")
        if record["digest"] != digest(record):
            raise UnreadableRecord(f"record {path} was changed after it was written")
        for key in KEYS:
            record[key]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise UnreadableRecord(f"record {path} is not readable ({error})") from error
    return record


def digest(record: dict[str, Any]) -> str:
    """SHA-256, in hex, of a record's canonical JSON without its own `digest`."""
    rest = {key: value for key, value in record.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
