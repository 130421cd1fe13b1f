"""Data sets of segmentation and detection: the layouts as published, and whether all files are there.

Standard library only, until a data set is read.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class DenseSource:
    """A data set that has been listed and checked.

    Attributes:
        num_classes: how many classes there are.
        class_names: their names in label order; None where the library's data set has them.
        counts: images in each split, ``train`` and ``val``.
        fingerprint: tells it from other data: the names of all files, and COCO's annotations.
        notes: what was mended or left out, and which images are there twice.
    """

    num_classes: int
    class_names: tuple[str, ...] | None
    counts: dict[str, int]
    fingerprint: str
    notes: tuple[str, ...] = ()


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

    def read(self, cache: Path | None = None) -> DenseSource:
        """List and check the data set.

        Args:
            cache: where it is kept that lists and images were found whole, and a list in which things were mended.

        Raises:
            UserError: names what is missing or wrong, the remedy, and how many more there are.
        """
        self.check()
        return _READERS[self.layout](self.path, cache)


def dense(layout: str, path: str) -> DenseSpec:
    """The folder that a user names, in a layout."""
    return DenseSpec(layout, Path(path))


def embedded_source(manifest: Manifest) -> DenseSource:
    """The dense views of scenes, which are whole if they have a manifest."""
    names, spec = manifest.dense_class_names, manifest.spec
    counts = {"train": spec.dense_train, "val": spec.dense_val}
    return DenseSource(len(names), names, counts, manifest.sha256[:16])


def _ade20k(root: Path, cache: Path | None) -> DenseSource:
    from experiments.dense.label_maps import check_label_maps

    digest, pairs = hashlib.sha256(), {}
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
        folders = [root / kind / ADE_SPLITS[split] for kind in ("images", "annotations")]
        pairs[split] = [(f"{folders[0]}/{name}.jpg", f"{folders[1]}/{name}.png") for name in images]
    for split, found in pairs.items():
        check_label_maps(found, ADE_CLASSES, True, cache, split)
    return DenseSource(ADE_CLASSES, None, dict(ADE_IMAGES), digest.hexdigest()[:16], _copies(pairs, cache))


def _pascal_context(root: Path, cache: Path | None) -> DenseSource:
    from experiments.dense.label_maps import check_label_maps

    digest, counts, pairs = hashlib.sha256(), {}, {}
    for split in ("train", "val"):
        listed = _pascal_list(split)
        names = (root / listed).read_text(encoding="utf-8").split()
        for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClassContext", ".png")):
            found = _names(root / folder, suffix).intersection(name + suffix for name in names)
            _expect(root / folder, suffix, len(found), len(names), f"{listed} lists")
        counts[split] = len(names)
        digest.update("\n".join([split, *names, ""]).encode())
        folders = [root / folder for folder in ("JPEGImages", "SegmentationClassContext")]
        pairs[split] = [(f"{folders[0]}/{name}.jpg", f"{folders[1]}/{name}.png") for name in names]
    for split, found in pairs.items():
        check_label_maps(found, PASCAL_CONTEXT_CLASSES, False, cache, split)
    return DenseSource(PASCAL_CONTEXT_CLASSES, None, counts, digest.hexdigest()[:16], _copies(pairs, cache))


def _copies(pairs: dict[str, list[tuple[str, str]]], cache: Path | None) -> tuple[str, ...]:
    from transmix.data.copies import copies_of_files

    return copies_of_files(*([image for image, _ in pairs[split]] for split in ("train", "val")), cache)


def _coco(root: Path, cache: Path | None) -> DenseSource:
    """COCO itself, or a set with other classes in its layout: they are read from its lists."""
    from experiments.dense.coco import prepare_list
    from transmix.data.copies import copies_of_files

    lists, digest = {}, hashlib.sha256()
    for split, folder in COCO_SPLITS.items():
        content = (root / _coco_list(split)).read_bytes()
        digest.update(content)
        lists[split] = prepare_list(root / _coco_list(split), root / folder, cache, split == "train", content)
    classes = lists["train"].classes
    if classes != lists["val"].classes:
        raise UserError(f"{root}: the lists in annotations/ name different categories, or in a different order")
    train, val = (found.images for found in lists.values())
    counts = {split: len(found.images) for split, found in lists.items()}
    notes = tuple(note for found in lists.values() for note in found.notes)
    notes += copies_of_files(train, val, cache)
    return DenseSource(len(classes), classes, counts, digest.hexdigest()[:16], notes)


def _names(folder: Path, suffix: str) -> set[str]:
    """Files of a suffix; what macOS keeps beside them (``._name``) is none, and mmseg does not see it either."""
    return {name for name in os.listdir(folder) if name.endswith(suffix) and not name.startswith(".")}


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
