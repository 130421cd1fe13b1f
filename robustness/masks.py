"""Where objects are, from the layouts in which data sets say so; images and masks belong together by file name."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from transmix.common.errors import UserError
from transmix.data.objects import ObjectMasks


class LabelMaps(ObjectMasks):
    """ADE20K's annotations, ``<name>.png``: whatever has a label, which is not 0, is an object."""

    def picture(self, index: int) -> Image.Image:
        """The mask of image `index`: white where there is a label."""
        labels = np.asarray(self.read(Path(f"{Path(self.images[index]).stem}.png")))
        return Image.fromarray((labels > 0) * np.uint8(255))


class Instances(ObjectMasks):
    """COCO's ``instances_*.json``: whatever is segmented is an object."""

    def __init__(self, path: Path, images: Sequence[str], *view: Any) -> None:
        super().__init__(path, images, *view)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            self._images = {Path(image["file_name"]).stem: image for image in document["images"]}
            self._objects = defaultdict(list)
            for entry in document["annotations"]:
                self._objects[entry["image_id"]].append(entry["segmentation"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is not a list of COCO instances: give an instances_*.json") from error

    def picture(self, index: int) -> Image.Image:
        """The mask of image `index`: white where anything is segmented."""
        about = self._images.get(Path(self.images[index]).stem)
        if about is None:
            raise UserError(f"{self.folder} does not list image {self.images[index]}: give the list of these images")
        size = about["height"], about["width"]
        seen = np.zeros(size, bool)
        for segmentation in self._objects[about["id"]]:
            seen |= _decode(segmentation, size)
        return Image.fromarray(seen * np.uint8(255))


def _decode(segmentation: list | dict, size: tuple[int, int]) -> np.ndarray:
    """A segmentation (polygons, or run lengths, compressed or not) as (H, W) bool."""
    if isinstance(segmentation, dict) and isinstance(segmentation["counts"], str):
        return coco_mask.decode(segmentation).astype(bool)
    runs = coco_mask.frPyObjects(segmentation, *size)
    return coco_mask.decode(coco_mask.merge(runs) if isinstance(runs, list) else runs).astype(bool)


def open_masks(
    path: Path, images: Sequence[str], image_size: int, crop: float, crop_mode: str = "center"
) -> ObjectMasks:
    """The masks at a path in whichever layout it is: COCO's list, ADE20K's label maps, or folders like the images'.

    Args:
        path: a JSON file or a folder.
        images: paths of the images within their folder, ``<class>/<name>``.
        image_size: pixels.
        crop: as `Recipe.eval_crop`.
        crop_mode: timm's.

    Raises:
        UserError: there is nothing at that path, or no such list.
    """
    if path.suffix == ".json":
        return Instances(path, images, image_size, crop, crop_mode)
    if not path.is_dir():
        raise UserError(f"no masks at {path}: give a folder of PNG masks or an instances_*.json")
    like_images = (path / images[0]).parent.is_dir()
    return (ObjectMasks if like_images else LabelMaps)(path, images, image_size, crop, crop_mode)
