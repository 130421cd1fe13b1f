"""The stand-in for mmcv's operators, against slow loops and, where they are installed, against the compiled ones."""

from __future__ import annotations

import importlib
import math
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from downstream import ops

EMPTY = torch.empty(0)
FLT_MIN = float(np.finfo(np.float32).tiny)


def loop_nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, offset: int) -> list[int]:
    """mmcv's nms_cpu, in float32 throughout."""
    one, threshold = np.float32(offset), np.float32(iou_threshold)
    array = boxes.numpy().astype(np.float32)
    order = scores.sort(descending=True).indices.tolist()
    kept: list[int] = []
    for i in order:
        suppressed = False
        for j in kept:
            a, b = array[j], array[i]
            width = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]) + one)
            height = max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1]) + one)
            shared = width * height
            areas = [(box[2] - box[0] + one) * (box[3] - box[1] + one) for box in (a, b)]
            suppressed |= bool(shared / (areas[0] + areas[1] - shared) > threshold)
        if not suppressed:
            kept.append(i)
    return kept


def random_boxes(generator: torch.Generator, count: int, whole: bool) -> torch.Tensor:
    corner = torch.rand(count, 2, generator=generator) * 20
    boxes = torch.cat([corner, corner + 1 + torch.rand(count, 2, generator=generator) * 15], dim=1)
    return boxes.round() if whole else boxes


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("whole", [False, True])  # whole pixels: overlaps that lie exactly on a threshold
@pytest.mark.parametrize("tied", [False, True])
def test_nms_is_mmcvs_loop(offset, whole, tied):
    generator = torch.Generator().manual_seed(0)
    for threshold in (0.3, 0.5, 0.7):
        for _ in range(10):
            boxes = random_boxes(generator, 40, whole)
            scores = torch.rand(40, generator=generator)
            scores = (scores * 4).round() / 4 if tied else scores
            assert ops.nms(boxes, scores, threshold, offset).tolist() == loop_nms(boxes, scores, threshold, offset)


