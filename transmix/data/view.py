"""How a model is shown an image in evaluation, as a recipe or timm's configuration says. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class View:
    """How an image is resized, cropped, normalised and computed with.

    Attributes:
        image_size: pixels, square.
        interpolation: of the resizing, as timm names it.
        crop: share of the resized image that the crop keeps.
        crop_mode: timm's, how images that are not square become so: cropped at the centre, as this suite does.
        mean: of the normalisation, per channel of pixels in [0, 1]; empty where only pixels are read.
        std: likewise.
        precision: of the forward pass, as `Recipe.precision`.
        batch_size: images of a forward pass.
    """

    image_size: int
    interpolation: str = "bicubic"
    crop: float = 0.875
    crop_mode: str = "center"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    precision: str = "fp32"
    batch_size: int = 256

    @classmethod
    def of_timm(cls, config: dict[str, Any], **others: Any) -> View:
        """What timm's configuration of a model says (`timm.data.resolve_data_config`), and fields that it lacks."""
        return cls(
            image_size=config["input_size"][-1],
            interpolation=config["interpolation"],
            crop=config["crop_pct"],
            crop_mode=config["crop_mode"],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            **others,
        )
