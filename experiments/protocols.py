"""Settings of the runs that measure a trained model. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OCCLUSION = ("random", "salient", "non_salient")
CORRUPTIONS = ("gaussian_noise", "gaussian_blur", "contrast", "jpeg")
PROTOCOLS = ("per_image", "published")
SWEEPS = {"occlusion": OCCLUSION, "shuffle": ("shuffle",), "corruptions": CORRUPTIONS}


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

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Sweep:
        """The sweep that a run's settings hold (JSON has lists where it has tuples)."""
        tuples = {name: tuple(value) for name, value in settings.items() if isinstance(value, list)}
        return cls(**settings | tuples | {"cells": tuple(map(tuple, settings["cells"]))})

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
