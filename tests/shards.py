"""Write WebDataset shards, one member at a time."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Sample = tuple[str, dict[str, bytes]]  # key, content by suffix


def write_shard(path: Path, samples: Iterable[Sample], **options: Any) -> Path:
    """A .tar file of samples; options are `tarfile.open`'s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for key, files in samples:
            for suffix, content in files.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def samples_of(folder: Path) -> list[Sample]:
    """The images of class folders in timm's order, labelled by the folders' order."""
    classes = sorted(path for path in folder.iterdir())
    return [
        (f"{name.name}_{image.stem}", {"png": image.read_bytes(), "cls": str(label).encode()})
        for label, name in enumerate(classes)
        for image in sorted(name.iterdir())
    ]


def shards_of(folders: Path, out: Path, size: int = 7) -> Path:
    """The same data set as class folders, in shards of `size` samples."""
    for split in ("train", "val"):
        samples = samples_of(folders / split)
        for number, start in enumerate(range(0, len(samples), size)):
            write_shard(out / f"images-{split}-{number}.tar", samples[start : start + size])
    return out


def write_info(root: Path, lengths: dict[str, dict[str, int]], **about: Any) -> None:
    """timm's ``_info.json``: samples of each shard of each split."""
    splits = {
        split: {
            "name": split,
            "filenames": list(shards),
            "shard_lengths": list(shards.values()),
            "num_samples": sum(shards.values()),
            **about,
        }
        for split, shards in lengths.items()
    }
    (root / "_info.json").write_text(json.dumps({"name": "images", "splits": splits}))
