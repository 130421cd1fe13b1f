"""Settings of the runs that measure a trained model. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


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
