"""What a "scenes" folder holds: the settings it was written with, and the manifest that completes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from transmix.common.errors import UserError
from transmix.common.ranges import check, number

GENERATOR = 2
"""Version of the renderer; it goes up whenever the same spec would give images that differ by more than rounding."""

MANIFEST = "manifest.json"
MAX_DENSE_CLASSES = 150
"""ADE20K's number of classes: label maps are 8-bit, and mmseg keeps 255 for "ignore"."""

ADE_SPLITS = {"train": "training", "val": "validation"}
COCO_SPLITS = {"train": "train2017", "val": "val2017"}

IMAGES = 10_000_000  # at most, of a split
SIDES = {"least": 32, "most": 256}  # pixels
SHARES = {"least": 0.01, "most": 0.60}
BLOCK = 4096  # bytes that a disk gives to a file at once
BYTES_A_PIXEL = 1.25  # of our JPEG files; fewer where they are large
KEY = re.compile(r"scenes-\d+c-\d+px-[0-9a-f]{8}")  # `ScenesSpec.key`; names of a user's data end in six digits
_ADDED = ("min_share", "max_share")  # after data sets were published: at their defaults they do not change a key


@dataclass(frozen=True)
class ScenesSpec:
    """The settings of a data set; two equal specs give the same bytes.

    `size` and `dense_size` are the sides of the square images in pixels; `train` and `val` count the
    classification images, `dense_train` and `dense_val` those of the ADE20K and COCO views. An object covers
    between `min_share` and `max_share` of its classification image, uniformly; nothing else depends on them.
    Raises `UserError` for a value out of range.
    """

    classes: int = number(10, least=1, most=1000)
    seed: int = number(0, least=0, below=2**63)
    size: int = number(64, **SIDES)
    train: int = number(4000, least=1, most=IMAGES)
    val: int = number(1000, least=1, most=IMAGES)
    dense_size: int = number(128, **SIDES)
    dense_train: int = number(160, least=1, most=IMAGES)
    dense_val: int = number(40, least=1, most=IMAGES)
    min_share: float = number(0.12, **SHARES)
    max_share: float = number(0.54, **SHARES)

    def __post_init__(self) -> None:
        check(self)
        if self.min_share > self.max_share:
            raise UserError(f"min_share={self.min_share}: must not be above max_share={self.max_share}")
        for name in ("train", "val"):
            if getattr(self, name) < self.classes:
                raise UserError(
                    f"{name}={getattr(self, name)}: must be at least classes={self.classes}, or a folder stays empty"
                )

    @property
    def dense_classes(self) -> int:
        """How many classes the ADE20K and COCO views use: the first 150 at most."""
        return min(self.classes, MAX_DENSE_CLASSES)

    @cached_property
    def key(self) -> str:
        """A folder name for this data set, e.g. ``scenes-10c-64px-1a2b3c4d``."""
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _ADDED or getattr(self, field.name) != field.default
        }
        text = json.dumps([GENERATOR, values], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"scenes-{self.classes}c-{self.size}px-{digest}"

    @property
    def counts(self) -> dict[str, int]:
        """How many files each folder holds, class folders included; keys are paths relative to the root."""
        return {
            "imagenet/train": self.train,
            "imagenet/val": self.val,
            "imagenet_masks/train": self.train,
            "imagenet_masks/val": self.val,
            "ade20k/images/training": self.dense_train,
            "ade20k/images/validation": self.dense_val,
            "ade20k/annotations/training": self.dense_train,
            "ade20k/annotations/validation": self.dense_val,
            "coco/train2017": self.dense_train,
            "coco/val2017": self.dense_val,
            "coco/annotations": 2,
        }

    @property
    def room(self) -> int:
        """About how many bytes its folder takes on a disk, rather too many than too few."""
        dense = ("ade20k", "coco")
        sides = {folder: self.dense_size if folder.startswith(dense) else self.size for folder in self.counts}
        return sum(count * room_of(sides[folder]) for folder, count in self.counts.items())


def room_of(side: int) -> int:
    """About how many bytes a square image of so many pixels a side takes on a disk: whole blocks."""
    return math.ceil(side * side * BYTES_A_PIXEL / BLOCK) * BLOCK


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``: it exists only in a folder that was written to the end.

    `sha256` covers every image, mask and annotation file with its name; `counts` is `ScenesSpec.counts`;
    `class_names` are the folder names in class order, `dense_class_names` the first 150 of them, which are
    all that the ADE20K and COCO views use.
    """

    spec: ScenesSpec
    generator: int
    sha256: str
    counts: Mapping[str, int]
    class_names: tuple[str, ...]
    dense_class_names: tuple[str, ...]

    def to_json(self) -> str:
        """The text of ``manifest.json``."""
        return json.dumps(dataclasses.asdict(self) | {"key": self.spec.key}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Parse the text of ``manifest.json``; raises ValueError, KeyError or TypeError if it is not one."""
        fields = json.loads(text)
        return cls(
            spec=ScenesSpec(**fields["spec"]),
            generator=int(fields["generator"]),
            sha256=str(fields["sha256"]),
            counts=dict(fields["counts"]),
            class_names=tuple(fields["class_names"]),
            dense_class_names=tuple(fields["dense_class_names"]),
        )


def read_manifest(out: str | Path) -> Manifest:
    """The manifest of the data folder `out`; raises `UserError` if the folder is incomplete or unreadable."""
    path = Path(out) / MANIFEST
    try:
        return Manifest.from_json(path.read_text())
    except FileNotFoundError:
        if not Path(out).is_dir():
            raise UserError(
                f"data folder {out} does not exist: write it with 'python -m transmix.data.scenes --out {out} ...'"
            ) from None
        raise UserError(
            f"data folder {out} is not complete (no {MANIFEST}): a writer was interrupted; "
            f"run 'python -m transmix.data.scenes --out {out} ...' again, it continues"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, UserError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"cannot read {path} ({reason}): delete the folder and write it again") from None


def require_same_spec(out: str | Path, generator: int, found: ScenesSpec, asked: ScenesSpec) -> None:
    """Raise `UserError`, naming every setting that differs, unless `out` was written for the spec `asked`."""
    pairs = [("generator", generator, GENERATOR)]
    pairs += [(name, getattr(found, name), getattr(asked, name)) for name in dataclasses.asdict(asked)]
    different = [f"{name} is {there}, not {wanted}" for name, there, wanted in pairs if there != wanted]
    if different:
        raise UserError(f"data folder {out} holds other scenes ({', '.join(different)}): choose another folder")


def check_complete(out: str | Path, spec: ScenesSpec) -> Manifest:
    """The manifest of `out`, if the folder is complete, was written for `spec` and lacks no file.

    Files are counted, not read. Raises `UserError` otherwise.
    """
    manifest = read_manifest(out)
    require_same_spec(out, manifest.generator, manifest.spec, spec)
    if wrong := miscounted(Path(out), spec):
        raise UserError(f"data folder {out} {wrong}: delete the folder and write it again")
    return manifest


def miscounted(out: Path, spec: ScenesSpec) -> str:
    """Which part of a data folder has more files than were written, or fewer; empty where none has."""
    for folder, expected in spec.counts.items():
        found = _count_files(out / folder)
        if found != expected:
            return f"has {found} files in {folder}, its manifest says {expected}"
    return ""


def _count_files(folder: Path) -> int:
    """Files in `folder` and one level of folders below it (the class folders)."""
    try:
        with os.scandir(folder) as entries:
            return sum(_count_files(Path(entry)) if entry.is_dir() else 1 for entry in entries)
    except FileNotFoundError:
        return 0
