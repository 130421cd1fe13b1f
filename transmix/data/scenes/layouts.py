"""The folders that the field's loaders read: timm's ImageFolder, mmseg's ADE20KDataset, mmdet's CocoDataset.

The work of writing them is cut into shards, each a range of images of one split of one view.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from transmix.data.scenes.classes import scene_class
from transmix.data.scenes.compose import Scene, dense_scene, single_object_scene
from transmix.data.scenes.spec import ADE_SPLITS, COCO_SPLITS, ScenesSpec

SHARD_IMAGES = {"imagenet": 250, "dense": 40}
"""Images a shard of each view; a killed writer loses at most this many images a process."""


@dataclass(frozen=True)
class Shard:
    """Images `start` to `stop` (not included) of a split ("train", "val") of a view ("imagenet", "dense")."""

    view: str
    split: str
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Unique in a data set, e.g. ``imagenet-train-00000250``; sorts in image order."""
        return f"{self.view}-{self.split}-{self.start:08d}"


@dataclass(frozen=True)
class ShardResult:
    """What a written shard leaves behind: a digest of its files with their names, and its COCO entries.

    The annotations in `coco` have no "id" yet: they are numbered when all shards are there.
    """

    sha256: str
    coco_images: list[dict[str, Any]]
    coco_annotations: list[dict[str, Any]]


def plan_shards(spec: ScenesSpec) -> list[Shard]:
    """All shards of a data set, in a fixed order."""
    splits = (
        ("imagenet", "train", spec.train),
        ("imagenet", "val", spec.val),
        ("dense", "train", spec.dense_train),
        ("dense", "val", spec.dense_val),
    )
    return [
        Shard(view, split, start, min(start + SHARD_IMAGES[view], total))
        for view, split, total in splits
        for start in range(0, total, SHARD_IMAGES[view])
    ]


def make_folders(spec: ScenesSpec, out: Path) -> None:
    """Create every folder of the three views under `out`."""
    names = [scene_class(index).name for index in range(spec.classes)]
    for folder in spec.counts:
        if folder.startswith("imagenet"):
            for name in names:
                (out / folder / name).mkdir(parents=True, exist_ok=True)
        else:
            (out / folder).mkdir(parents=True, exist_ok=True)


def write_shard(spec: ScenesSpec, out: Path, shard: Shard) -> ShardResult:
    """Render the images of a shard and write their files, over what an interrupted writer may have left."""
    if shard.view == "imagenet":
        return ShardResult(_write_all(out, _imagenet_files(spec, shard)), [], [])
    files: list[tuple[str, bytes]] = []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(shard.start, shard.stop):
        scene = dense_scene(spec, shard.split, index)
        files += _dense_files(scene, shard.split, index + 1)
        images.append(_coco_image(index + 1, spec.dense_size))
        annotations += _coco_annotations(scene, index + 1)
    return ShardResult(_write_all(out, files), images, annotations)


def _write_all(out: Path, files: Iterable[tuple[str, bytes]]) -> str:
    """Write (relative path, content) pairs under `out`; returns a digest of the paths and contents."""
    digest = hashlib.sha256()
    for name, content in files:
        write_named(out / name, content)
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _imagenet_files(spec: ScenesSpec, shard: Shard) -> Iterable[tuple[str, bytes]]:
    for index in range(shard.start, shard.stop):
        scene = single_object_scene(spec, shard.split, index)
        image, mask = imagenet_names(shard.split, scene_class(scene.labels[0]).name, index)
        yield image, jpeg(scene.image)
        yield mask, _png(scene.masks[0] * np.uint8(255))


def imagenet_names(split: str, class_name: str, index: int) -> tuple[str, str]:
    """Where an image of the ImageNet view and its mask lie."""
    stem = f"{split}/{class_name}/{split}_{index:08d}"
    return f"imagenet/{stem}.JPEG", f"imagenet_masks/{stem}.png"


def _dense_files(scene: Scene, split: str, number: int) -> Iterable[tuple[str, bytes]]:
    photo = jpeg(scene.image)
    return zip(dense_names(split, number), (photo, _png(_label_map(scene)), photo), strict=True)


def dense_names(split: str, number: int) -> tuple[str, str, str]:
    """Where ADE20K's image, its annotation and COCO's copy of an image of the dense views lie; counted from 1."""
    stem = f"{ADE_SPLITS[split]}/ADE_{split}_{number:08d}"
    return (
        f"ade20k/images/{stem}.jpg",
        f"ade20k/annotations/{stem}.png",
        f"coco/{COCO_SPLITS[split]}/{number:012d}.jpg",
    )


def coco_list(split: str) -> Path:
    """Where the COCO view lists a split's images and objects."""
    return Path("coco", "annotations", f"instances_{COCO_SPLITS[split]}.json")


def _label_map(scene: Scene) -> NDArray[np.uint8]:
    """ADE20K's annotation (H, W): 0 = other, class index + 1 elsewhere; the masks do not overlap."""
    labels = np.zeros(scene.image.shape[:2], np.uint8)
    for mask, label in zip(scene.masks, scene.labels, strict=True):
        labels[mask] = label + 1
    return labels


def _coco_image(number: int, size: int) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number:012d}.jpg", "width": size, "height": size}


def _coco_annotations(scene: Scene, number: int) -> list[dict[str, Any]]:
    """One entry an object; segmentations are compressed run lengths, exact where polygons would round."""
    if not scene.labels:
        return []
    encoded = coco_mask.encode(np.asfortranarray(scene.masks.transpose(1, 2, 0), dtype=np.uint8))
    boxes, areas = coco_mask.toBbox(encoded).tolist(), coco_mask.area(encoded).tolist()
    return [
        {
            "image_id": number,
            "category_id": label + 1,
            "bbox": box,
            "area": area,
            "iscrowd": 0,
            "segmentation": {"size": runs["size"], "counts": runs["counts"].decode("ascii")},
        }
        for label, runs, box, area in zip(scene.labels, encoded, boxes, areas, strict=True)
    ]


def coco_document(spec: ScenesSpec, results: Iterable[ShardResult]) -> dict[str, Any]:
    """The content of ``instances_*.json``: the entries of a split's shards, annotations numbered from 1."""
    results = list(results)
    annotations = [entry for result in results for entry in result.coco_annotations]
    return {
        "images": [entry for result in results for entry in result.coco_images],
        "annotations": [{"id": number} | entry for number, entry in enumerate(annotations, start=1)],
        "categories": [
            {"id": index + 1, "name": scene_class(index).name, "supercategory": scene_class(index).shape}
            for index in range(spec.dense_classes)
        ],
    }


def write_named(path: Path, content: bytes) -> None:
    """Write a file; an `OSError` then names it, as that of a full disk does not by itself."""
    try:
        path.write_bytes(content)
    except OSError as error:
        error.filename = str(path)
        raise


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """An image (H, W, 3) as the file that every view has of it."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _png(levels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    return buffer.getvalue()
