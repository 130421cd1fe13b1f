"""Settings of the runs that measure a trained model or fine-tune it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.rows import rows
from transmix.common.plain import built

OCCLUSION = ("random", "salient", "non_salient")
SALIENT = ("salient", "non_salient")  # of them, those that need to know where the foreground is
CORRUPTIONS = ("gaussian_noise", "gaussian_blur", "contrast", "jpeg")
PROTOCOLS = ("per_image", "published")
SWEEPS = {"occlusion": OCCLUSION, "shuffle": ("shuffle",), "corruptions": CORRUPTIONS}
CURVES = tuple(curve for curves in SWEEPS.values() for curve in curves)


@dataclass(frozen=True)
class Sweep:
    """Top-1 on images that are perturbed more and more: one curve a perturbation, all in one pass over the images.

    The published code, Muzammal-Naseer/Intriguing-Properties, is one of the two protocols; see robustness/README.md.

    Attributes:
        curves: names from `SWEEPS`.
        protocol: ``per_image``: every image has patches of its own, and a ratio is a share of patches on each curve;
            ``published``: the images of a batch share their patches, and for the two salient curves a ratio is a share
            of saliency.
        tenths: how many tenths are dropped, on the occlusion curves.
        cells: (rows, columns) that an image is cut into to be shuffled.
        severities: of the corruptions, 1 to 5.
        draws: of all that is random about occlusion and shuffling; the published scripts take one, unseeded.
        saliency: where foreground is: ``objects`` (masks in the data), ``attention`` (the model's own class attention)
            or ``dino`` (that of a DINO ViT-S/16, as published).
        fill: what dropped patches become: ``black``, as published, ``mean`` (the image's mean colour) or ``noise``.
        grid: patches a side; None for 14 at 224 px, as published, and for the model's own grid elsewhere.
        shared: images of a batch that share patches, as published.
        images: how many images, drawn at random; None for all.
        seed: of every draw; the same for all models, which so see the same images.
    """

    curves: tuple[str, ...] = (*OCCLUSION, "shuffle", *CORRUPTIONS)
    protocol: str = "per_image"
    tenths: tuple[int, ...] = tuple(range(1, 10))
    cells: tuple[tuple[int, int], ...] = ((2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (14, 14), (16, 16))
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    draws: int = 3
    saliency: str = "attention"
    fill: str = "black"
    grid: int | None = None
    shared: int = 256
    images: int | None = None
    seed: int = 0

    def points(self, curve: str) -> tuple[tuple[Any, ...], int]:
        """The severities of a curve, and how many draws are taken of each."""
        if curve in OCCLUSION:
            return self.tenths, self.draws if curve == "random" else 1
        return (self.cells, self.draws) if curve == "shuffle" else (self.severities, 1)

    @property
    def settings(self) -> int:
        """How often each image is classified: once clean, and once for every draw of every point."""
        return 1 + sum(len(severities) * draws for severities, draws in map(self.points, self.curves))


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


STAND_INS = {"natural": "scenes-A", "outliers": "scenes-O"}  # what the scenes have, as folders beside the others


@dataclass(frozen=True)
class NaturalAdversarial:
    """How a model does on photographs chosen to mislead: those of its classes (A), and those of none of them (O).

    Attributes:
        natural: name of the images of known classes that are hard to recognise.
        outliers: name of the images of unknown classes, in folders of known ones.
    """

    natural: str = "imagenet-a"
    outliers: str = "imagenet-o"


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
        precision: of the training: ``fp32``, or autocast to ``bf16`` or ``fp16``, for which mmengine needs a GPU.
        iterations: length of the training, where it is counted in steps.
        epochs: its length, where it is counted in epochs.
        multi_scale: whether validation images are evaluated once more at six scales, each also flipped.
        rows: of Table 1 that it is for, where these are not all of the family.
    """

    config: str
    batch_size: int
    lr: float
    image_size: tuple[int, int]
    precision: str = "fp32"
    iterations: int | None = None
    epochs: int | None = None
    multi_scale: bool = False
    rows: tuple[str, ...] = ()

    def serves(self, row: str) -> bool:
        """Whether it is for a row."""
        return row in self.rows if self.rows else rows()[row].family == self.config.rpartition("_")[2]

    @classmethod
    def of(cls, settings: dict[str, Any]) -> FineTuning:
        """The protocol that a run's settings hold, beside the model."""
        return built(cls, {name: value for name, value in settings.items() if name != "model"})

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
