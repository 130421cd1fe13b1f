"""COCO's layout: its lists, and whether the images they name are there and are what they say.

mmdet and pycocotools read a list as it is, so where something was mended, they are given a copy, which lies in the
cache under a name of its content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from experiments.dense.coco_list import CocoList, read_list
from experiments.dense.frames import size_fault
from transmix.common.errors import UserError
from transmix.common.files import sha256, write_text
from transmix.common.progress import progress_bar
from transmix.data.faults import Faults
from transmix.data.remembered import listing_key, remembered

MIN_SIDE = 32  # pixels: mmdet's configurations leave out training images with a shorter side


@dataclass(frozen=True)
class Prepared:
    """A list that was checked with its images.

    Attributes:
        path: what COCO's tools should read: the user's file, or the copy in which things were mended.
        classes: names in label order.
        images: paths of those that it lists.
        notes: what was mended or left out.
    """

    path: Path
    classes: tuple[str, ...]
    images: tuple[str, ...]
    notes: tuple[str, ...]


def prepare_list(
    path: Path, folder: Path, cache: Path | None, training: bool, content: bytes | None = None
) -> Prepared:
    """Check a list and all its images, once for as long as they do not change.

    Args:
        path: an ``instances_*.json``.
        folder: of the images.
        cache: where the result and a mended copy are kept; None: nothing is written, and `path` stays the user's.
        training: whether it is trained on, where mmdet leaves images out.
        content: of the list, if it is read already.

    Raises:
        UserError: names the file, the first thing that is wrong, the remedy, and how many more there are.
    """
    try:
        content = path.read_bytes() if content is None else content
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): copy it again") from error
    digest = hashlib.sha256(content).hexdigest()
    names = sorted(entry.name for entry in os.scandir(folder)) if folder.is_dir() else []
    key = listing_key((os.path.join(folder, name) for name in names), str(path), digest, training)

    def check() -> dict[str, Any]:
        listed = read_list(path, content)
        check_files(listed, folder)
        if training:
            check_training(listed)
        elif all(entry["iscrowd"] for entry in listed.annotations):
            raise UserError(f"{path}: every object is a crowd, which is not scored: add others, or write iscrowd as 0")
        copy = ""
        if listed.mended and cache is not None:
            copy = f"{path.stem}-{digest[:12]}.json"
            write_text(cache / copy, json.dumps(listed.document()))
        return {
            "classes": list(listed.classes),
            "files": [entry["file_name"] for entry in listed.images],
            "notes": list(listed.notes.lines()),
            "copy": [copy, sha256(cache / copy)] if copy else [],
        }

    name = path.stem
    found = remembered(cache, name, key, check)
    if found["copy"] and not _is(cache / found["copy"][0], found["copy"][1]):
        (cache / f"checked-{name}.json").unlink(missing_ok=True)
        found = remembered(cache, name, key, check)
    read = cache / found["copy"][0] if found["copy"] else path
    files = tuple(os.path.join(folder, name) for name in found["files"])
    return Prepared(read, tuple(found["classes"]), files, tuple(found["notes"]))


def _is(path: Path, sum_: str) -> bool:
    return path.is_file() and sha256(path) == sum_


def check_files(listed: CocoList, folder: Path) -> None:
    """Find every image of a list, and compare its header with the list; names that others wrote otherwise are mended.

    Raises:
        UserError: an image is missing, unreadable, of another size, or its EXIF orientation would turn it.
    """
    faults, files = Faults(), {}
    with progress_bar() as bar:
        line = bar.add_task(f"looking at {folder}", total=len(listed.images), note="")
        for entry in listed.images:
            written = entry["file_name"]
            name = _file_of(folder, written)
            where = f"{listed.path}: image {entry['id']}: "
            if name is None:
                faults.add(f"{where}{folder / written} is not there: copy it, or remove it from the list")
            elif not name:
                faults.add(f"{where}file_name {written!r} leads out of {folder}: write it from that folder on")
            elif (same := files.setdefault(os.path.normpath(name), entry["id"])) != entry["id"]:
                faults.add(f"{where}{folder / name} is image {same}, too: put its annotations under one id")
            elif fault := size_fault(folder / name, (entry["width"], entry["height"]), "the list says"):
                faults.add(where + fault)
            elif name != written:
                entry["file_name"], listed.mended = name, True
                listed.notes.add("names of files are read from the folder of images on", f"{written!r} as {name!r}")
            bar.advance(line)
    faults.check()


def _file_of(folder: Path, written: str) -> str | None:
    """The name, within `folder`, of the file that a list means; None if there is none, empty if it leads elsewhere."""
    plain = written.replace("\\", "/")
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or ".." in plain.split("/"):
        return ""
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    for name in (written, *("/".join(parts[start:]) for start in range(len(parts)))):
        for form in (name, normalize("NFC", name), normalize("NFD", name)):
            if os.path.exists(os.path.join(folder, form)):
                return form
    return None


def check_training(listed: CocoList) -> None:
    """See that mmdet has images to train on: with objects, and with sides of at least `MIN_SIDE` pixels.

    Raises:
        UserError: none is left.
    """
    objects = Counter(
        entry["image_id"]
        for entry in listed.annotations
        if not entry["iscrowd"] and min(entry["bbox"][2:]) >= 1 and entry["area"] > 0
    )
    big = [entry for entry in listed.images if min(entry["width"], entry["height"]) >= MIN_SIDE]
    if not big:
        raise UserError(
            f"{listed.path}: all {len(listed.images):,} images have a side under {MIN_SIDE} pixels, and mmdet leaves "
            "such images out of training: enlarge them, and their annotations"
        )
    if not any(objects[entry["id"]] for entry in big):
        raise UserError(
            f"{listed.path}: no image of at least {MIN_SIDE} pixels a side has an object of a pixel or more that is no "
            "crowd: there is nothing to train on, add annotations"
        )
    trained = {entry["category_id"] for entry in listed.annotations if not entry["iscrowd"]}
    for category in listed.categories:
        if category["id"] not in trained:
            listed.notes.add("categories without an object to learn from", repr(category["name"]))
    if small := len(listed.images) - len(big):
        first = next(entry for entry in listed.images if min(entry["width"], entry["height"]) < MIN_SIDE)
        kind = f"images with a side under {MIN_SIDE} pixels are left out of training by mmdet"
        for _ in range(small):
            listed.notes.add(kind, f"image {first['id']}")
