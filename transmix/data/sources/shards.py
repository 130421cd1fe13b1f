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
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from timm.data.readers.reader import Reader

from transmix.common.errors import UserError
from transmix.common.files import replacing
from transmix.common.progress import progress_bar
from transmix.data.opening import check_regular
from transmix.data.sources.images import StrictImages
from transmix.data.sources.source import (
    SPLITS,
    WORDNET_ID,
    ImageSource,
    check_labels,
    digest,
    find_split,
    natural_key,
    numbered_classes,
)
from transmix.data.sources.spec import SourceSpec

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")
LARGEST = 2**31 - 1  # bytes of an image, as an index holds them
LABEL_BYTES = 1 << 20  # of a label's file; many times what is ever in one
INFO = ("_info.json", "info.json")
KEY = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)")
META = re.compile(r"__[^/]*__(?:$|/)")  # WebDataset keeps remarks in members of such names

# 24 bytes an image: loader workers share these arrays where they are forked, and get them quickly where they are not
ENTRY = np.dtype([("shard", np.int32), ("offset", np.int64), ("size", np.int32), ("label", np.int64)])


@dataclass(frozen=True)
class ShardFile:
    """One file of a split.

    Attributes:
        path: the .tar file.
        samples: how many it should hold, where ``_info.json`` says that.
        label_field: field of the samples' JSON that is the label; empty for the usual ones.
    """

    path: Path
    samples: int | None = None
    label_field: str = ""


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

    return ImageSource(classes, counts, digest(names, *entries.values()), open_split)


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
        return io.BytesIO(self._read(shard, offset, size)), label

    def _read(self, shard: int, offset: int, size: int) -> bytes:
        with open(self.shards[shard], "rb") as file:
            file.seek(offset)
            data = file.read(size)
        if len(data) < size:
            raise OSError(f"{self.shards[shard]} ends early")
        return data

    def _filename(self, index: int, basename: bool = False, absolute: bool = False) -> str:
        shard, offset, *_ = self.entries[index].tolist()
        try:  # the member's header lies right before its content
            header = self._read(shard, offset - tarfile.BLOCKSIZE, tarfile.BLOCKSIZE)
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


def load_index(path: Path) -> dict[str, np.ndarray] | None:
    """An index that was kept; None where there is none that can be read."""
    try:
        with np.load(path) as arrays:
            return {name: arrays[name] for name in ("classes", *SPLITS)}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # it is made again


def index_shards(root: Path, shards: dict[str, list[ShardFile]]) -> dict[str, np.ndarray]:
    """Read through all shards once: the entries of each split, and ``classes``, the class names in label order."""
    index, ids = {}, set()
    # threads, because a shard on a network drive is mostly waited for
    with ThreadPoolExecutor() as pool, progress_bar() as bar:
        for split, files in shards.items():
            line = bar.add_task(f"indexing {root.name} {split}", total=len(files), note="")
            parts = []
            for number, (entries, found) in enumerate(pool.map(index_shard, files)):
                entries["shard"] = number
                parts.append(entries)
                ids |= found if split == "train" else set()
                bar.advance(line)
            index[split] = np.concatenate(parts)
            if not len(index[split]):
                raise UserError(f"no images in the {split} shards of {root}")
    classes = numbered_classes(index["train"]["label"])
    check_labels(root, classes, {split: entries["label"] for split, entries in index.items()})
    names = dict(ids)
    if None not in names.values() and len(set(names.values())) == len(ids) == len(classes):
        classes = tuple(names[label] for label in range(len(classes)))
    return index | {"classes": np.array(classes)}


def index_shard(shard: ShardFile) -> tuple[np.ndarray, set[tuple[int, str | None]]]:
    """The entries of one shard, and each of its labels with the WordNet id that its key begins with."""
    samples = _samples(shard.path)
    if shard.samples not in (None, len(samples)):
        raise UserError(f"shard {shard.path} holds {len(samples)} samples, its _info.json says {shard.samples}")
    entries, ids = [], set()
    with open(shard.path, "rb") as file:
        for key, files in samples:
            image = next((files[suffix] for suffix in IMAGE_SUFFIXES if suffix in files), None)
            if image is None:
                raise UserError(f"{_named(key, shard)} has no image ({', '.join(IMAGE_SUFFIXES)})")
            if image.size > LARGEST:
                raise UserError(f"{_named(key, shard)} has an image of {image.size:,} bytes: leave it out")
            label = _label(shard, key, files, file)
            if label < 0 and shard.label_field:
                continue
            entries.append((0, image.offset_data, image.size, label))
            found = WORDNET_ID.match(key.rpartition("/")[2])
            ids.add((label, found and found[0]))
    return np.array(entries, ENTRY), ids


def _samples(path: Path) -> list[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Each sample's key and its files by suffix."""
    try:
        check_regular(path)
        with tarfile.open(path, "r:") as tar:
            members = tar.getmembers()
            tar.fileobj.seek(tar.offset)  # where tarfile stopped; a whole .tar file has blocks of zeros there
            if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"no end mark at byte {tar.offset}")
    except (OSError, tarfile.TarError, ValueError, OverflowError, MemoryError) as error:
        raise UserError(
            f"shard {path} is cut off, damaged or not an uncompressed .tar file ({error}): copy it again"
        ) from error
    files = [member for member in members if member.isreg() and not META.match(member.name)]
    named = [(match, member) for member in files if (match := KEY.fullmatch(member.name))]
    return [
        (key, {match[2].lower(): member for match, member in group})
        for key, group in groupby(named, key=lambda pair: pair[0][1])
    ]


def _label(shard: ShardFile, key: str, files: dict[str, tarfile.TarInfo], file: BinaryIO) -> int:
    def content(suffix: str) -> bytes:
        if files[suffix].size > LABEL_BYTES:
            raise ValueError(f"{files[suffix].size} bytes are no label")
        file.seek(files[suffix].offset_data)
        return file.read(files[suffix].size)

    try:
        if "cls" in files and not shard.label_field:
            return _whole(int(content("cls")))
        return _whole(json.loads(content("json"))[shard.label_field or "label"])
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        where = "" if shard.label_field else ".cls, or "
        field = shard.label_field or "label"
        raise UserError(f"{_named(key, shard)} has no class number in {where}{field} of .json: relabel it") from error


def _whole(label: Any) -> int:
    """A label as a number that an index holds; 3.0 and "3" are 3, as for timm.

    Raises:
        ValueError: it is none, or out of range.
    """
    found = int(label)
    if isinstance(label, bool) or (isinstance(label, float) and found != label) or abs(found) >= 2**31:
        raise ValueError(f"{label!r} is no class number")
    return found


def _named(key: str, shard: ShardFile) -> str:
    """A sample for a message, however long its name is."""
    return f"sample {ascii(key)[1:-1][:60]} of shard {shard.path}"
