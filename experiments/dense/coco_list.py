"""Lists of COCO's format, checked as a whole; what COCO's tools would score wrongly is mended or refused.

pycocotools takes a list as it is: annotation 0 counts as "no match", an unknown category is dropped, text is compared
with numbers and differs. So everything is looked at here, item by item, and all faults are counted before the first
one is shown. What can be put right without a doubt is, with a note; the tools then read a copy with that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.dense.coco_json import parse, uncollected
from experiments.dense.findings import Findings, brief
from experiments.dense.objects import Objects
from experiments.dense.ordinary import ordinary
from experiments.dense.segmentations import MAX_PIXELS, Size
from transmix.common.progress import progress_bar
from transmix.data.faults import Notes

BATCH = 8192  # annotations that are looked at together


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


def _read(path: Path, content: bytes) -> CocoList:
    document, plain = parse(path, content)
    found = Findings(path)
    if not plain:
        found.mend("is no plain UTF-8, which COCO's tools want", "written anew")
    entries = {name: _entries(found, document, name) for name in ("images", "annotations", "categories")}
    found.faults.check()
    known = _categories(found, entries["categories"])
    images = _images(found, entries["images"])
    found.faults.check()  # or each of their annotations would be wrong, too
    annotations = _annotations(found, entries["annotations"], images, known)
    _repeated(found, annotations)
    rest = {key: value for key, value in document.items() if key not in entries}
    return CocoList(path, entries["images"], annotations, entries["categories"], found.mended, found.notes, rest)


def _entries(found: Findings, document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    listed = document.get(name)
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        found.fault(name, "must be a list of entries: export it in COCO's format")
        return []
    if not listed:
        found.fault(name, "there are none: give a list that has some")
    return listed


def _categories(found: Findings, entries: list[dict[str, Any]]) -> set[int]:
    seen, names = {}, {}
    for number, entry in enumerate(entries):
        item = f"category {brief(entry.get('id', number))}"
        found.unique("category", number, found.whole(item, entry, "id"), seen)
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip():
            found.fault(item, "name is missing or no text: write one")
        elif names.setdefault(name, number) != number:
            found.fault(item, f"category {name!r} comes more than once: rename one")
    return set(seen)


def _images(found: Findings, entries: list[dict[str, Any]]) -> dict[int, Size]:
    seen, names, sizes = {}, {}, {}
    for number, entry in enumerate(entries):
        item = f"image {brief(entry['id']) if 'id' in entry else f'number {number}'}"
        identity = found.whole(item, entry, "id")
        found.unique("image", number, identity, seen)
        size = found.whole(item, entry, "width", 1), found.whole(item, entry, "height", 1)
        if None not in size and size[0] * size[1] > MAX_PIXELS:
            found.fault(item, f"{size[0]} x {size[1]} pixels are over the limit of {MAX_PIXELS:,}: make it smaller")
        name = entry.get("file_name")
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            found.fault(item, f"file_name is {brief(name)}: write the name of a file")
        elif names.setdefault(name, number) != number:
            found.fault(item, f"file {name} is listed more than once: put its annotations under one id")
        sizes[identity] = size
    return sizes


def _annotations(
    found: Findings, entries: list[dict[str, Any]], images: dict[int, Size], known: set[int]
) -> list[dict[str, Any]]:
    objects, kept = Objects(found, images, known), []
    with progress_bar() as bar:
        line = bar.add_task(f"looking at {found.path}", total=len(entries), note="")
        for start in range(0, len(entries), BATCH):
            batch = entries[start : start + BATCH]
            good, largest = ordinary(batch, images, known)
            objects.largest = max(objects.largest, largest)
            for number, (entry, well) in enumerate(zip(batch, good, strict=True), start):
                if well:
                    found.unique("annotation", number, entry["id"], objects.seen)
                if well or objects.look(number, entry):
                    kept.append(entry)
            bar.advance(line, len(batch))
    if 0 in objects.seen:
        last = max(objects.seen) + 1
        entries[objects.seen[0]]["id"] = last
        found.mend("COCO's tools take annotation 0 for none; it is read as", f"annotation {last}")
    found.faults.check()
    objects.check_boxes(len(kept))
    return kept


def _repeated(found: Findings, entries: list[dict[str, Any]]) -> None:
    """Say which objects are there twice: only one of the two can be found."""
    boxes = set()
    for entry in entries:
        box = (entry["image_id"], entry["category_id"], entry["iscrowd"], *entry["bbox"])
        if box in boxes:
            found.notes.add("objects are there twice, and are counted twice", f"annotation {entry['id']}")
        boxes.add(box)
