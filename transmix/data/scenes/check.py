"""Read a data set back: are all its files still those that were written? Nothing is rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from transmix.data.scenes.layouts import Shard, coco_list, dense_names, imagenet_names, plan_shards
from transmix.data.scenes.spec import COCO_SPLITS, ScenesSpec


def content_digest(spec: ScenesSpec, out: Path) -> str:
    """What `Manifest.sha256` would be with the files that lie under `out` now.

    Raises:
        OSError: one of them is missing, or cannot be read.
    """
    digest = hashlib.sha256()
    for shard in plan_shards(spec):
        files = hashlib.sha256()
        for name in _names(shard, out):
            content = (out / name).read_bytes()
            files.update(f"{name}\0{len(content)}\0".encode())
            files.update(content)
        digest.update(f"{shard.name} {files.hexdigest()}\n".encode())
    for split in COCO_SPLITS:
        digest.update((out / coco_list(split)).read_bytes())
    return digest.hexdigest()


def _names(shard: Shard, out: Path) -> Iterator[str]:
    """The files of a shard, in the order in which they were written."""
    numbers = range(shard.start, shard.stop)
    if shard.view == "dense":
        for number in numbers:
            yield from dense_names(shard.split, number + 1)
        return
    # an image's class is drawn: which folder it went to is seen, not computed
    folder = out / "imagenet" / shard.split
    classes = {path.stem: path.parent.name for path in folder.glob(f"*/{shard.split}_*")}
    for index in numbers:
        yield from imagenet_names(shard.split, classes.get(f"{shard.split}_{index:08d}", "*"), index)
