"""PVT rows of Table 1, version 1 of the Pyramid Vision Transformer, by PVT's own recipe.

Source: whai362/PVT @57e2dfa, classification/main.py and configs/pvt/*.py. Which recipe the TransMix authors used for
these rows is not known (their code has no configuration for them); the backbone's own is the natural choice.

Other readings, as ``SET=`` takes them, are how the official code trains DeiT: ``ema_decay=0.99996 report_ema=true``,
``random_erasing=0 repeated_augmentation=1`` (see `experiments.ledger`).
"""

from __future__ import annotations

from dataclasses import replace

from experiments.rows import Public, of_paper
from experiments.rows.deit import deit_original
from transmix.recipe import Recipe


def pvt_t() -> Recipe:
    """PVT-T: 13.2 M parameters.

    Source: as above; lr is 5e-4 x batch / 512, no moving average is kept, repeated augmentation is on.

    Run: ``make table1 SCALE=paper ROWS=pvt_t IMAGENET=/data/imagenet``
    Expected (slides): 75.1 % top-1, with TransMix 75.5 %. Not run by us.
    """
    return replace(deit_original(), model="pvt_tiny")


def pvt_s() -> Recipe:
    """PVT-S: 24.5 M parameters, trained as PVT-T.

    Run: ``make table1 SCALE=paper ROWS=pvt_s IMAGENET=/data/imagenet``
    Expected (slides): 79.8 % top-1, with TransMix 80.5 %. Not run by us.
    """
    return replace(pvt_t(), model="pvt_small")


def pvt_m() -> Recipe:
    """PVT-M: 44.2 M parameters; more drop path than PVT-T, and clipped gradients.

    Run: ``make table1 SCALE=paper ROWS=pvt_m IMAGENET=/data/imagenet``
    Expected (slides): 81.2 % top-1, with TransMix 82.1 %. Not run by us.
    """
    return replace(pvt_t(), model="pvt_medium", drop_path=0.3, clip_grad=1.0)


def pvt_l() -> Recipe:
    """PVT-L: 61.4 M parameters, trained as PVT-M.

    Run: ``make table1 SCALE=paper ROWS=pvt_l IMAGENET=/data/imagenet``
    Expected (slides): 81.7 % top-1, with TransMix 82.4 %. Not run by us.
    """
    return replace(pvt_m(), model="pvt_large")


# Public weights: whai362/PVT, evaluated there on a 0.875 crop. timm has version 2 only.
ROWS = (
    of_paper(pvt_t, "pvt", Public("pvt_tiny", 0.875), tiny="pvt_micro_tiny_patch2_64", lab="pvt_tiny_patch2_64"),
    of_paper(pvt_s, "pvt", Public("pvt_small", 0.875), tiny="pvt_micro_small_patch2_64", lab="pvt_small_patch2_64"),
    of_paper(pvt_m, "pvt", Public("pvt_medium", 0.875), tiny="pvt_micro_medium_patch2_64", lab="pvt_medium_patch2_64"),
    of_paper(pvt_l, "pvt", Public("pvt_large", 0.875), tiny="pvt_micro_large_patch2_64", lab="pvt_large_patch2_64"),
)
