"""What is fine-tuned downstream at paper scale: Tables 3 and 4.

These restate what decides the cost of the configurations in ``downstream/configs``, where their sources are; tests
compare the two. Standard library only.
"""

from __future__ import annotations

from typing import Any

from experiments.protocols import FineTuning


def _ade20k(config: str, batch_size: int, lr: float, iterations: int, multi_scale: bool = False) -> FineTuning:
    return FineTuning(f"ade20k/{config}", batch_size, lr, (512, 512), iterations=iterations, multi_scale=multi_scale)


def _pascal_context(config: str) -> FineTuning:
    return FineTuning(f"pascal_context/{config}", 16, 1e-3, (480, 480), iterations=80_000, multi_scale=True)


def _coco(config: str, lr: float, epochs: int, batch_size: int = 16, **settings: Any) -> FineTuning:
    # images keep their proportions; those of COCO are mostly 640 x 480, which become 1,067 x 800
    return FineTuning(f"coco/{config}", batch_size, lr, (800, 1067), epochs=epochs, **settings)


PAPER = (
    _ade20k("upernet_deit", 16, 6e-5, 160_000, multi_scale=True),
    _ade20k("segmenter_linear_deit", 8, 1e-3, 160_000, multi_scale=True),
    _ade20k("segmenter_mask_deit", 8, 1e-3, 160_000, multi_scale=True),
    _pascal_context("segmenter_linear_deit"),
    _pascal_context("segmenter_mask_deit"),
    _ade20k("upernet_xcit", 16, 6e-5, 160_000),
    _ade20k("semantic_fpn_xcit", 16, 6e-5, 80_000),
    _ade20k("upernet_cait", 16, 6e-5, 160_000),
    _ade20k("semantic_fpn_pvt", 32, 2e-4, 40_000),
    _coco("mask_rcnn_1x_pvt", 2e-4, 12, rows=("pvt_t", "pvt_s", "pvt_m")),
    _coco("mask_rcnn_1x_pvt", 2e-4 / 1.4, 12, batch_size=8, rows=("pvt_l",)),
    # XCiT's recipe, in float16; the other sources train in float32
    *(_coco(f"mask_rcnn_1x_{family}", 1e-4, 12, precision="fp16") for family in ("deit", "xcit", "cait")),
    *(_coco(f"mask_rcnn_3x_{family}", 1e-4, 36, precision="fp16") for family in ("deit", "xcit", "cait")),
)
