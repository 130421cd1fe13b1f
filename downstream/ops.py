"""mmcv's compiled operators, or a stand-in for the few that the suite's models need.

mmdet cannot even be imported without ``mmcv._ext``, mmcv ships no wheel that has it, and compiling takes a quarter of
an hour. Mask R-CNN and RetinaNet need three of its operators, which torchvision has; the rest is arithmetic around
them, so that results are mmcv's own: its order of tied scores, its float32 threshold, its box offset. Compiled
operators are used untouched wherever they are there.

The functions below fill the place of mmcv's C++ functions, and so have their signatures and their way of writing into
an argument. Shapes: N boxes or predictions, K RoIs, C channels or classes.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torchvision.ops
from torch import Tensor

EXTENSION = "mmcv._ext"
AVERAGE = 1  # mmcv's code of the pooling mode


def provide_ops() -> str:
    """Make ``mmcv.ops`` importable, and say what computes it: ``compiled`` or ``torchvision``.

    Raises:
        ImportError: there are compiled operators, but they cannot be loaded (built for another torch, say).
        RuntimeError: called too late: mmcv.ops has been imported in part.
    """
    if EXTENSION not in sys.modules:
        try:
            importlib.import_module(EXTENSION)
        except ModuleNotFoundError as error:
            if error.name != EXTENSION:
                raise
            if any(name.startswith("mmcv.ops") for name in sys.modules):
                raise RuntimeError("mmcv.ops was imported without its operators: provide_ops() comes first") from error
            sys.modules[EXTENSION] = StandIn(EXTENSION)
    return "torchvision" if isinstance(sys.modules[EXTENSION], StandIn) else "compiled"


class StandIn(ModuleType):
    """A module that has every operator's name: those below work, any other raises when it is called."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, loader=None)  # mmengine looks for it

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return _OPERATORS.get(name) or _missing(name)


def _missing(name: str) -> Callable[..., Any]:
    def operator(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"this mmcv has no compiled operators, and {name} is none of those that torchvision stands in for (nms, "
            "roi_align with pool_mode='avg', sigmoid_focal_loss): choose a setting that does without it, or build "
            "onedl-mmcv from its source distribution (a quarter of an hour)"
        )

    return operator


def _widen(tensor: Tensor) -> Tensor:
    """bfloat16 and float16 as float32: torchvision's kernels are no better than mmcv's in these."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes that stay, best first.

    Args:
        boxes: (N, 4), x1 y1 x2 y2.
        scores: (N,).
        iou_threshold: a box that overlaps a better one by more goes.
        offset: 1 where x2 and y2 are the last pixel inside, else 0.
    """
    order = scores.sort(descending=True).indices  # mmcv's order of ties; torchvision's own is another one
    boxes = boxes[order].float()
    boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    ranks = torch.arange(len(order), 0, -1, device=boxes.device, dtype=torch.float32)  # strictly falling: no ties left
    kept = torchvision.ops.nms(boxes, ranks, float(np.float32(iou_threshold)))  # mmcv compares with a float32
    return order[kept]


def roi_align_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Average of (B, C, H, W) features in each of the (K, 5) rois, into `output` (K, C, height, width)."""
    _only_average(pool_mode)
    features = _widen(features)
    size = (aligned_height, aligned_width)
    rois = rois.to(features.dtype)
    output.copy_(torch.ops.torchvision.roi_align(features, rois, spatial_scale, *size, max(0, sampling_ratio), aligned))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of `roi_align_forward` with respect to the features, into `grad_input` (B, C, H, W)."""
    _only_average(pool_mode)
    grad_output = _widen(grad_output)
    size, shape = (aligned_height, aligned_width), grad_input.shape
    rois = rois.to(grad_output.dtype)
    backward = torch.ops.torchvision._roi_align_backward
    grad_input.copy_(backward(grad_output, rois, spatial_scale, *size, *shape, max(0, sampling_ratio), aligned))


def _only_average(pool_mode: int) -> None:
    if pool_mode != AVERAGE:
        _missing("roi_align with pool_mode='max'")()


def sigmoid_focal_loss_forward(
    logits: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Focal loss of (N, C) logits for (N,) class numbers, C being background, into `output` (N, C).

    `weight` (C,) is a factor for each target class, or empty.
    """
    output.copy_(_focal_loss(logits, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    logits: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Gradient of `sigmoid_focal_loss_forward` with respect to the logits, into `grad_input` (N, C)."""
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(_focal_loss(leaf, target, weight, gamma, alpha).sum(), leaf)
    grad_input.copy_(gradient)


def _focal_loss(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    classes = torch.arange(logits.shape[1], device=logits.device)
    hot = (target[:, None] == classes).to(_widen(logits).dtype)
    loss = torchvision.ops.sigmoid_focal_loss(_widen(logits), hot, alpha, gamma)
    if weight.numel():
        loss = loss * weight[target.clamp(max=len(weight) - 1), None]  # (mmcv reads past the end for background)
    return loss


def _stand_in_note() -> str:
    return "none (operators through torchvision)"


_OPERATORS: dict[str, Callable[..., Any]] = {
    "nms": nms,
    "roi_align_forward": roi_align_forward,
    "roi_align_backward": roi_align_backward,
    "sigmoid_focal_loss_forward": sigmoid_focal_loss_forward,
    "sigmoid_focal_loss_backward": sigmoid_focal_loss_backward,
    "get_compiler_version": _stand_in_note,  # mmcv's description of the environment asks for these two
    "get_compiling_cuda_version": _stand_in_note,
}
