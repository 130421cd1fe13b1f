"""Data sets of segmentation and detection: the layouts as published, and whether all files are there.

Standard library only. What the files hold is mmseg's and mmdet's business.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transmix.common.errors import UserError
from transmix.data.scenes.spec import ADE_SPLITS, COCO_SPLITS, Manifest
from transmix.recipe import fingerprint

OPTIONS = {  # the layouts, and how the user says where each is
    "ade20k": "ADE20K=/path/to/ADEChallengeData2016 (--ade20k PATH)",
    "coco": "COCO=/path/to/coco (--coco PATH)",
    "pascal_context": "PASCAL_CONTEXT=/path/to/VOCdevkit/VOC2010 (--pascal-context PATH)",
}
ADE_IMAGES = {"train": 20_210, "val": 2_000}
ADE_CLASSES, PASCAL_CONTEXT_CLASSES = 150, 60
_COCO_FIELDS = {  # what mmdet reads
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area", "segmentation"),
    "categories": ("id", "name"),
}


@dataclass(frozen=True)
class DenseSource:
    """A data set that has been listed and checked.

    Attributes:
        num_classes: how many classes there are.
        class_names: their names in label order; None where the library's data set has them.
        counts: images in each split, ``train`` and ``val``.
        fingerprint: tells it from other data: the names of all files, and COCO's annotations.
    """

    num_classes: int
    class_names: tuple[str, ...] | None
    counts: dict[str, int]
    fingerprint: str


@dataclass(frozen=True)
class DenseSpec:
    """A folder in one of the published layouts.

    Attributes:
        layout: one of `OPTIONS`.
        path: the folder.
    """

    layout: str
    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def title(self) -> str:
        """What it is, without where it is."""
        return self.layout

    @property
    def identity(self) -> str:
        """Tells it from other data in the name of a run: ``coco-1f0c2a``."""
        path = self.path.absolute()
        return f"{path.name}-{fingerprint([self.layout, str(path)])[:6]}"

    def check(self) -> None:
        """Raise `UserError` if its folders and lists are not there: at once, without reading them."""
        if not self.path.is_dir():
            raise UserError(f"no such data folder: {self.path}: give {OPTIONS[self.layout]}")
        for name in _PARTS[self.layout]:
            if not (self.path / name).exists():
                raise UserError(f"{self.path} is not laid out as {self.layout}: {name} is missing")

    def read(self) -> DenseSource:
        """List and check the data set.

        Raises:
            UserError: names the folder that lacks files, with how many there are and should be.
        """
        self.check()
        return _READERS[self.layout](self.path)


def dense(layout: str, path: str) -> DenseSpec:
    """The folder that a user names, in a layout."""
    return DenseSpec(layout, Path(path))


def embedded_source(manifest: Manifest) -> DenseSource:
    """The dense views of scenes, which are whole if they have a manifest."""
    names, spec = manifest.dense_class_names, manifest.spec
    counts = {"train": spec.dense_train, "val": spec.dense_val}
    return DenseSource(len(names), names, counts, manifest.sha256[:16])


def _ade20k(root: Path) -> DenseSource:
    digest = hashlib.sha256()
    for split, expected in ADE_IMAGES.items():
        for kind, suffix in (("images", ".jpg"), ("annotations", ".png")):
            names = _names(root / kind / ADE_SPLITS[split], suffix)
            _expect(root / kind / ADE_SPLITS[split], suffix, len(names), expected, "ADE20K has")
            stems = [name.removesuffix(suffix) for name in sorted(names)]
            if kind == "images":
                images = stems
        if unlike := sorted(set(images) ^ set(stems)):
            raise UserError(f"{root}: {unlike[0]} is only one of image and annotation: copy {kind} again")
        digest.update("\n".join([split, *images, ""]).encode())
    return DenseSource(ADE_CLASSES, None, dict(ADE_IMAGES), digest.hexdigest()[:16])


def _pascal_context(root: Path) -> DenseSource:
    digest, counts = hashlib.sha256(), {}
    for split in ("train", "val"):
        listed = _pascal_list(split)
        names = (root / listed).read_text(encoding="utf-8").split()
        for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClassContext", ".png")):
            found = _names(root / folder, suffix).intersection(name + suffix for name in names)
            _expect(root / folder, suffix, len(found), len(names), f"{listed} lists")
        counts[split] = len(names)
        digest.update("\n".join([split, *names, ""]).encode())
    return DenseSource(PASCAL_CONTEXT_CLASSES, None, counts, digest.hexdigest()[:16])


def _coco(root: Path) -> DenseSource:
    """COCO itself, or a set with other classes in its layout: they are read from its lists."""
    digest, counts, classes = hashlib.sha256(), {}, {}
    for split, folder in COCO_SPLITS.items():
        path = root / _coco_list(split)
        text = path.read_bytes()
        digest.update(text)
        listed = _parse_coco(path, text)
        images = {image["file_name"] for image in listed["images"]}
        found = sum((root / folder / name).is_file() for name in images)
        _expect(root / folder, "image", found, len(images), f"{_coco_list(split)} lists")
        counts[split] = len(images)
        classes[split] = tuple(category["name"] for category in listed["categories"])
    if classes["train"] != classes["val"]:
        raise UserError(f"{root}: the lists in annotations/ name different categories, or in a different order")
    if repeated := {name for name in classes["train"] if classes["train"].count(name) > 1}:
        raise UserError(f"{root}: category {min(repeated)!r} comes more than once in annotations/: rename one")
    return DenseSource(len(classes["train"]), classes["train"], counts, digest.hexdigest()[:16])


def _parse_coco(path: Path, text: bytes) -> dict[str, Any]:
    try:
        listed = json.loads(text)
        for key, fields in _COCO_FIELDS.items():
            if not listed[key]:
                raise ValueError(f"no {key}")
            for name in fields:
                _ = [entry[name] for entry in listed[key]]
        if bare := [entry["id"] for entry in listed["annotations"] if not entry["segmentation"]]:
            raise ValueError(f"annotation {bare[0]} has no mask")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no list of COCO's format ({type(error).__name__}: {error})") from None
    return listed


def _names(folder: Path, suffix: str) -> set[str]:
    return {name for name in os.listdir(folder) if name.endswith(suffix)}


def _expect(folder: Path, suffix: str, found: int, expected: int, by: str) -> None:
    if found != expected:
        raise UserError(f"{folder} has {found:,} of the {expected:,} {suffix} files that {by}: copy it again")


def _pascal_list(split: str) -> str:
    return f"ImageSets/SegmentationContext/{split}.txt"


def _coco_list(split: str) -> str:
    return f"annotations/instances_{COCO_SPLITS[split]}.json"


_READERS = {"ade20k": _ade20k, "pascal_context": _pascal_context, "coco": _coco}
_PARTS = {
    "ade20k": [f"{kind}/{split}" for kind in ("images", "annotations") for split in ADE_SPLITS.values()],
    "pascal_context": ["JPEGImages", "SegmentationClassContext", *map(_pascal_list, ("train", "val"))],
    "coco": [*COCO_SPLITS.values(), *map(_coco_list, COCO_SPLITS)],
}
