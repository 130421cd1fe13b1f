"""Settings of the runs that measure a trained model or fine-tune it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.rows import rows
from transmix.common.errors import UserError
from transmix.common.plain import built
from transmix.common.ranges import check, choice, number, text
from transmix.recipe import PRECISIONS

OCCLUSION = ("random", "salient", "non_salient")
SALIENT = ("salient", "non_salient")  # of them, those that need to know where the foreground is
CORRUPTIONS = ("gaussian_noise", "gaussian_blur", "contrast", "jpeg_compression")
PROTOCOLS = ("per_image", "published")
SALIENCY = ("objects", "attention", "dino")
FILLS = ("black", "mean", "noise")
SEVERITIES = (1, 2, 3, 4, 5)  # of corruptions
SWEEPS = {"occlusion": OCCLUSION, "shuffle": ("shuffle",), "corruptions": CORRUPTIONS}
CURVES = tuple(curve for curves in SWEEPS.values() for curve in curves)
_CURVE_NAMES = {"salient": "foreground first", "non_salient": "background first"}  # of what is dropped


def curve_name(curve: str) -> str:
    """A curve for people: ``foreground first`` for ``salient``, ``gaussian noise``."""
    return _CURVE_NAMES.get(curve, curve.replace("_", " "))


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

    curves: tuple[str, ...] = choice(of=CURVES, called="curve")
    protocol: str = choice("per_image", of=PROTOCOLS)
    tenths: tuple[int, ...] = number(tuple(range(1, 10)), least=1, most=10)
    cells: tuple[tuple[int, int], ...] = number(
        ((2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (14, 14), (16, 16)), least=1, most=4096
    )
    severities: tuple[int, ...] = number(SEVERITIES, least=SEVERITIES[0], most=SEVERITIES[-1])
    draws: int = number(3, least=1, most=1000)
    saliency: str = choice("attention", of=SALIENCY)
    fill: str = choice("black", of=FILLS)
    grid: int | None = number(None, least=1, most=4096)
    shared: int = number(256, least=1, most=1_000_000)
    images: int | None = number(None, least=1)
    seed: int = number(0, least=0, below=2**63)

    def __post_init__(self) -> None:
        check(self)
        for name in ("curves", "tenths", "cells", "severities"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise UserError(f"{name}={values!r}: must name each only once")

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

    mixes: int = number(512, least=1)
    examples: int = number(6, least=0, most=1000)
    min_area: float = number(0.1, least=0, below=1)
    max_area: float = number(0.6, above=0, most=1)

    def __post_init__(self) -> None:
        check(self)
        if self.max_area - self.min_area < 0.05:
            raise UserError(f"max_area={self.max_area:g}: must be above min_area={self.min_area:g} by 0.05 at least")


STAND_INS = {"natural": "scenes-A", "outliers": "scenes-O"}  # what the scenes have, as folders beside the others


@dataclass(frozen=True)
class NaturalAdversarial:
    """How a model does on photographs chosen to mislead: those of its classes (A), and those of none of them (O).

    Attributes:
        natural: name of the images of known classes that are hard to recognise.
        outliers: name of the images of unknown classes, in folders of known ones.
    """

    natural: str = text("imagenet-a")
    outliers: str = text("imagenet-o")

    def __post_init__(self) -> None:
        check(self)


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

    config: str = text(form=r"(ade20k|pascal_context|coco)/\w+_[a-z]+", like="like ade20k/upernet_deit")
    batch_size: int = number(least=1, most=1_000_000)
    lr: float = number(above=0, most=10)
    image_size: tuple[int, int] = number(least=1, most=8192)
    precision: str = choice("fp32", of=[name for name in PRECISIONS if name != "tf32"])
    iterations: int | None = number(None, least=1, most=100_000_000)
    epochs: int | None = number(None, least=1, most=100_000)
    multi_scale: bool = False
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self)
        if (self.iterations is None) == (self.epochs is None):
            raise UserError(f"{self.config}: its length is iterations or epochs: set one of the two")

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
