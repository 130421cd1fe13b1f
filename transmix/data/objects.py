"""Where the labelled object is in an image: masks beside the class folders, as the embedded scenes have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from timm.data import create_transform
from torch import Tensor
from torch.utils.data import Dataset

from transmix.common.errors import UserError
from transmix.data.opening import PNG, UnreadableImage, read_pixels
from transmix.data.sources import Images


def masks_beside(images: Images) -> Path | None:
    """``imagenet_masks/train`` for class folders in ``imagenet/train``; None where there is no such folder."""
    folder = images.folder
    if folder is None:
        return None
    folder = folder.absolute()
    masks = folder.parent.with_name(f"{folder.parent.name}_masks") / folder.name
    return masks if masks.is_dir() else None


class ObjectMasks(Dataset):
    """Masks (H, W) bool of the images named: ``<class>/<name>.png``, resized and cropped as for evaluation.

    Args:
        folder: of a split's masks: white where the object is visible.
        images: paths of the images within their split.
        image_size: pixels.
        crop: as `Recipe.eval_crop`.
        crop_mode: timm's.

    Attributes:
        remedy: what to do about a mask that cannot be read.
    """

    remedy = "write the data again"

    def __init__(
        self, folder: Path, images: Sequence[str], image_size: int, crop: float, crop_mode: str = "center"
    ) -> None:
        self.folder, self.images = folder, images
        self._transform = create_transform(
            image_size, use_prefetcher=True, interpolation="nearest", crop_pct=crop, crop_mode=crop_mode
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self._transform(self.picture(index))[0] > 127

    def path(self, index: int) -> Path:
        """Of the mask of image `index`."""
        return self.folder / Path(self.images[index]).with_suffix(".png")

    def size(self, index: int) -> tuple[int, int]:
        """(width, height) of the mask of image `index`, which is read for it."""
        return self.picture(index).size

    def picture(self, index: int) -> Image.Image:
        """The mask of image `index` as it lies on disk: white where the object is."""
        path = self.path(index)
        try:
            return read_pixels(path, PNG)
        except UnreadableImage as error:
            raise UserError(f"object mask {path} {error}: {self.remedy}") from error
