"""Annotations of COCO's format of which nothing needs to be said, found many at a time.

Nearly all annotations of a published list are so, and there are 860,000 in COCO's: looked at one by one they take
longer than it takes to read them. Who is not found here is looked at one by one and loses nothing by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.dense.segmentations import NUMBERS, ROUNDING, Size

LIMIT = 2**53  # whole numbers up to here are the same in every JSON reader
OVER = 1.0  # pixels that a box may reach over its image's border
PLAIN_AREA = (0.001, 1.01)  # area by that of the box around it: within what is accepted one by one
ALIKE = 0.5  # IoU of a box and its segmentation's from which they are of one object


@np.errstate(invalid="ignore", over="ignore")
def ordinary(entries: Sequence[dict[str, Any]], images: dict[int, Size], known: set[int]) -> tuple[list[bool], float]:
    """Which annotations are polygons, and no crowds, with all keys, of the right types and ranges.

    Args:
        entries: annotations.
        images: (width, height) by id.
        known: ids of categories.

    Returns:
        a truth value each, and the largest coordinate of a box of those that are.
    """
    found = [_typed(entry, images, known) for entry in entries]
    chosen = [entry for entry, good in zip(entries, found, strict=True) if good]
    if not chosen:
        return found, 0.0
    sizes = np.array([images[entry["image_id"]] for entry in chosen], float)
    try:
        boxes, extents = _numbers([entry["bbox"] for entry in chosen]).reshape(-1, 4), _extents(chosen)
        areas = _numbers([[entry["area"]] for entry in chosen])
    except OverflowError:  # a whole number that no float holds
        return [False] * len(entries), 0.0
    corners = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1)
    good = (boxes[:, 2:] > 0).all(1) & (corners[:, 2:] > corners[:, :2]).all(1)
    for pair in (boxes[:, :2], boxes[:, 2:], corners[:, 2:], extents[:, :2], extents[:, 2:]):
        good &= ((-sizes <= pair) & (pair <= 2 * sizes)).all(1)  # False where an extent is NaN
    inside = np.concatenate((np.maximum(corners[:, :2], 0), np.minimum(corners[:, 2:], sizes)), 1)
    good &= (inside[:, 2:] > inside[:, :2]).all(1) & (np.abs(corners - inside) <= OVER).all(1)
    around = np.maximum(_surface(corners), _surface(extents))
    good &= (areas > PLAIN_AREA[0] * around) & (areas <= PLAIN_AREA[1] * around) & (_iou(corners, extents) >= ALIKE)
    places = iter(good.tolist())
    return [one and next(places) for one in found], float(corners[good, 2:].max(initial=0.0))


def _typed(entry: dict[str, Any], images: dict[int, Size], known: set[int]) -> bool:
    identity, image, category, box, parts = map(entry.get, ("id", "image_id", "category_id", "bbox", "segmentation"))
    return (
        type(identity) is int
        and 0 < identity < LIMIT
        and type(image) is int
        and image in images
        and type(category) is int
        and category in known
        and type(crowd := entry.get("iscrowd")) is int
        and crowd == 0
        and "ignore" not in entry
        and type(entry.get("area")) in NUMBERS
        and type(box) is list
        and len(box) == 4
        and NUMBERS.issuperset(map(type, box))
        and type(parts) is list
        and bool(parts)
        and all(
            type(part) is list and len(part) >= 6 and len(part) % 2 == 0 and NUMBERS.issuperset(map(type, part))
            for part in parts
        )
    )


def _numbers(values: list[list[float]]) -> NDArray[np.float64]:
    return np.fromiter(chain.from_iterable(values), np.float64, sum(map(len, values)))


def _extents(entries: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Boxes around the polygons, (N, 4) corners; NaN where a part may be flat, or is beyond all numbers."""
    parts = [part for entry in entries for part in entry["segmentation"]]
    points = _numbers(parts).reshape(-1, 2)
    lengths = np.array([len(part) // 2 for part in parts])
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts
    one = np.add.reduceat(points[:, 0] * points[following, 1], starts)
    other = np.add.reduceat(points[:, 1] * points[following, 0], starts)
    flat = ~(np.abs(one - other) > 2 * ROUNDING * (np.abs(one) + np.abs(other)))  # sums differ in their last bits
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    low[flat] = high[flat] = np.nan
    counts = np.array([len(entry["segmentation"]) for entry in entries])
    firsts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return np.concatenate((np.minimum.reduceat(low, firsts), np.maximum.reduceat(high, firsts)), 1)


def _surface(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    both = np.maximum(sides, 0).prod(1)
    return both / (_surface(one) + _surface(other) - both)
