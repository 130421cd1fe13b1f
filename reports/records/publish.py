"""``python -m reports publish DIR``: verified records, without weights, to where every report shows them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.records import NAME
from reports.analysis.words import plural
from reports.records.collect import PUBLISHED_RUNS, Result
from reports.records.found import find_records, readable
from reports.records.verify import check_all, is_planned
from transmix.common.errors import UserError
from transmix.common.files import replacing

LIMIT = 256 * 1024  # bytes a record: of 300 epochs, one has 100 kB; what is larger does not belong into the project


def publish(args: argparse.Namespace) -> None:
    """Copy the records of a folder; all of them are checked before the first is written.

    Raises:
        UserError: a record does not verify, is of uncommitted code, too large, or another than the one published.
    """
    destination, copied = copy_records(args.folder, args.name, args.data)
    print(f"{plural(len(copied), 'record')} copied to {destination}; commit that folder to publish them")
    named = sorted({path for result in readable(destination)[0] for path in own_folders(result)})
    if named:
        print(f"note: they name folders of this machine, which others will read: {', '.join(named)}")


def own_folders(result: Result) -> list[str]:
    """Absolute paths in a record: where the user's data, weights or results lie."""
    texts = _texts(
        {key: value for key, value in result.record.content().items() if key != "right"}
    )  # base64 may begin with /
    return list(dict.fromkeys(path for text in texts for path in _ABSOLUTE.findall(text)))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


_ABSOLUTE = re.compile(r"(?:^|(?<=[\s:='\"]))/(?!/)[^\s'\"]+")


def copy_records(folder: Path, name: str | None, data: Path, root: Path = PUBLISHED_RUNS) -> tuple[Path, list[str]]:
    """Check and copy; returns where to, and the ids of the runs that were not there yet.

    Args:
        folder: of the runs.
        name: of the set; by default its scale and its device.
        data: folder of embedded data.
        root: of all sets.
    """
    tally = check_all(find_records(folder), data)
    if tally.wrong:
        more = f"; {len(tally.wrong) - 1} more: 'python -m reports verify {folder}'" if tally.wrong[1:] else ""
        raise UserError(f"nothing published: {tally.wrong[0]}{more}")
    results, _ = readable(folder)
    for result in results:
        _check(result)
    destination = root / (_slug(name) if name else default_name(results, folder))
    texts = {result.run.id: (result.folder / NAME).read_bytes() for result in results}
    missing = [run for run, text in texts.items() if not _same(destination / run / NAME, text)]
    for run in missing:
        with replacing(destination / run / NAME) as file:
            file.write(texts[run])
    return destination, missing


def _check(result: Result) -> None:
    if not is_planned(result.run):
        raise UserError(f"nothing published: {result.run.id} is of a model of your own, which no report would show")
    path, commit = result.folder / NAME, result.record.environment.commit
    if commit == "unknown" or commit.endswith("+"):
        code = "of no commit" if commit == "unknown" else f"uncommitted, {commit[:10]}+"
        raise UserError(
            f"nothing published: record {path} was made with code that nobody else has ({code}): commit the code, "
            f"then redo the run with '{result.run.command} --restart'"
        )
    if path.stat().st_size > LIMIT:
        raise UserError(
            f"nothing published: record {path} has {path.stat().st_size / 1024:,.0f} kB, the limit is "
            f"{LIMIT // 1024} kB: leave its run out"
        )


def _same(path: Path, text: bytes) -> bool:
    """Whether the record is there already; another one of the same run is not replaced."""
    if not path.exists():
        return False
    if path.read_bytes() != text:
        raise UserError(f"nothing published: {path} is another record of that run: choose another name with --as NAME")
    return True


def default_name(results: list[Result], folder: Path) -> str:
    """``tiny-cpu-x86-64``, ``lab-nvidia-h100-80gb-hbm3``.

    Raises:
        UserError: the runs are of several scales or devices.
    """
    names = {f"{result.run.scale}-{result.record.environment.device}" for result in results}
    if len(names) > 1:
        raise UserError(
            f"{folder} has runs of {len(names)} scales or devices ({', '.join(sorted(names))}): "
            "publish a folder of one, or name the set with --as NAME"
        )
    return _slug(names.pop())


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not slug:
        raise UserError(f"--as {name!r}: a name needs letters or digits")
    return slug
