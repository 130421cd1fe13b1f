"""WebDataset shards by index.

timm's own reader of shards is a stream through a shuffle buffer. A stream cannot be entered at a given image, its
order depends on the number of loader workers, and with several processes it shows some validation images twice and
others never, as its source says. But an uncompressed .tar file holds every member at a fixed place. So the shards are
indexed once, and an image is one read of a few bytes at an offset; all the rest stays timm's.

The conventions are WebDataset's and timm's: the files of a sample lie side by side and share a key (their name up to
the first dot of its last part); ``.jpg`` (``.jpeg``, ``.png``, ``.webp``) is the image, ``.cls`` the label as a
number, or the field ``label`` of ``.json`` (the split's ``alt_label`` field, where ``_info.json`` names one; images
labelled below zero there are left out). Splits are those of ``_info.json``; without it, the folders ``train`` and
``val`` or the words in the shards' names.

Shards have labels but no class names. Where all keys of a class begin with one WordNet id (``n01440764_3778``), that
is its name, and ImageNet's order is checked. Elsewhere classes are called by their labels, and it is taken on trust
that label i means what it means to whoever reads the results: with 1,000 classes, timm's ImageNet order.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from timm.data.readers.reader import Reader

from transmix.common.errors import UserError
from transmix.common.files import replacing
from transmix.data.sources.images import StrictImages
from transmix.data.sources.shard_index import ShardFile, index_shards, load_index, read_member
from transmix.data.sources.source import SPLITS, ImageSource, digest, find_split, natural_key
from transmix.data.sources.spec import SourceSpec

INFO = ("_info.json", "info.json")


def read_shards(root: Path, cache: Path) -> ImageSource:
    """Index the shards of a folder, or read the index that an earlier run left in `cache`.

    The fingerprint covers the shards' names, and place, size and label of every image.

    Raises:
        UserError: no shards of a split, a shard that is cut off, a sample without image or label, or labels that are
            out of range.
    """
    shards = {split: find_shards(root, split) for split in SPLITS}
    stats = [[shard.path.stat() for shard in files] for files in shards.values()]
    changes = [[(stat.st_size, stat.st_mtime_ns) for stat in files] for files in stats]
    path = cache / f"index-{digest(shards, changes)}.npz"
    index = load_index(path)
    if index is None:
        index = index_shards(root, shards)
        with replacing(path) as file:
            np.savez(file, **index)
    classes = tuple(index["classes"].tolist())
    names = {split: [shard.path.name for shard in shards[split]] for split in SPLITS}
    entries = {split: index[split] for split in SPLITS}
    counts = {split: len(entries[split]) for split in SPLITS}

    def open_split(split: str) -> StrictImages:
        return StrictImages(str(root), reader=ShardReader([shard.path for shard in shards[split]], entries[split]))

    notes = tuple(index["notes"].tolist())
    return ImageSource(classes, counts, digest(names, *entries.values()), open_split, notes)


class ShardReader(Reader):
    """The images of a split, as timm's data set asks for them.

    A shard is opened anew for every image, as a file of a class folder would be: that costs microseconds, while a
    thousand open files in each of a node's hundred processes would meet the system's limits.
    """

    def __init__(self, shards: list[Path], entries: np.ndarray) -> None:
        super().__init__()
        self.shards, self.entries = [str(path) for path in shards], entries

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[BinaryIO, int]:
        shard, offset, size, label = self.entries[index].tolist()
        return io.BytesIO(read_member(self.shards[shard], offset, size)), label

    def _filename(self, index: int, basename: bool = False, absolute: bool = False) -> str:
        shard, offset, *_ = self.entries[index].tolist()
        try:  # the member's header lies right before its content
            header = read_member(self.shards[shard], offset - tarfile.BLOCKSIZE, tarfile.BLOCKSIZE)
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").name
        except (OSError, tarfile.TarError):
            member = f"byte {offset}"
        return f"{self.shards[shard]}: {member}"


def find_shards(root: Path, split: str) -> list[ShardFile]:
    """The shards of ``train`` or ``val``, in order."""
    info = next((root / name for name in INFO if (root / name).is_file()), None)
    if info is not None:
        return _shards_of_info(info, split)
    for name in SPLITS[split]:
        in_folder = [*(root / name).glob("*.tar")]
        by_name = [path for path in root.glob("*.tar") if name in re.split(r"[^a-z]+", path.stem.lower())]
        if found := in_folder or by_name:
            return [ShardFile(path) for path in sorted(found, key=lambda path: natural_key(path.name))]
    raise UserError(f"no {split} shards in {root} (expected {SourceSpec('wds', '', root).expected}, uncompressed)")


def _shards_of_info(info: Path, split: str) -> list[ShardFile]:
    try:
        splits = json.loads(info.read_text(encoding="utf-8"))["splits"]
        name = find_split(split, splits)
        if name is None:
            raise UserError(f"{info} has no split {' or '.join(SPLITS[split])}, only {', '.join(splits)}")
        about = splits[name]
        files = zip(about["filenames"], about["shard_lengths"], strict=True)
        shards = [ShardFile(info.parent / file, samples, about.get("alt_label", "")) for file, samples in files]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{info} does not describe shards as timm expects ({error!r}): mend it or remove it") from error
    absent = next((shard.path for shard in shards if not shard.path.is_file()), None)
    if absent:
        raise UserError(f"shard {absent} is not there, but {info} names it: copy it there")
    return shards
