"""Where objects are, from the layouts in which data sets say so; images and masks belong together by file name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from experiments.dense.coco_json import parse
from experiments.dense.frames import size_fault
from experiments.dense.label_maps import read_labels
from experiments.dense.segmentations import MAX_PIXELS, BadSegmentation, encode, read_shape
from transmix.common.errors import UserError
from transmix.common.progress import progress_bar
from transmix.data.faults import Faults
from transmix.data.objects import ObjectMasks
from transmix.data.opening import UnreadableImage

REMEDY = "give every image a PNG of its size that is white (255) where the object is"


class OwnMasks(ObjectMasks):
    """PNG masks of a user's own, ``<class>/<name>.png``, in a folder like the images'."""

    remedy = REMEDY

    def picture(self, index: int) -> Image.Image:
        """The mask of image `index`, in grey.

        Raises:
            UserError: it is missing, damaged, or of values that are no black and white.
        """
        mask = super().picture(index)
        if mask.mode not in ("1", "L", "LA", "RGB", "RGBA"):
            raise UserError(f"object mask {self.path(index)} is of Pillow's mode {mask.mode}: {self.remedy}")
        mask = mask.convert("L")
        if 0 < mask.getextrema()[1] <= 127:
            raise UserError(f"object mask {self.path(index)} has values up to {mask.getextrema()[1]}: {self.remedy}")
        return mask


class LabelMaps(ObjectMasks):
    """ADE20K's annotations, ``<name>.png``: whatever has a label, which is not 0, is an object."""

    def path(self, index: int) -> Path:
        """Of the label map of image `index`."""
        return self.folder / f"{Path(self.images[index]).stem}.png"

    def picture(self, index: int) -> Image.Image:
        """The mask of image `index`: white where there is a label."""
        try:
            labels = read_labels(self.path(index))
        except UnreadableImage as error:
            raise UserError(f"label map {self.path(index)} {error}") from error
        return Image.fromarray((labels > 0) * np.uint8(255))


class Instances(ObjectMasks):
    """COCO's ``instances_*.json``: whatever is segmented is an object. Of its entries, only what is needed is read."""

    def __init__(self, path: Path, images: Sequence[str], *view: Any) -> None:
        super().__init__(path, images, *view)
        try:
            document, _ = parse(path, path.read_bytes())
            entries = {entry["id"]: entry for entry in document["images"]}
            self._names = defaultdict(list)
            for entry in entries.values():
                name = Path(entry["file_name"].replace("\\", "/"))
                self._names[name.stem].append((name.with_suffix("").parts, entry))
            self._objects = defaultdict(list)
            for entry in document["annotations"]:
                self._objects[entry["image_id"]].append((entry.get("id", "without id"), entry["segmentation"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a list of COCO instances: give an instances_*.json") from error
        self._stems = Counter(Path(name).stem for name in images)

    def size(self, index: int) -> tuple[int, int]:
        """(width, height) that the list gives image `index`, whose segmentations are looked at."""
        about = self._about(index)
        size = about.get("width"), about.get("height")
        if not all(type(side) is int and side > 0 for side in size) or size[0] * size[1] > MAX_PIXELS:
            raise UserError(f"{self.folder}: image {self.images[index]} has no usable width and height: write its size")
        for identity, segmentation in self._objects[about["id"]]:
            try:
                read_shape(segmentation, size)
            except BadSegmentation as error:
                raise UserError(f"{self.folder}: annotation {identity}: {error}") from error
        return size

    def picture(self, index: int) -> Image.Image:
        """The mask of image `index`: white where anything is segmented."""
        size = self.size(index)
        seen = np.zeros(size[::-1], bool)
        for _, segmentation in self._objects[self._about(index)["id"]]:
            seen |= coco_mask.decode(encode(segmentation, size)).astype(bool)
        return Image.fromarray(seen * np.uint8(255))

    def _about(self, index: int) -> dict[str, Any]:
        """The entry of image `index`: by its path where that is listed, else by its name if only one has that."""
        name = Path(self.images[index])
        found = self._names.get(name.stem, [])
        exact = [entry for parts, entry in found if parts[-2:] == name.with_suffix("").parts[-2:]]
        if len(exact) == 1:
            return exact[0]
        if not found:
            raise UserError(f"{self.folder} does not list image {name}: give the list of these images")
        if len(found) > 1 or self._stems[name.stem] > 1:
            raise UserError(f"{self.folder}: several images are called {name.stem}: list them as <class>/<name>")
        return found[0][1]


def check_masks(masks: ObjectMasks, files: Sequence[str]) -> None:
    """Look at all masks and their images' headers, before anything is measured.

    Args:
        masks: of the images.
        files: the images' paths.

    Raises:
        UserError: a mask is missing, broken, or not of its image's size; names the first, and how many more there are.
            Or no mask has an object.
    """
    faults, objects = Faults(), False
    with progress_bar() as bar:
        line = bar.add_task(f"looking at {masks.folder}", total=len(files), note="")
        for index, file in enumerate(files):
            try:
                fault = size_fault(Path(file), masks.size(index), f"its mask in {masks.folder} has", turns=False)
                objects = objects or masks.picture(index).getbbox() is not None
            except UserError as error:
                fault = str(error)
            if fault:
                faults.add(fault)
            bar.advance(line)
    faults.check()
    if not objects:
        raise UserError(f"{masks.folder}: no mask of the {len(files):,} images has an object: give others")


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
    return (OwnMasks if like_images else LabelMaps)(path, images, image_size, crop, crop_mode)