def test_nms_on_the_threshold_in_float32():
    """An overlap of exactly float32(0.3), which is above 0.3: kept by a float32 comparison, as mmcv's is."""
    boxes, scores = torch.tensor([[0.0, 0, 10, 10], [0, 0, 3, 10]]), torch.tensor([0.9, 0.8])
    assert ops.nms(boxes, scores, 0.3, 0).tolist() == [0, 1]
    assert ops.nms(boxes, scores, 0.29, 0).tolist() == [0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_nms_takes_any_float(dtype):
    boxes = torch.tensor([[0, 0, 8, 8], [1, 0, 8, 8], [20, 20, 30, 30]], dtype=dtype)
    assert ops.nms(boxes, torch.tensor([0.5, 0.75, 0.25], dtype=dtype), 0.5, 0).tolist() == [1, 2]


def test_nms_of_nothing():
    assert ops.nms(torch.empty(0, 4), EMPTY, 0.5, 0).tolist() == []


def bilinear(plane: torch.Tensor, y: float, x: float) -> torch.Tensor:
    """A value between pixels; nothing beyond one pixel outside."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return plane.new_zeros(())
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    return (
        (1 - dy) * (1 - dx) * plane[top, left]
        + (1 - dy) * dx * plane[top, right]
        + dy * (1 - dx) * plane[bottom, left]
        + dy * dx * plane[bottom, right]
    )


def loop_roi_align(features, rois, size, scale, sampling_ratio, aligned):
    """One bilinear sample after the other, averaged over each bin."""
    output = []
    shift = 0.5 if aligned else 0.0
    for index, *corners in rois.tolist():
        x1, y1, x2, y2 = (value * scale - shift for value in corners)
        height, width = y2 - y1, x2 - x1
        if not aligned:
            height, width = max(height, 1.0), max(width, 1.0)
        bin_height, bin_width = height / size, width / size
        rows = sampling_ratio or math.ceil(bin_height)
        columns = sampling_ratio or math.ceil(bin_width)
        for plane in features[int(index)]:
            for i in range(size):
                for j in range(size):
                    ys = [y1 + (i + (r + 0.5) / rows) * bin_height for r in range(rows)]
                    xs = [x1 + (j + (c + 0.5) / columns) * bin_width for c in range(columns)]
                    values = [bilinear(plane, y, x) for y in ys for x in xs]
                    output.append(torch.stack(values).sum() / max(rows * columns, 1))
    return torch.stack(output).view(len(rois), features.shape[1], size, size)


ROIS = torch.tensor([[0, 1.3, 2.1, 9.7, 11.2], [1, -3, -2, 6, 5.5], [0, 8, 3, 19, 22.5]])


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_roi_align_is_the_mean_of_samples(aligned, sampling_ratio):
    torch.manual_seed(0)
    features = torch.randn(2, 2, 9, 8, dtype=torch.float64, requires_grad=True)
    expected = loop_roi_align(features, ROIS.double(), 3, 0.5, sampling_ratio, aligned)
    weights = torch.randn_like(expected)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), features)
    settings = (3, 3, 0.5, sampling_ratio, ops.AVERAGE, aligned)
    output, gradient = torch.zeros_like(expected), torch.zeros_like(features)
    with torch.no_grad():
        ops.roi_align_forward(features, ROIS, output, EMPTY, EMPTY, *settings)
        ops.roi_align_backward(weights, ROIS, EMPTY, EMPTY, gradient, *settings)
    torch.testing.assert_close(output, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-6, atol=1e-6)


def test_roi_align_in_bfloat16_is_float32_rounded():
    torch.manual_seed(0)
    features = torch.randn(2, 2, 9, 8).bfloat16()
    settings = (3, 3, 0.5, 0, ops.AVERAGE, True)
    output, exact = torch.zeros(3, 2, 3, 3).bfloat16(), torch.zeros(3, 2, 3, 3)
    ops.roi_align_forward(features, ROIS, output, EMPTY, EMPTY, *settings)
    ops.roi_align_forward(features.float(), ROIS, exact, EMPTY, EMPTY, *settings)
    torch.testing.assert_close(output, exact.bfloat16(), rtol=0, atol=0)


def test_the_maximum_is_not_answered_with_the_mean():
    output = torch.zeros(3, 2, 3, 3)
    with pytest.raises(NotImplementedError, match="pool_mode='max'"):
        ops.roi_align_forward(torch.zeros(2, 2, 9, 8), ROIS, output, EMPTY, EMPTY, 3, 3, 0.5, 0, 0, True)


@pytest.mark.parametrize("weighted", [False, True])
def test_focal_loss_is_mmcvs_formula(weighted):
    """Loss and gradient as mmcv's kernels spell them out, logit by logit; class 3 of 3 is background."""
    torch.manual_seed(0)
    gamma, alpha = 2.0, 0.25
    logits, target = 4 * torch.randn(6, 3), torch.tensor([0, 1, 2, 3, 1, 0])
    weight = torch.tensor([0.5, 1.0, 2.0]) if weighted else EMPTY
    rows = slice(0, 3) if weighted else slice(None)  # mmcv has no weight for background
    logits, target = logits[rows], target[rows]
    loss, gradient = torch.zeros_like(logits), torch.zeros_like(logits)
    ops.sigmoid_focal_loss_forward(logits, target, weight, loss, gamma, alpha)
    ops.sigmoid_focal_loss_backward(logits, target, weight, gradient, gamma, alpha)
    for n, label in enumerate(target.tolist()):
        factor = weight[label].item() if weighted else 1.0
        for c in range(3):
            p = 1 / (1 + math.exp(-logits[n, c].item()))
            log_p, log_q = math.log(max(p, FLT_MIN)), math.log(max(1 - p, FLT_MIN))
            if label == c:
                value = -alpha * (1 - p) ** gamma * log_p
                slope = -alpha * (1 - p) ** gamma * (1 - p - gamma * p * log_p)
            else:
                value = -(1 - alpha) * p**gamma * log_q
                slope = -(1 - alpha) * p**gamma * (gamma * (1 - p) * log_q - p)
            assert loss[n, c].item() == pytest.approx(factor * value, rel=1e-4, abs=1e-7)
            assert gradient[n, c].item() == pytest.approx(factor * slope, rel=1e-4, abs=1e-7)


@pytest.fixture
def without_operators(monkeypatch):
    """As in a fresh process: neither mmcv's operators nor anything made of them."""
    for name in [name for name in sys.modules if name.startswith((ops.EXTENSION, "mmcv.ops"))]:
        monkeypatch.delitem(sys.modules, name)

    def install(error_or_module):
        def find(name):
            if isinstance(error_or_module, Exception):
                raise error_or_module
            sys.modules[name] = error_or_module

        monkeypatch.setattr(importlib, "import_module", find)

    yield install
    sys.modules.pop(ops.EXTENSION, None)  # before monkeypatch puts back what was there


def missing(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_compiled_operators_are_left_alone(without_operators):
    compiled = ModuleType(ops.EXTENSION)
    without_operators(compiled)
    assert ops.provide_ops() == "compiled"
    assert sys.modules[ops.EXTENSION] is compiled
    assert ops.provide_ops() == "compiled"


def test_a_stand_in_where_there_are_none(without_operators):
    without_operators(missing(ops.EXTENSION))
    assert ops.provide_ops() == ops.provide_ops() == "torchvision"
    extension = sys.modules[ops.EXTENSION]
    assert extension.nms is ops.nms
    with pytest.raises(NotImplementedError, match=r"deform_conv_forward is none .* source distribution"):
        extension.deform_conv_forward()
    assert not hasattr(extension, "__path__")


@pytest.mark.parametrize("error", [ImportError("undefined symbol: _ZN2at4_ops"), missing("mmcv")])
def test_a_broken_build_is_not_hidden(without_operators, error):
    without_operators(error)
    with pytest.raises(ImportError) as caught:
        ops.provide_ops()
    assert caught.value is error
    assert ops.EXTENSION not in sys.modules


def test_too_late_is_said(without_operators, monkeypatch):
    without_operators(missing(ops.EXTENSION))
    monkeypatch.setitem(sys.modules, "mmcv.ops", ModuleType("mmcv.ops"))
    with pytest.raises(RuntimeError, match="provide_ops"):
        ops.provide_ops()


def test_equal_to_the_compiled_operators():
    """Ties, thresholds and rounding as in the build itself."""
    extension = pytest.importorskip("mmcv._ext", reason="this mmcv has no compiled operators")
    if isinstance(extension, ops.StandIn):
        pytest.skip("this mmcv has no compiled operators")
    generator = torch.Generator().manual_seed(0)
    for whole in (False, True):
        for threshold in (0.3, 0.5, 0.7):
            boxes = random_boxes(generator, 200, whole)
            scores = (torch.rand(200, generator=generator) * 20).round() / 20
            expected = extension.nms(boxes, scores, iou_threshold=threshold, offset=0)
            assert ops.nms(boxes, scores, threshold, 0).tolist() == expected.tolist()
    features, settings = torch.randn(2, 2, 9, 8, generator=generator), (3, 3, 0.5, 0, ops.AVERAGE, True)
    ours, theirs = torch.zeros(3, 2, 3, 3), torch.zeros(3, 2, 3, 3)
    ops.roi_align_forward(features, ROIS, ours, EMPTY, EMPTY, *settings)
    extension.roi_align_forward(features, ROIS, theirs, EMPTY, EMPTY, *settings)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
