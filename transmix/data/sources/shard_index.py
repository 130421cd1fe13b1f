"""The index of WebDataset shards: where each image lies, its label, and which images are there twice."""

from __future__ import annotations

import hashlib
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

from transmix.common.errors import UserError
from transmix.common.progress import progress_bar
from transmix.data.copies import Pictures, describe_copies
from transmix.data.faults import Faults
from transmix.data.opening import DEEP, UnreadableImage, check_regular, read_header_within, read_pixels, to_rgb
from transmix.data.sources.source import SPLITS, WORDNET_ID, check_labels, numbered_classes

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")
LARGEST = 2**31 - 1  # bytes of an image, as an index holds them
LABEL_BYTES = 1 << 20  # of a label's file; many times what is ever in one
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


def load_index(path: Path) -> dict[str, np.ndarray] | None:
    """An index that was kept; None where there is none that can be read, or none of this version."""
    try:
        with np.load(path) as arrays:
            return {name: arrays[name] for name in ("classes", "notes", *SPLITS)}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # it is made again


def index_shards(root: Path, shards: dict[str, list[ShardFile]]) -> dict[str, np.ndarray]:
    """Read through all shards once: the entries of each split, ``classes`` (names in label order) and ``notes``."""
    index, ids, pictures = {}, set(), []
    # threads, because a shard on a network drive is mostly waited for
    with ThreadPoolExecutor() as pool, progress_bar() as bar:
        for split, files in shards.items():
            line = bar.add_task(f"indexing {root.name} {split}", total=len(files), note="")
            parts, members = [], []
            for number, (entries, found, names) in enumerate(pool.map(index_shard, files)):
                entries["shard"] = number
                parts.append(entries)
                members += names
                ids |= found if split == "train" else set()
                bar.advance(line)
            index[split] = np.concatenate(parts)
            pictures.append(_pictures(files, index[split], members))
            if not len(index[split]):
                raise UserError(f"no images in the {split} shards of {root}")
    classes = numbered_classes(index["train"]["label"])
    check_labels(root, classes, {split: entries["label"] for split, entries in index.items()})
    names = dict(ids)
    if None not in names.values() and len(set(names.values())) == len(ids) == len(classes):
        classes = tuple(names[label] for label in range(len(classes)))
    return index | {"classes": np.array(classes), "notes": np.array(describe_copies(*pictures), str)}


def _pictures(files: list[ShardFile], entries: np.ndarray, members: list[str]) -> Pictures:
    """The images of a split, to find copies among them."""

    def content(index: int) -> bytes:
        shard, offset, size, _ = entries[index].tolist()
        return hashlib.sha256(read_member(files[shard].path, offset, size)).digest()

    return Pictures(
        sizes=entries["size"].tolist(),
        digest=content,
        name=lambda index: f"{files[entries['shard'][index]].path}: {members[index]}",
        usual=lambda index: members[index].rpartition("/")[2],
        labels=entries["label"].tolist(),
    )


def read_member(path: str | Path, offset: int, size: int) -> bytes:
    """Bytes of a shard; `OSError` where it has fewer."""
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) < size:
        raise OSError(f"{path} ends early")
    return data


def index_shard(shard: ShardFile) -> tuple[np.ndarray, set[tuple[int, str | None]], list[str]]:
    """The entries of one shard, each of its labels with the WordNet id that its key begins with, the images' names."""
    samples = _samples(shard)
    if shard.samples not in (None, len(samples)):
        raise UserError(f"shard {shard.path} holds {len(samples)} samples, its _info.json says {shard.samples}")
    entries, ids, names, faults = [], set(), [], Faults()
    with open(shard.path, "rb") as file:
        for key, files in samples:
            image = next((files[suffix] for suffix in IMAGE_SUFFIXES if suffix in files), None)
            if image is None:
                raise UserError(f"{_named(key, shard)} has no image ({', '.join(IMAGE_SUFFIXES)})")
            if image.size > LARGEST:
                raise UserError(f"{_named(key, shard)} has an image of {image.size:,} bytes: leave it out")
            if fault := _image_fault(image, file):
                faults.add(f"{_named(key, shard)} has an image that {fault}: replace it or leave it out")
            label = _label(shard, key, files, file)
            if label < 0 and shard.label_field:
                continue
            entries.append((0, image.offset_data, image.size, label))
            names.append(image.name)
            found = WORDNET_ID.match(key.rpartition("/")[2])
            ids.add((label, found and found[0]))
    faults.check()
    return np.array(entries, ENTRY), ids, names


def _image_fault(image: tarfile.TarInfo, file: BinaryIO) -> str:
    """Why an image of a shard cannot be used; empty if it can."""
    if image.issparse():
        return "tar has written with holes (--sparse)"
    try:
        if read_header_within(file, image.offset_data, image.size).mode in DEEP:
            to_rgb(read_pixels(io.BytesIO(read_member(file.name, image.offset_data, image.size))))
    except UnreadableImage as error:
        return str(error)
    return ""


def _samples(shard: ShardFile) -> list[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Each sample's key and its files by suffix."""
    path = shard.path
    try:
        check_regular(path)
        with tarfile.open(path, "r:") as tar:
            members = tar.getmembers()
            tar.fileobj.seek(tar.offset)  # where tarfile stopped; a whole .tar file has blocks of zeros there
            if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"no end mark at byte {tar.offset}")
            while block := tar.fileobj.read(1 << 20):
                if any(block):
                    raise tarfile.ReadError(f"it goes on behind its end at byte {tar.offset}, like several .tar files")
    except (OSError, tarfile.TarError, ValueError, OverflowError, MemoryError) as error:
        raise UserError(
            f"shard {path} is cut off, damaged or not an uncompressed .tar file ({error}): copy it again"
        ) from error
    files = [member for member in members if member.isreg() and not META.match(member.name)]
    named = [(match, member) for member in files if (match := KEY.fullmatch(member.name))]
    samples = []
    for key, group in groupby(named, key=lambda pair: pair[0][1]):
        suffixes: dict[str, tarfile.TarInfo] = {}
        for match, member in group:
            if suffixes.setdefault(match[2].lower(), member) is not member:
                raise UserError(f"{_named(key, shard)} has two files .{match[2].lower()}: leave one out")
        samples.append((key, suffixes))
    return samples


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
