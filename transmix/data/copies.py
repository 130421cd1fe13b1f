"""Images that are byte copies of one another: validation images among those of the training, one image in two classes.

Images of different sizes differ, so few are read: those of one size. Standard library only.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transmix.common.files import sha256
from transmix.common.text import printable
from transmix.data.remembered import listing_key, remembered

MOST = 20_000  # images that are read; where more have one size, those that share a name, too, and the first of them


@dataclass(frozen=True)
class Pictures:
    """The images of a split as they lie in files.

    Attributes:
        sizes: bytes of each; None for one that cannot be read here, and is not compared.
        digest: of image i's bytes.
        name: of image i, for people.
        usual: what a copy of image i is mostly called, too.
        labels: the class of each; None where images have none.
        at_hand: whether they are in memory, and all may be looked at.
    """

    sizes: Sequence[int | None]
    digest: Callable[[int], Hashable]
    name: Callable[[int], str]
    usual: Callable[[int], str]
    labels: Sequence[Hashable] | None = None
    at_hand: bool = False


def files(paths: Sequence[str], of_classes: bool) -> Pictures:
    """Images that are files of their own.

    Args:
        paths: where they are.
        of_classes: whether an image's folder is its class.
    """
    return Pictures(
        sizes=[*map(os.path.getsize, paths)],
        digest=lambda index: sha256(paths[index]),
        name=paths.__getitem__,
        usual=lambda index: os.path.basename(paths[index]),
        labels=[os.path.basename(os.path.dirname(path)) for path in paths] if of_classes else None,
    )


def copies_of_files(train: Sequence[str], val: Sequence[str], cache: Path | None) -> tuple[str, ...]:
    """`describe_copies` of files that have no classes, once for as long as they do not change.

    Args:
        train: paths of the training images.
        val: paths of the validation images.
        cache: where it is kept what was found; None: nowhere.
    """

    def check() -> dict[str, Any]:
        return {"notes": describe_copies(files(train, of_classes=False), files(val, of_classes=False))}

    return tuple(remembered(cache, "copies", listing_key([*train, *val]), check)["notes"])


def describe_copies(train: Pictures, val: Pictures) -> tuple[str, ...]:
    """Lines about images that are there twice; none where all differ."""
    first, lines = len(train.sizes), []  # numbers from here on are validation images
    groups = copies(train, val)
    seen = [(number, group[0]) for group in groups if group[0] < first for number in group if number >= first]

    def name(number: int) -> str:
        return printable(train.name(number) if number < first else val.name(number - first))

    if seen:
        number, other = min(seen)
        lines.append(
            f"{len(seen):,} of {len(val.sizes):,} validation images are byte copies of training images, {name(number)} "
            f"of {name(other)} first: accuracy is in part that on the images of the training"
        )
    if train.labels is not None and val.labels is not None:
        labels = [*train.labels, *val.labels]
        torn = [group for group in groups if len({labels[number] for number in group}) > 1]
        if torn:
            one = torn[0][0]
            other = next(number for number in torn[0] if labels[number] != labels[one])
            lines.append(
                f"{len(torn):,} images lie in several classes as byte copies, {name(one)} and {name(other)} first: "
                "their labels contradict each other"
            )
    return tuple(lines)


def copies(train: Pictures, val: Pictures) -> list[list[int]]:
    """Groups of images of one content, by number: first the training's, from its last on the validation's.

    Links to one file are such, too. Of a large data set, the first `MOST` images.
    """
    first, sizes = len(train.sizes), [*train.sizes, *val.sizes]

    def by(what: str) -> Callable[[int], Hashable]:
        one, other = getattr(train, what), getattr(val, what)
        return lambda number: one(number) if number < first else other(number - first)

    groups = _alike((number for number, size in enumerate(sizes) if size is not None), sizes.__getitem__)
    few = train.at_hand or sum(map(len, groups)) <= MOST
    if not few:
        groups = [part for group in groups for part in _alike(group, by("usual"))]
    chosen, read = [], 0
    for group in groups:
        read += len(group)
        if few or read <= MOST:
            chosen += _alike(group, by("digest"))
    return chosen


def _alike(numbers: Iterable[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    found = defaultdict(list)
    for number in numbers:
        found[key(number)].append(number)
    return [group for group in found.values() if len(group) > 1]
