"""A small list of COCO's format with its images, ways to change it, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from experiments.dense.coco import Prepared, prepare_list

SIZE = (64, 48)  # width, height
BOXES = [[4, 4, 20, 20], [30, 8, 16, 24], [8, 26, 30, 15], [40, 34, 10, 10]]


def square(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def document() -> dict[str, Any]:
    """Two images with two objects each, of two categories."""
    annotations = [
        {
            "id": number + 1,
            "image_id": number // 2,
            "category_id": 3 + number % 2,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
            "segmentation": [square(*box)],
        }
        for number, box in enumerate(BOXES)
    ]
    images = [{"id": id_, "file_name": f"{id_}.jpg", "width": SIZE[0], "height": SIZE[1]} for id_ in range(2)]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    }


def with_images(folder: Path) -> Path:
    """The folder, with the images of `document`."""
    (folder / "images").mkdir()
    for number in range(2):
        Image.effect_noise(SIZE, 50).convert("RGB").save(folder / "images" / f"{number}.jpg")
    return folder


def prepared(folder: Path, listed: Any, training: bool = True) -> Prepared:
    path = folder / "list.json"
    path.write_bytes(listed if isinstance(listed, bytes) else json.dumps(listed).encode())
    return prepare_list(path, folder / "images", folder / "cache", training)


def annotation(**changes: Any) -> Callable[[dict], None]:
    return lambda listed: listed["annotations"][1].update(changes)


def without(name: str, key: str) -> Callable[[dict], None]:
    return lambda listed: listed[name][1].pop(key)


def image(**changes: Any) -> Callable[[dict], None]:
    return lambda listed: listed["images"][1].update(changes)


def every_id(first: int) -> Callable[[dict], None]:
    return lambda listed: [entry.update(id=first + n) for n, entry in enumerate(listed["annotations"])]


RLE = coco_mask.encode(np.asfortranarray(np.pad(np.ones((24, 16), np.uint8), ((8, 16), (30, 18)))))
PACKED = {"size": RLE["size"], "counts": RLE["counts"].decode()}
