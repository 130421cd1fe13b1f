"""Settings of the runs that measure a trained model or fine-tune it. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class PatchDrop:
    """Random PatchDrop, as published with "Intriguing Properties of Vision Transformers" (evaluate.py there).

    Attributes:
        tenths: how many tenths of the patches are dropped, one sweep setting each.
        mask_seeds: independent draws of the masks; the published script takes one, unseeded.
        grid: patches per side; None for the model's own grid (14 at 224 px in patches of 16, as published).
        batch_size: images that share one mask, as published.
    """

    tenths: tuple[int, ...] = tuple(range(10))
    mask_seeds: int = 3
    grid: int | None = None
    batch_size: int = 256


@dataclass(frozen=True)
class LambdaStudy:
    """How area-lambda and attention-lambda compare on validation images that are mixed in pairs.

    Attributes:
        mixes: how many mixed images are measured.
        examples: how many of them are kept as pictures.
        min_area: smallest share of a box.
        max_area: largest share.
    """

    mixes: int = 512
    examples: int = 6
    min_area: float = 0.1
    max_area: float = 0.6


@dataclass(frozen=True)
class FineTuning:
    """A classifier fine-tuned on a dense task through OpenMMLab.

    At paper scale the configuration holds the recipe, and this restates what decides its cost; at the others it is
    what replaces the configuration's values.

    Attributes:
        config: of ``downstream/configs``; its name ends in the family of rows that it serves.
        batch_size: training images a step, of all processes together.
        lr: peak learning rate.
        image_size: height and width of a training image: the crop, or what images are resized to.
        iterations: length of the training, where it is counted in steps.
        epochs: its length, where it is counted in epochs.
        multi_scale: whether validation images are evaluated once more at six scales, each also flipped.
        rows: of Table 1 that it is for, where these are not all of the family.
    """

    config: str
    batch_size: int
    lr: float
    image_size: tuple[int, int]
    iterations: int | None = None
    epochs: int | None = None
    multi_scale: bool = False
    rows: tuple[str, ...] = ()

    def serves(self, row: str) -> bool:
        """Whether it is for a row of Table 1."""
        return row in self.rows if self.rows else row.partition("_")[0] == self.config.rpartition("_")[2]

    def settings(self) -> dict[str, Any]:
        """What decides a run's result, as JSON values."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        del values["rows"]
        return values

    @classmethod
    def of(cls, settings: dict[str, Any]) -> FineTuning:
        """What `settings` made, out of a run's."""
        known = {field.name for field in fields(cls)} & settings.keys()
        return cls(**{name: tuple(v) if isinstance(v := settings[name], list) else v for name in known})

    @property
    def data(self) -> str:
        """The data set: ``ade20k``, ``pascal_context`` or ``coco``."""
        return self.config.partition("/")[0]

    @property
    def part(self) -> str:
        """What tells it from others of its table and row: ``upernet``, ``pascal_context-segmenter_mask``."""
        head = self.config.partition("/")[2].rpartition("_")[0]
        return head if self.data in ("ade20k", "coco") else f"{self.data}-{head}"

    @property
    def kind(self) -> str:
        """The kind of run that carries it out."""
        return "detection" if self.data == "coco" else "segmentation"

    @property
    def table(self) -> str:
        """The table that shows it."""
        return "table4" if self.kind == "detection" else "table3"
