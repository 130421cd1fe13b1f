"""Segmentations of COCO's format: polygons and run lengths, checked before pycocotools sees them.

It reads hostile ones past the ends of its buffers, or rasterises a coordinate of 1e9 for hours. Nothing is decoded
here but run lengths that are known to fit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any

NUMBERS = {int, float}
ROUNDING = 1e-9  # what is smaller, relatively, is rounding
MAX_PIXELS = 2 * 89_478_485  # twice Pillow's limit: as many as it opens at all
PACKED = re.compile(r"(?:[P-o]{0,5}[0-O])+")  # pycocotools' text of run lengths: up to six characters a number

Size = tuple[int, int]  # (width, height)
Box = tuple[float, float, float, float]  # x1, y1, x2, y2


@dataclass(frozen=True)
class Shape:
    """What is known of a segmentation.

    Attributes:
        extent: the box around it; None if it covers nothing.
        parts: a polygon's parts that can be used; None for run lengths.
        dropped: parts of fewer than three points beside others that have more.
    """

    extent: Box | None
    parts: list[list[float]] | None = None
    dropped: int = 0


class BadSegmentation(ValueError):
    """Says in a few words what is wrong, and the remedy."""


def read_shape(segmentation: Any, size: Size) -> Shape:
    """Check a segmentation of an image of that (width, height).

    Raises:
        BadSegmentation: it is none, or pycocotools would fail on it.
    """
    if isinstance(segmentation, list):
        return _polygons(segmentation, size)
    if isinstance(segmentation, dict):
        return _runs(segmentation, size)
    if segmentation is None:
        raise BadSegmentation("has no segmentation, and Mask R-CNN needs one: add polygons or run lengths")
    raise BadSegmentation("its segmentation is neither polygons nor run lengths: write [[x, y, ...], ...]")


def _polygons(parts: list[Any], size: Size) -> Shape:
    kept, x1, y1, x2, y2 = [], *2 * (float("inf"),), *2 * (-float("inf"),)
    for part in parts:
        if not isinstance(part, list):
            raise BadSegmentation("its segmentation is no list of polygons: write [[x, y, ...], ...]")
        if not NUMBERS.issuperset(map(type, part)):
            raise BadSegmentation("its polygon holds what is no number: write [[x, y, ...], ...] with finite numbers")
        if len(part) % 2:
            raise BadSegmentation(f"its polygon has {len(part)} coordinates, an odd number: write x, y of every point")
        if len(part) < 6:
            continue
        xs, ys = part[::2], part[1::2]
        left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
        check_range((left, right), size[0], "polygon", "x")
        check_range((top, bottom), size[1], "polygon", "y")
        if not _flat(xs, ys):
            x1, y1, x2, y2 = min(x1, left), min(y1, top), max(x2, right), max(y2, bottom)
        kept.append(part)
    if not kept:
        points = max(map(len, parts), default=0) // 2
        raise BadSegmentation(
            f"its polygon has {points} points, at least three are needed: draw it again, or remove the annotation"
            if points
            else "its segmentation is empty, and Mask R-CNN needs one: add polygons, or remove the annotation"
        )
    return Shape((x1, y1, x2, y2) if x1 <= x2 else None, kept, len(parts) - len(kept))


def check_range(values: Sequence[float], side: int, what: str, axis: str) -> None:
    """Raise `BadSegmentation` for coordinates further outside an image than it is long."""
    low, high = values
    if not (-side <= low and high <= 2 * side):
        far = low if not -side <= low else high
        shown = f"{far:.6g}" if abs(far) < 1e300 else "beyond 1e300"
        raise BadSegmentation(
            f"its {what} reaches to {axis} = {shown}, far outside an image of {side} pixels: write pixels of this image"
        )


def _flat(xs: list[float], ys: list[float]) -> bool:
    """Whether all points lie on one line."""
    one, other = sum(map(mul, xs, ys[1:] + ys[:1])), sum(map(mul, ys, xs[1:] + xs[:1]))
    if abs(one - other) > ROUNDING * (abs(one) + abs(other)):
        return False  # it has an area
    far = max(range(len(xs)), key=lambda point: abs(xs[point] - xs[0]) + abs(ys[point] - ys[0]))
    dx, dy = xs[far] - xs[0], ys[far] - ys[0]
    least = ROUNDING * (dx * dx + dy * dy)
    return all(abs((x - xs[0]) * dy - (y - ys[0]) * dx) <= least for x, y in zip(xs, ys, strict=True))


def _runs(segmentation: dict[str, Any], size: Size) -> Shape:
    if "counts" not in segmentation or "size" not in segmentation:
        raise BadSegmentation("its run lengths need counts and size: write both")
    width, height = size
    if segmentation["size"] != [height, width]:
        raise BadSegmentation(
            f"its run lengths are of size {_short(segmentation['size'])}, its image is {[height, width]}: "
            "size is [height, width], encode the mask of this image"
        )
    if width * height > MAX_PIXELS:
        raise BadSegmentation(f"its run lengths are of {width * height:,} pixels, over the limit of {MAX_PIXELS:,}")
    counts = _counts(segmentation["counts"])
    if min(counts, default=0) < 0 or sum(counts) != width * height:
        raise BadSegmentation(
            f"its run lengths cover {sum(counts):,} pixels of {width * height:,}: encode the mask again"
        )
    return Shape(_extent(counts, height))


def _counts(counts: Any) -> list[int]:
    """Run lengths as numbers; pycocotools' text of them is read as it writes it."""
    if isinstance(counts, list):
        if not {int}.issuperset(map(type, counts)):
            raise BadSegmentation("its counts are no whole numbers: encode the mask again")
        return counts
    if not isinstance(counts, str) or not PACKED.fullmatch(counts):
        raise BadSegmentation("its counts are no run lengths: encode the mask again")
    found, value, shift = [], 0, 0
    for byte in counts.encode():
        byte -= 48
        value |= (byte & 31) << shift
        shift += 5
        if byte & 32:
            continue
        if byte & 16:
            value -= 1 << shift
        found.append(value + found[-2] if len(found) > 2 else value)
        value = shift = 0
    return found


def _extent(counts: list[int], height: int) -> Box | None:
    """The box around the pixels of run lengths, which go down the columns, background first."""
    begin, left, right, top, bottom = 0, -1, -1, height, -1
    for number, count in enumerate(counts):
        if number % 2 and count:
            last = begin + count - 1
            column, right = begin // height, last // height
            left = column if left < 0 else left
            one = column == right
            top = min(top, begin % height) if one else 0
            bottom = max(bottom, last % height) if one else height - 1
        begin += count
    return None if left < 0 else (left, top, right + 1, bottom + 1)


def encode(segmentation: Any, size: Size) -> dict[str, Any]:
    """pycocotools' run lengths of a segmentation that `read_shape` has checked."""
    from pycocotools import mask

    if isinstance(segmentation, dict) and isinstance(segmentation["counts"], str):
        return segmentation
    runs = mask.frPyObjects(segmentation, size[1], size[0])
    return mask.merge(runs) if isinstance(runs, list) else runs


def area_of(segmentation: Any, size: Size) -> float:
    """Pixels that a segmentation covers, which `read_shape` has checked."""
    from pycocotools import mask

    return float(mask.area(encode(segmentation, size)))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."
