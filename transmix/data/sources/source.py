"""What the suite knows about a data set of images, of whatever kind. Standard library only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from transmix.common.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

# the suite's split, and what data sets call it; the first that is there counts
SPLITS = {"train": ("train", "training"), "val": ("val", "validation", "valid", "test")}
WORDNET_ID = re.compile(r"n\d{8}(?!\d)")


class Images(Protocol):
    """One split: image i at any time, in any process.

    Attributes:
        folder: the class folders of the split; None for other kinds of data.
    """

    folder: Path | None

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """An RGB image and its label; an image that cannot be read raises RuntimeError, OSError or ValueError."""

    def filename(self, index: int, basename: bool = False, absolute: bool = False) -> str:
        """Where image `index` lies, for people."""


@dataclass(frozen=True)
class ImageSource:
    """A data set that has been listed and checked.

    Attributes:
        classes: class names in label order; the labels as text where the data has no names.
        counts: images in each split, ``train`` and ``val``.
        fingerprint: tells it from other data; the kinds say over what.
        open: the images of a split.
        notes: what was left out, and what else a person should know about it.
    """

    classes: tuple[str, ...]
    counts: dict[str, int]
    fingerprint: str
    open: Callable[[str], Images]
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)


def find_split(split: str, names: Collection[str]) -> str | None:
    """What a data set with splits of these names calls ``train`` or ``val``; None if it has no such split."""
    return next((name for name in SPLITS[split] if name in names), None)


def natural_key(name: str) -> list[int | str]:
    """Sorts as timm does: without case, and ``c2`` before ``c10``. Names that differ may have the same key."""
    parts: list[int | str] = [*re.split(r"(\d+)", name.lower())]
    parts[1::2] = map(int, parts[1::2])  # every other one is a number
    return parts


def digest(*parts: Any) -> str:
    """A short hash over texts, lists of texts and arrays."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part if hasattr(part, "dtype") else repr(part).encode())
    return sha.hexdigest()[:16]


def numbered_classes(labels: np.ndarray) -> tuple[str, ...]:
    """Names for the classes of training labels that come without: ``0``, ``1``, ..., as many as there are labels."""
    return tuple(str(label) for label in range(len(set(labels.tolist()))))


def check_labels(where: Path | str, classes: Sequence[str], labels: Mapping[str, np.ndarray]) -> None:
    """Check the labels of every split against the classes, and that every class can be learned.

    Raises:
        UserError: a label is out of range, or a class has no training image.
    """
    for split, values in labels.items():
        outside = ((values < 0) | (values >= len(classes))).nonzero()[0]
        if len(outside):
            raise UserError(
                f"{where}: label {values[outside[0]]} of image {outside[0]} in {split} is out of range: "
                f"with {len(classes)} classes, labels go from 0 to {len(classes) - 1}"
            )
    unseen = sorted(set(range(len(classes))).difference(labels["train"].tolist()))
    if unseen:
        raise UserError(f"{where}: class {classes[unseen[0]]!r} has no training image: every class needs one")


def maybe_imagenet(classes: Sequence[str]) -> bool:
    """Whether there are as many classes as ImageNet-1k has."""
    return len(classes) == 1000


def note_on_classes(where: Path | str, classes: Sequence[str]) -> tuple[str, ...]:
    """A line about 1,000 classes without WordNet ids, so that nobody takes their labels for ImageNet's."""
    if not maybe_imagenet(classes) or any(WORDNET_ID.fullmatch(name) for name in classes):
        return ()
    return (f"{where}: 1,000 classes without WordNet ids ({classes[0]!r}, ...): their labels are not ImageNet's",)


def check_class_order(where: Path | str, classes: Sequence[str]) -> None:
    """If these are ImageNet's 1,000 classes by WordNet id, they must be timm's, in timm's order.

    Otherwise weights of this suite would give other labels than every published ImageNet model.

    Raises:
        UserError: names the first class that is missing, and the one that is too many or in the wrong place.
    """
    if not maybe_imagenet(classes) or not all(WORDNET_ID.fullmatch(name) for name in classes):
        return
    from timm.data import ImageNetInfo

    expected = ImageNetInfo().label_names()
    missing = sorted(set(expected).difference(classes))
    if missing:
        extra = sorted(set(classes).difference(expected))
        raise UserError(f"{where}: class {missing[0]} of ImageNet-1k is missing, {extra[0]} is none of its classes")
    for label, (name, right) in enumerate(zip(classes, expected, strict=True)):
        if name != right:
            raise UserError(f"{where}: label {label} is class {name}, in ImageNet's order it is {right}: relabel it")
