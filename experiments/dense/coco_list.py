"""Lists of COCO's format, checked as a whole; what COCO's tools would score wrongly is mended or refused.

pycocotools takes a list as it is: annotation 0 counts as "no match", an unknown category is dropped, text is compared
with numbers and differs. So everything is looked at here, item by item, and all faults are counted before the first
one is shown. What can be put right without a doubt is, with a note; the tools then read a copy with that.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.dense.ordinary import ALIKE, LIMIT, OVER, ordinary
from experiments.dense.segmentations import MAX_PIXELS, NUMBERS, BadSegmentation, Box, Shape, check_range, read_shape
from transmix.common.errors import UserError
from transmix.common.files import OTHERS, what_else
from transmix.common.progress import progress_bar
from transmix.data.faults import Faults, Notes

BATCH = 8192  # annotations that are looked at together
LEAST_AREA, MOST_AREA = 5e-4, 1.1  # of the box around an object: beyond, its area is not in pixels of this image
MANY = 0.1  # share of boxes that are not, from which the list means something else by a box


@dataclass
class CocoList:
    """A list that was read.

    Attributes:
        path: the file.
        images: its entries, whose id, width, height and file_name can be relied upon.
        annotations: its entries, complete and of known images and categories.
        categories: its entries.
        mended: whether they differ from the file.
        notes: how.
        rest: what else the file holds.
    """

    path: Path
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    mended: bool
    notes: Notes
    rest: dict[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """The categories' names, in the order of the labels."""
        return tuple(category["name"] for category in self.categories)

    def document(self) -> dict[str, Any]:
        """What the list should hold."""
        entries = {"images": self.images, "annotations": self.annotations, "categories": self.categories}
        return self.rest | entries


def read_list(path: Path, content: bytes | None = None) -> CocoList:
    """Read and check a list; no images are looked at.

    Args:
        path: of the file.
        content: its bytes, if they are read already.

    Raises:
        UserError: names the file, the first thing that is wrong, the remedy, and how many more there are.
    """
    with uncollected():
        return _read(path, path.read_bytes() if content is None else content)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the search for cycles, which JSON has none of: it takes a third of the time a large list is read in."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _read(path: Path, content: bytes) -> CocoList:
    document, plain = parse(path, content)
    checker = _Checker(path)
    if not plain:
        checker.mend("is no plain UTF-8, which COCO's tools want", "written anew")
    entries = {name: checker.entries(document, name) for name in ("images", "annotations", "categories")}
    checker.faults.check()
    known = checker.categories(entries["categories"])
    images = checker.images(entries["images"])
    checker.faults.check()  # or each of their annotations would be wrong, too
    annotations = checker.annotations(entries["annotations"], images, known)
    checker.faults.check()
    checker.boxes(len(annotations))
    checker.repeated(annotations)
    rest = {key: value for key, value in document.items() if key not in entries}
    return CocoList(path, entries["images"], annotations, entries["categories"], checker.mended, checker.notes, rest)


