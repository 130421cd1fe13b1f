"""One annotation of COCO's format: its flags, box, area and segmentation, by each other and by its image."""

from __future__ import annotations

from typing import Any

from experiments.dense.findings import Findings, brief
from experiments.dense.ordinary import ALIKE, OVER
from experiments.dense.segmentations import NUMBERS, BadSegmentation, Box, Shape, Size, area_of, check_range, read_shape

LEAST_AREA, MOST_AREA = 5e-4, 1.1  # of the box around an object: beyond, its area is not in pixels of this image
MANY = 0.1  # share of boxes that are not, from which the list means something else by a box


class Objects:
    """Looks at the annotations of one list, one by one.

    Args:
        found: where faults and notes go.
        images: (width, height) by id.
        known: ids of categories.

    Attributes:
        seen: the number of the entry of each id.
        largest: coordinate of a box.
    """

    def __init__(self, found: Findings, images: dict[int, Size], known: set[int]) -> None:
        self.found, self.images, self.known = found, images, known
        self.seen: dict[int, int] = {}
        self.largest = 0.0
        self._unlike: list[str] = []

    def look(self, number: int, entry: dict[str, Any]) -> bool:
        """Check an entry of the list; whether it is used."""
        found, item = self.found, f"annotation {brief(entry['id']) if 'id' in entry else f'number {number}'}"
        found.unique("annotation", number, found.whole(item, entry, "id"), self.seen)
        image, category = found.whole(item, entry, "image_id"), found.whole(item, entry, "category_id")
        if category is not None and category not in self.known:
            found.fault(item, f"category_id {category} is no category of this list: add it, or remove the annotation")
        if image is None:
            return False
        if image not in self.images:
            found.fault(item, f"image_id {image} is no image of this list: add it, or remove the annotation")
            return False
        self._flags(item, entry)
        try:
            return self._object(item, entry, self.images[image])
        except BadSegmentation as error:
            found.fault(item, str(error))
            return False

    def check_boxes(self, count: int) -> None:
        """Raise `UserError` where so many boxes are not around their objects that something else is meant by them."""
        if len(self._unlike) > MANY * count:
            for line in self._unlike:
                self.found.faults.add(line)
        if 0 < self.largest <= 1:
            self.found.fault("bbox", "all coordinates lie between 0 and 1: write pixels, not shares of the image")
        self.found.faults.check()

    def _flags(self, item: str, entry: dict[str, Any]) -> None:
        """``iscrowd``, 0 or 1; ``ignore``, which mmdet heeds and pycocotools does not, becomes it."""
        crowd, ignore = entry.get("iscrowd"), entry.pop("ignore", 0)
        entry["iscrowd"] = 0
        for key, value in (("iscrowd", crowd), ("ignore", ignore)):
            if value not in (None, 0, 1) or isinstance(value, str):
                self.found.fault(item, f"{key} is {brief(value)}: write 0 or 1")
                return
        if crowd is None:
            self.found.mend("iscrowd is missing and taken as 0", item)
        if ignore and not crowd:
            self.found.mend("ignore is read as iscrowd", item)
        elif type(crowd) in (bool, float):
            self.found.mend("iscrowd is written as 0 or 1", item)
        entry["iscrowd"] = int(bool(crowd or ignore))

    def _object(self, item: str, entry: dict[str, Any], size: Size) -> bool:
        """Check box, area and segmentation; whether there is anything to be seen."""
        shape, box = read_shape(entry.get("segmentation"), size), self._box(item, entry, size)
        if shape.dropped:
            entry["segmentation"] = shape.parts
            self.found.mend("parts of fewer than three points are left out", item)
        thin = box is not None and not (box[2] > box[0] and box[3] > box[1])
        if shape.extent is None and (box is None or thin or min(box[2] - box[0], box[3] - box[1]) < 1):
            self.found.mend("objects without any extent are left out", item)  # COCO itself has some
            return False
        if shape.extent is None:
            raise BadSegmentation(
                "its segmentation is flat and covers nothing: draw it again, or remove the annotation"
            )
        if box is None or thin:
            x1, y1, x2, y2 = shape.extent
            entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            self.found.mend("bbox is missing or flat and taken from the segmentation", item)
            box = shape.extent
        elif not entry["iscrowd"]:
            self._compare(item, entry["bbox"], box, shape)
        self._clip(item, entry, box, size)
        area = entry.get("area")
        if area is not None and type(area) not in NUMBERS:
            raise BadSegmentation(f"its area is {brief(area)}: write a number, or leave it out")
        around = max(_surface(box), _surface(shape.extent))
        if area is None or not LEAST_AREA * around < area <= MOST_AREA * around + 1:
            entry["area"] = area_of(entry["segmentation"], size)
            self.found.mend("area is missing or impossible and counted from the segmentation", item)
        return True

    def _box(self, item: str, entry: dict[str, Any], size: Size) -> Box | None:
        box = entry.get("bbox")
        if box is None or box == []:
            return None
        if not isinstance(box, list) or len(box) != 4 or not NUMBERS.issuperset(map(type, box)):
            raise BadSegmentation(f"its bbox is {brief(box)}: write four numbers, x, y, width, height")
        x, y, width, height = box
        if width < 0 or height < 0:
            raise BadSegmentation(f"its bbox is {brief(box)}, of negative size: write x, y, width, height")
        for axis, low, length, side in (("x", x, width, size[0]), ("y", y, height, size[1])):
            check_range((low, length), side, "bbox", axis)  # each for itself: whole numbers of JSON know no limit
            check_range((low, low + length), side, "bbox", axis)
        self.largest = max(self.largest, x + width, y + height)
        return x, y, x + width, y + height

    def _clip(self, item: str, entry: dict[str, Any], box: Box, size: Size) -> None:
        """A box ends at the border of its image, as all predictions do."""
        inside = max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            raise BadSegmentation(f"it lies outside its image of {size[0]} x {size[1]} pixels: move or remove it")
        if max(abs(a - b) for a, b in zip(box, inside, strict=True)) > OVER:
            entry["bbox"] = [inside[0], inside[1], inside[2] - inside[0], inside[3] - inside[1]]
            self.found.mend("boxes that reach over the border of their image are cut off there", item)

    def _compare(self, item: str, written: list[float], box: Box, shape: Shape) -> None:
        if _iou(box, shape.extent) >= ALIKE:
            return
        corners = _iou(tuple(written), shape.extent) >= ALIKE
        meant = "its bbox looks like two corners" if corners else "its bbox is not around its segmentation"
        self._unlike.append(f"{self.found.path}: {item}: {meant}: write x, y, width, height, in pixels")
        self.found.notes.add("bbox and segmentation do not lie together, and are used as they are", item)


def _surface(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_surface(one) + _surface(other) - both)
