"""Records: what a run measured and where that came from. Written last and atomically: no record, no run.

A record is JSON with these keys:

=============  =====================================================================================
format         1
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
               `transmix.log.LAMBDA_BINS`): all zeros where there were none, and under the area rule
               all of shift in the bin that begins at 0
=============  =====================================================================================
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transmix.errors import UserError
from transmix.files import write_text

FORMAT = 1
NAME = "record.json"
KEYS = ("run", "settings", "data", "metrics", "environment", "files", "started", "wall_seconds")


class UnreadableRecord(UserError):
    """A record file that is there but cannot be used."""


def write_record(folder: Path, record: dict[str, Any]) -> Path:
    """Write `record` into a run's folder, atomically."""
    path = folder / NAME
    write_text(path, json.dumps({"format": FORMAT, **record}, indent=1, allow_nan=False) + "\n")
    return path


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
        for key in KEYS:
            record[key]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UnreadableRecord(f"record {path} is not readable ({error})") from error
    return record
