"""The operators that stand in for mmcv's, beside torchvision's own and, where they are there, mmcv's compiled ones."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
import torchvision.ops
from torch import Tensor

from benchmarks.rows import Row, clock_for, ratio, turns
from downstream import ops

SAME = 1.25  # goal: what is around torchvision's operators costs little
COMPILED = 1.25  # goal: and mmcv's own are not much faster


def rows(boxes: int, rounds: int, device: torch.device) -> list[Row]:
    """Non-maximum suppression and RoIAlign, forward and backward, on made-up boxes.

    Args:
        boxes: how many are suppressed, and an eighth of them pooled.
        rounds: how often each takes its turn.
        device: that computes.
    """
    compiled = sys.modules[ops.EXTENSION] if ops.provide_ops() == "compiled" else None
    found, where = [], f"{boxes:,} boxes"
    for name, (ours, theirs, mmcvs) in {
        "nms": _nms(boxes, device),
        "roi_align": _roi_align(boxes // 8, device),
    }.items():
        works: dict[str, Callable[[], object]] = {"ours": ours, "torchvision": theirs}
        if compiled is not None:
            works["mmcv"] = lambda mmcvs=mmcvs: mmcvs(compiled)
        taken = turns(works, rounds, clock_for(device))
        found.append(ratio(f"stand-in / torchvision, {name}", where, taken["ours"], taken["torchvision"], SAME))
        if compiled is not None:
            found.append(ratio(f"stand-in / compiled mmcv, {name}", where, taken["ours"], taken["mmcv"], COMPILED))
    return found


def _boxes(count: int, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    corners = 800 * torch.rand(count, 2, generator=generator)
    return torch.cat([corners, corners + 8 + 200 * torch.rand(count, 2, generator=generator)], 1).to(device)


def _nms(count: int, device: torch.device):
    boxes, scores = _boxes(count, device), torch.rand(count, generator=torch.Generator().manual_seed(1)).to(device)
    return (
        lambda: ops.nms(boxes, scores, 0.5, 0),
        lambda: torchvision.ops.nms(boxes, scores, 0.5),
        lambda mmcv: mmcv.nms(boxes, scores, iou_threshold=0.5, offset=0),
    )


def _roi_align(count: int, device: torch.device):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 256, 64, 64, generator=generator).to(device)
    rois = torch.cat([torch.zeros(count, 1, device=device), _boxes(count, device)], 1)
    output, nothing = torch.empty(count, 256, 7, 7, device=device), torch.empty(0, device=device)
    gradient = torch.empty_like(features)
    size = {"aligned_height": 7, "aligned_width": 7, "spatial_scale": 1 / 16, "sampling_ratio": 2}

    def both(module) -> None:
        module.roi_align_forward(features, rois, output, nothing, nothing, **size, pool_mode=ops.AVERAGE, aligned=True)
        gradient.zero_()
        module.roi_align_backward(output, rois, nothing, nothing, gradient, **size, pool_mode=ops.AVERAGE, aligned=True)

    def torchvisions() -> None:
        leaf = features.detach().requires_grad_()
        pooled = torchvision.ops.roi_align(leaf, rois, (7, 7), 1 / 16, 2, True)
        pooled.backward(pooled.detach())

    return lambda: both(ops), torchvisions, both
