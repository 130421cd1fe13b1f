"""The JSON of COCO's lists, read as every tool would read it, or refused."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transmix.common.errors import UserError
from transmix.common.files import OTHERS, what_else
from transmix.common.progress import progress_bar


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the search for cycles, which JSON has none of: it takes a third of the time a large list is read in."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def parse(path: Path, content: bytes) -> tuple[dict[str, Any], bool]:
    """The JSON in a file, and whether it is written as everybody reads it: UTF-8 without a mark at its beginning."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"key {twice!r} comes twice in one entry")
        return found

    if (other := what_else(content[:64], OTHERS)) is not None:
        raise UserError(f"{path} is no list of COCO's format ({other[0]}): {other[1]}")
    try:
        encoding = json.detect_encoding(content)
        with progress_bar() as bar:
            bar.add_task(f"reading {path.name} ({len(content) / 1e6:,.0f} MB)", total=None, note="")
            # a NaN is kept as text, which no number may be
            document = json.loads(content.decode(encoding), object_pairs_hook=once, parse_constant=str)
    except RecursionError:
        raise UserError(f"{path} is no list of COCO's format (nested too deeply): export it again") from None
    except ValueError as error:
        raise UserError(f"{path} is no list of COCO's format ({error}): export it again") from None
    if not isinstance(document, dict):
        raise UserError(
            f"{path} is no list of COCO's format: it must be an object with images, annotations, categories"
        )
    return document, encoding == "utf-8"