def parse(path: Path, content: bytes) -> tuple[dict[str, Any], bool]:
    """The JSON in a file, and whether it is written as everybody reads it: UTF-8 without a mark at its beginning."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"key {twice!r} comes twice in one entry")
        return found

    if (other := what_else(content[:64], OTHERS)) is not None:
        raise UserError(f"{path} is no list of COCO's format ({other[0]}): {other[1]}")
    try:
        encoding = json.detect_encoding(content)
        with progress_bar() as bar:
            bar.add_task(f"reading {path.name} ({len(content) / 1e6:,.0f} MB)", total=None, note="")
            # a NaN is kept as text, which no number may be
            document = json.loads(content.decode(encoding), object_pairs_hook=once, parse_constant=str)
    except RecursionError:
        raise UserError(f"{path} is no list of COCO's format (nested too deeply): export it again") from None
    except ValueError as error:
        raise UserError(f"{path} is no list of COCO's format ({error}): export it again") from None
    if not isinstance(document, dict):
        raise UserError(
            f"{path} is no list of COCO's format: it must be an object with images, annotations, categories"
        )
    return document, encoding == "utf-8"


class _Checker:
    """Looks at one list; collects faults and notes."""

    def __init__(self, path: Path) -> None:
        self.path, self.faults, self.notes, self.mended = path, Faults(), Notes(str(path)), False
        self._unlike: list[str] = []
        self._largest = 0.0  # coordinate of a box

    def fault(self, item: str, line: str) -> None:
        self.faults.add(f"{self.path}: {item}: {line}")

    def mend(self, kind: str, item: str) -> None:
        self.mended = True
        self.notes.add(kind, item)

    def entries(self, document: dict[str, Any], name: str) -> list[dict[str, Any]]:
        found = document.get(name)
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            self.fault(name, "must be a list of entries: export it in COCO's format")
            return []
        if not found:
            self.fault(name, "there are none: give a list that has some")
        return found

    def whole(self, item: str, entry: dict[str, Any], key: str, low: int = 0) -> int | None:
        """A whole number in an entry, where 3.0 becomes 3; None, and a fault, for all else."""
        value = entry.get(key)
        if type(value) is float and value.is_integer() and abs(value) < LIMIT:
            entry[key] = value = int(value)
            self.mend("whole numbers written with a point are read as whole", f"{item}, {key}")
        if type(value) is not int or not low <= value < LIMIT:
            shown = "is missing" if key not in entry else f"is {_kind(value)}"
            self.fault(item, f"{key} {shown}: write a whole number from {low} on")
            return None
        return value

    def unique(self, what: str, number: int, identity: int | None, seen: dict[int, int]) -> None:
        if identity is not None and seen.setdefault(identity, number) != number:
            self.fault(f"{what} {identity}", "comes more than once: number them anew, and remove what is there twice")

    def categories(self, entries: list[dict[str, Any]]) -> set[int]:
        seen, names = {}, {}
        for number, entry in enumerate(entries):
            item = f"category {_kind(entry.get('id', number))}"
            self.unique("category", number, self.whole(item, entry, "id"), seen)
            name = entry.get("name")
            if not isinstance(name, str) or not name.strip():
                self.fault(item, "name is missing or no text: write one")
            elif names.setdefault(name, number) != number:
                self.fault(item, f"category {name!r} comes more than once: rename one")
        return set(seen)

    def images(self, entries: list[dict[str, Any]]) -> dict[int, tuple[int, int]]:
        seen, names, sizes = {}, {}, {}
        for number, entry in enumerate(entries):
            item = f"image {_kind(entry.get('id', f'number {number}'))}"
            identity = self.whole(item, entry, "id")
            self.unique("image", number, identity, seen)
            size = self.whole(item, entry, "width", 1), self.whole(item, entry, "height", 1)
            if None not in size and size[0] * size[1] > MAX_PIXELS:
                self.fault(item, f"{size[0]} x {size[1]} pixels are over the limit of {MAX_PIXELS:,}: make it smaller")
            name = entry.get("file_name")
            if not isinstance(name, str) or not name.strip() or not name.isprintable():
                self.fault(item, f"file_name is {_kind(name)}: write the name of a file")
            elif names.setdefault(name, number) != number:
                self.fault(item, f"file {name} is listed more than once: put its annotations under one id")
            sizes[identity] = size
        return sizes

    def annotations(
        self, entries: list[dict[str, Any]], images: dict[int, tuple[int, int]], known: set[int]
    ) -> list[dict[str, Any]]:
        seen, kept = {}, []
        with progress_bar() as bar:
            line = bar.add_task(f"looking at {self.path}", total=len(entries), note="")
            for start in range(0, len(entries), BATCH):
                batch = entries[start : start + BATCH]
                good, largest = ordinary(batch, images, known)
                self._largest = max(self._largest, largest)
                for number, (entry, well) in enumerate(zip(batch, good, strict=True), start):
                    if well:
                        self.unique("annotation", number, entry["id"], seen)
                    if well or self.annotation(number, entry, images, known, seen):
                        kept.append(entry)
                bar.advance(line, len(batch))
        if 0 in seen:
            entries[seen[0]]["id"] = max(seen) + 1
            self.mend("COCO's tools take annotation 0 for none; it is read as", f"annotation {max(seen) + 1}")
        return kept

    def repeated(self, entries: list[dict[str, Any]]) -> None:
        """Say which objects are there twice: only one of the two can be found."""
        boxes = set()
        for entry in entries:
            box = (entry["image_id"], entry["category_id"], entry["iscrowd"], *entry["bbox"])
            if box in boxes:
                self.notes.add("objects are there twice, and are counted twice", f"annotation {entry['id']}")
            boxes.add(box)

    def annotation(
        self,
        number: int,
        entry: dict[str, Any],
        images: dict[int, tuple[int, int]],
        known: set[int],
        seen: dict[int, int],
    ) -> bool:
        """Look at one; whether it is used."""
        item = f"annotation {_kind(entry.get('id', f'number {number}'))}"
        self.unique("annotation", number, self.whole(item, entry, "id"), seen)
        image, category = self.whole(item, entry, "image_id"), self.whole(item, entry, "category_id")
        if category is not None and category not in known:
            self.fault(item, f"category_id {category} is no category of this list: add it, or remove the annotation")
        if image is None:
            return False
        if image not in images:
            self.fault(item, f"image_id {image} is no image of this list: add it, or remove the annotation")
            return False
        self.flags(item, entry)
        try:
            return self.object(item, entry, images[image])
        except BadSegmentation as error:
            self.fault(item, str(error))
            return False

    def flags(self, item: str, entry: dict[str, Any]) -> None:
        """``iscrowd``, 0 or 1; ``ignore``, which mmdet heeds and pycocotools does not, becomes it."""
        crowd, ignore = entry.get("iscrowd"), entry.pop("ignore", 0)
        entry["iscrowd"] = 0
        for key, value in (("iscrowd", crowd), ("ignore", ignore)):
            if value not in (None, 0, 1) or isinstance(value, str):
                self.fault(item, f"{key} is {_kind(value)}: write 0 or 1")
                return
        if crowd is None:
            self.mend("iscrowd is missing and taken as 0", item)
        if ignore and not crowd:
            self.mend("ignore is read as iscrowd", item)
        elif type(crowd) in (bool, float):
            self.mend("iscrowd is written as 0 or 1", item)
        entry["iscrowd"] = int(bool(crowd or ignore))

    def object(self, item: str, entry: dict[str, Any], size: tuple[int, int]) -> bool:
        """Check box, area and segmentation; whether there is anything to be seen."""
        shape, box = read_shape(entry.get("segmentation"), size), self.box(item, entry, size)
        if shape.dropped:
            entry["segmentation"] = shape.parts
            self.mend("parts of fewer than three points are left out", item)
        thin = box is not None and not (box[2] > box[0] and box[3] > box[1])
        if shape.extent is None and (box is None or thin or min(box[2] - box[0], box[3] - box[1]) < 1):
            self.mend("objects without any extent are left out", item)  # COCO itself has some
            return False
        if shape.extent is None:
            raise BadSegmentation(
                "its segmentation is flat and covers nothing: draw it again, or remove the annotation"
            )
        if box is None or thin:
            x1, y1, x2, y2 = shape.extent
            entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            self.mend("bbox is missing or flat and taken from the segmentation", item)
            box = shape.extent
        elif not entry["iscrowd"]:
            self.compare(item, entry["bbox"], box, shape)
        self.clip(item, entry, box, size)
        area = entry.get("area")
        if area is not None and type(area) not in NUMBERS:
            raise BadSegmentation(f"its area is {_kind(area)}: write a number, or leave it out")
        around = max(_surface(box), _surface(shape.extent))
        if area is None or not LEAST_AREA * around < area <= MOST_AREA * around + 1:
            entry["area"] = _area(entry["segmentation"], size)
            self.mend("area is missing or impossible and counted from the segmentation", item)
        return True

    def box(self, item: str, entry: dict[str, Any], size: tuple[int, int]) -> Box | None:
        box = entry.get("bbox")
        if box is None or box == []:
            return None
        if not isinstance(box, list) or len(box) != 4 or not NUMBERS.issuperset(map(type, box)):
            raise BadSegmentation(f"its bbox is {_kind(box)}: write four numbers, x, y, width, height")
        x, y, width, height = box
        if width < 0 or height < 0:
            raise BadSegmentation(f"its bbox is {_kind(box)}, of negative size: write x, y, width, height")
        for axis, low, length, side in (("x", x, width, size[0]), ("y", y, height, size[1])):
            check_range((low, length), side, "bbox", axis)  # each for itself: whole numbers of JSON know no limit
            check_range((low, low + length), side, "bbox", axis)
        self._largest = max(self._largest, x + width, y + height)
        return x, y, x + width, y + height

    def clip(self, item: str, entry: dict[str, Any], box: Box, size: tuple[int, int]) -> None:
        """A box ends at the border of its image, as all predictions do."""
        inside = max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            raise BadSegmentation(f"it lies outside its image of {size[0]} x {size[1]} pixels: move or remove it")
        if max(abs(a - b) for a, b in zip(box, inside, strict=True)) > OVER:
            entry["bbox"] = [inside[0], inside[1], inside[2] - inside[0], inside[3] - inside[1]]
            self.mend("boxes that reach over the border of their image are cut off there", item)

    def compare(self, item: str, written: list[float], box: Box, shape: Shape) -> None:
        if _iou(box, shape.extent) >= ALIKE:
            return
        corners = _iou(tuple(written), shape.extent) >= ALIKE
        meant = "its bbox looks like two corners" if corners else "its bbox is not around its segmentation"
        self._unlike.append(f"{self.path}: {item}: {meant}: write x, y, width, height, in pixels")
        self.notes.add("bbox and segmentation do not lie together, and are used as they are", item)

    def boxes(self, count: int) -> None:
        """Raise `UserError` where so many boxes are not around their objects that something else is meant by them."""
        if len(self._unlike) > MANY * count:
            for line in self._unlike:
                self.faults.add(line)
        if 0 < self._largest <= 1:
            self.fault("bbox", "all coordinates lie between 0 and 1: write pixels, not shares of the image")
        self.faults.check()


def _surface(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_surface(one) + _surface(other) - both)


def _area(segmentation: Any, size: tuple[int, int]) -> float:
    from pycocotools import mask

    return float(mask.area(encode(segmentation, size)))


def encode(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """pycocotools' run lengths of a segmentation that `read_shape` has checked."""
    from pycocotools import mask

    if isinstance(segmentation, dict) and isinstance(segmentation["counts"], str):
        return segmentation
    runs = mask.frPyObjects(segmentation, size[1], size[0])
    return mask.merge(runs) if isinstance(runs, list) else runs


def _kind(value: Any) -> str:
    """A value for a message: short, and text in quotes."""
    if isinstance(value, int) and abs(value) > 10**18:
        return "more than 18 digits"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
