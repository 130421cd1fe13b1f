"""Lists of classes of which a data set is read. Standard library only."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from transmix.common.errors import UserError

LISTS = {"imagenet100": "HobbitLong/CMC @bc687a2, imagenet100.txt (Tian, Krishnan and Isola, ECCV 2020)"}  # with source


@cache
def class_list(name: str) -> tuple[str, ...]:
    """The names of a list's class folders, sorted: their places are the labels."""
    lines = (Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(sorted(line for line in lines if line and not line.startswith("#")))


def check_all_there(folder: Path, found: set[str], wanted: tuple[str, ...], name: str) -> None:
    """Raise `UserError` unless a folder has all classes of a list."""
    missing = [one for one in wanted if one not in found]
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} of the {len(wanted)} classes of {name}, {missing[0]} first: give a whole "
            "ImageNet folder, whose class folders are WordNet ids"
        )
