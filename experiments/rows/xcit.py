"""XCiT rows of Table 1 (patch 16, 224 px, no distillation), by XCiT's own recipe.

Source: facebookresearch/xcit @82f5291, main.py and README. Drop path per model is in that paper's table B.1 and not in
its repository: .05 is stated for S12; the code's default, .1, stands for the others. Which recipe the TransMix authors
used for these rows is not known.

Other readings, as ``SET=`` takes them: ``report_ema=true`` and ``random_erasing=0 repeated_augmentation=1``, as the
official code trains DeiT; ``eval_crop=0.875``, as DeiT and PVT evaluate (see `experiments.ledger`).
"""

from __future__ import annotations

from dataclasses import replace

from experiments.rows import Public, of_paper
from experiments.rows.deit import deit_original
from transmix.recipe import Recipe


def xcit_t() -> Recipe:
    """XCiT-T24: 12 M parameters.

    Source: as above; 400 epochs, a moving average is kept but the last weights are reported, full crop.

    Run: ``make table1 SCALE=paper ROWS=xcit_t IMAGENET=/data/imagenet``
    Expected (slides): 79.4 % top-1, with TransMix 80.1 %. Not run by us.
    """
    return replace(deit_original(), model="xcit_tiny_24_p16_224", epochs=400, ema_decay=0.99996, eval_crop=1.0)


def xcit_s() -> Recipe:
    """XCiT-S12: 26 M parameters.

    Run: ``make table1 SCALE=paper ROWS=xcit_s IMAGENET=/data/imagenet``
    Expected (slides): 82.0 % top-1, with TransMix 82.3 %. Not run by us.
    """
    return replace(xcit_t(), model="xcit_small_12_p16_224", drop_path=0.05)


def xcit_m() -> Recipe:
    """XCiT-M24: 84 M parameters.

    Run: ``make table1 SCALE=paper ROWS=xcit_m IMAGENET=/data/imagenet``
    Expected (slides): 82.7 % top-1, with TransMix 83.4 %. Not run by us.
    """
    return replace(xcit_t(), model="xcit_medium_24_p16_224")


def xcit_l() -> Recipe:
    """XCiT-L24: 189 M parameters.

    Run: ``make table1 SCALE=paper ROWS=xcit_l IMAGENET=/data/imagenet``
    Expected (slides): 82.9 % top-1, with TransMix 83.8 %. Not run by us.
    """
    return replace(xcit_t(), model="xcit_large_24_p16_224")


# Public weights: facebookresearch/xcit, evaluated there on the whole image. Each model also has a distilled file
# (..._224_dist) and one for 384 px (..._384_dist): neither is the paper's row.
ROWS = (
    of_paper(
        xcit_t,
        "xcit",
        Public("xcit_tiny_24_p16_224", 1.0, "xcit_tiny_24_p16_224.fb_in1k"),
        self_attention=False,
        tiny="xcit_micro_tiny_patch8_64",
        lab="xcit_tiny_24_p8_224",
    ),
    of_paper(
        xcit_s,
        "xcit",
        Public("xcit_small_12_p16_224", 1.0, "xcit_small_12_p16_224.fb_in1k"),
        self_attention=False,
        tiny="xcit_micro_small_patch8_64",
        lab="xcit_small_12_p8_224",
    ),
    of_paper(
        xcit_m,
        "xcit",
        Public("xcit_medium_24_p16_224", 1.0, "xcit_medium_24_p16_224.fb_in1k"),
        self_attention=False,
        tiny="xcit_micro_medium_patch8_64",
        lab="xcit_medium_24_p8_224",
    ),
    of_paper(
        xcit_l,
        "xcit",
        Public("xcit_large_24_p16_224", 1.0, "xcit_large_24_p16_224.fb_in1k"),
        self_attention=False,
        tiny="xcit_micro_large_patch8_64",
        lab="xcit_large_24_p8_224",
    ),
)
