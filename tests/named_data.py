"""A data set as the setting that names it has it read."""

from __future__ import annotations

from pathlib import Path

from transmix.data.sources import SourceSpec, read_source


def read(text: str, cache: Path):
    return read_source(SourceSpec.parse(text), cache)
