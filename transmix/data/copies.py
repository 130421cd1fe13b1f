"""Images that are byte copies of one another: validation images among those of the training, one image in two classes.

Files of different sizes differ, so few are read: those of one size. Standard library only.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

from transmix.common.files import sha256

MOST = 20_000  # files that are read; where more have one size, those that share a name, too, and the first of them


def describe_copies(train: Sequence[str], val: Sequence[str], of_classes: bool) -> tuple[str, ...]:
    """Lines about images that are there twice; none where all differ.

    Args:
        train: paths of the training images.
        val: paths of the validation images.
        of_classes: whether an image's folder is its class.
    """
    trained, groups, lines = {*train}, copies([*train, *val]), []
    seen = [
        (path, next(other for other in group if other in trained))
        for group in groups
        if not trained.isdisjoint(group)
        for path in group
        if path not in trained
    ]
    if seen:
        lines.append(
            f"{len(seen):,} of {len(val):,} validation images are byte copies of training images, {seen[0][0]} of "
            f"{seen[0][1]} first: accuracy is in part that on the images of the training"
        )
    torn = [group for group in groups if of_classes and len({_class(path) for path in group}) > 1]
    if torn:
        other = next(path for path in torn[0] if _class(path) != _class(torn[0][0]))
        lines.append(
            f"{len(torn):,} images lie in several classes as byte copies, {torn[0][0]} and {other} first: their labels "
            "contradict each other"
        )
    return tuple(lines)


def copies(paths: Iterable[str]) -> list[list[str]]:
    """Groups of files of one content; links to one file are such, too. Of a large data set, the first `MOST` files."""
    groups = _alike(paths, os.path.getsize)
    if sum(map(len, groups)) > MOST:
        groups = [part for group in groups for part in _alike(group, os.path.basename)]
    chosen, read = [], 0
    for group in groups:
        read += len(group)
        if read <= MOST:
            chosen += _alike(group, sha256)
    return chosen


def _alike(paths: Iterable[str], key: Callable[[str], Hashable]) -> list[list[str]]:
    found = defaultdict(list)
    for path in paths:
        found[key(path)].append(path)
    return [group for group in found.values() if len(group) > 1]


def _class(path: str) -> str:
    return os.path.basename(os.path.dirname(path))
