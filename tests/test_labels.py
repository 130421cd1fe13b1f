"""The label rule against the reference implementation's outputs and against slow, obvious loops."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import torch

from transmix.labels import (
    Box,
    area_share,
    attention_share,
    box_mask,
    mixed_targets,
    object_share,
    pasted_share,
    pasted_tokens,
    token_mask,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "transmix_reference.json").read_text())["cases"]
BOXES = [Box(0, 64, 0, 64), Box(10, 11, 20, 21), Box(8, 24, 16, 48), Box(3, 50, 0, 17), Box(5, 5, 7, 30)]


def slow_token_mask(box: Box, image_size: tuple[int, int], grid: tuple[int, int]) -> list[float]:
    """Paint the box pixel by pixel, then look at the top-left pixel of every patch."""
    height, width = image_size
    painted = [[0.0] * width for _ in range(height)]
    for y in range(box.y1, box.y2):
        for x in range(box.x1, box.x2):
            painted[y][x] = 1.0
    rows, columns = grid
    return [painted[r * height // rows][c * width // columns] for r in range(rows) for c in range(columns)]


def slow_targets(labels, partners, lams, classes, smoothing):
    rows = []
    for own, partner, lam in zip(labels, partners, lams, strict=True):
        row = []
        for k in range(classes):
            one = smoothing / classes + (1 - smoothing if k == own else 0)
            other = smoothing / classes + (1 - smoothing if k == partner else 0)
            row.append((1 - lam) * one + lam * other)
        rows.append(row)
    return rows


@pytest.mark.parametrize("case", GOLDEN, ids=range(len(GOLDEN)))
def test_equals_the_reference_implementation(case):
    size, side = case["image_size"], case["image_size"] // case["patch_size"]
    box, labels = Box(*case["box_y1_y2_x1_x2"]), torch.tensor(case["labels"])
    mask = token_mask(box, (size, size), (side, side))
    area, attention = area_share(box, (size, size)), torch.tensor(case["attention"])
    assert mask.tolist() == case["token_mask"]
    assert area == pytest.approx(case["lam_area_replaced"], abs=1e-9)
    share = attention_share(attention, mask)
    torch.testing.assert_close(share, torch.tensor(case["lam_attention_replaced"]), atol=1e-5, rtol=0)
    for lam, name in ((area, "target_cutmix"), (pasted_share(area, attention, mask), "target_transmix")):
        targets = mixed_targets(labels, labels.flip(0), lam, case["num_classes"], case["smoothing"])
        torch.testing.assert_close(targets, torch.tensor(case[name]), atol=1e-5, rtol=0)


def test_there_are_24_reference_cases():
    assert len(GOLDEN) == 24


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(("image_size", "grid"), [((64, 64), (8, 8)), ((64, 96), (4, 12)), ((70, 66), (7, 6))])
def test_token_mask_equals_the_pixel_loop(box, image_size, grid):
    assert token_mask(box, image_size, grid).tolist() == slow_token_mask(box, image_size, grid)


def test_attention_share_equals_the_patch_loop():
    generator = torch.Generator().manual_seed(0)
    attention, mask = torch.rand(5, 12, generator=generator), (torch.rand(12, generator=generator) > 0.5).float()
    expected = [sum(a * m for a, m in zip(row, mask, strict=True)) / sum(row) for row in attention]
    torch.testing.assert_close(attention_share(attention, mask), torch.stack(expected))
    scaled = attention_share(0.1 * attention, mask)  # what the class token pays to itself is nobody's
    torch.testing.assert_close(scaled, torch.stack(expected))


def test_a_mask_may_differ_from_image_to_image():
    attention, masks = torch.rand(3, 4), torch.eye(3, 4)
    expected = torch.stack([attention_share(attention[i : i + 1], masks[i])[0] for i in range(3)])
    torch.testing.assert_close(attention_share(attention, masks), expected)


def test_mixed_targets_equal_the_class_loop():
    labels, partners, lams = [0, 3, 2], [1, 3, 0], [0.25, 0.7, 1.0]
    targets = mixed_targets(torch.tensor(labels), torch.tensor(partners), torch.tensor(lams), 5, 0.1)
    torch.testing.assert_close(targets, torch.tensor(slow_targets(labels, partners, lams, 5, 0.1)))
    torch.testing.assert_close(targets.sum(1), torch.ones(3))


def test_uniform_attention_and_an_aligned_box_are_exactly_cutmix():
    box, labels = Box(8, 40, 16, 64), torch.tensor([0, 1, 2, 3])
    mask, area = token_mask(box, (64, 64), (8, 8)), area_share(box, (64, 64))
    for rule in ("mean", "attention"):
        lam = pasted_share(area, torch.full((4, 64), 1 / 64), mask, rule)
        targets = mixed_targets(labels, labels.flip(0), lam, 10)
        assert torch.equal(targets, mixed_targets(labels, labels.flip(0), area, 10))


@pytest.mark.parametrize("rule", ["mean", "attention"])
def test_no_attention_at_all_falls_back_to_the_area(rule):
    mask = token_mask(Box(0, 5, 0, 5), (16, 16), (4, 4))
    attention = torch.stack([torch.zeros(16), torch.ones(16)])
    lam = pasted_share(0.1, attention, mask, rule)
    assert lam[0].item() == pytest.approx(0.1)
    assert lam[1].item() != pytest.approx(0.1)
    assert attention_share(attention, mask)[0] == mask.mean()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_gives_float32_without_gradient(dtype):
    attention = torch.rand(2, 16, dtype=dtype, requires_grad=True)
    mask = token_mask(Box(0, 8, 0, 8), (16, 16), (4, 4))
    share = attention_share(attention, mask)
    assert share.dtype == torch.float32
    assert not share.requires_grad
    torch.testing.assert_close(share, attention_share(attention.float(), mask), atol=1e-6, rtol=0)


def test_an_unknown_rule_is_an_error():
    with pytest.raises(ValueError, match="one of area, attention, mean"):
        pasted_share(0.5, None, None, "medium")


def test_public_signatures_stay():
    assert list(inspect.signature(token_mask).parameters)[:3] == ["box", "image_size", "grid"]
    assert list(inspect.signature(attention_share).parameters)[:2] == ["attention", "mask"]
    names = ["labels", "partner_labels", "lam", "num_classes", "smoothing"]
    assert list(inspect.signature(mixed_targets).parameters) == names


def test_the_true_share_counts_the_object_pixels_that_can_be_seen():
    objects = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.6
    box, partner = Box(2, 6, 1, 8), torch.tensor([4, 3, 2, 1, 0])
    for i, share in enumerate(object_share(objects, partner, box).tolist()):
        own = pasted = 0
        for y in range(8):
            for x in range(8):
                inside = box.y1 <= y < box.y2 and box.x1 <= x < box.x2
                own += bool(objects[i, y, x]) and not inside
                pasted += bool(objects[4 - i, y, x]) and inside
        assert share == pytest.approx(pasted / (own + pasted))


def test_true_shares_by_a_mask_for_each_image():
    generator = torch.Generator().manual_seed(1)
    objects, pasted = torch.rand(2, 5, 8, 8, generator=generator) > 0.5
    partner = torch.tensor([1, 2, 3, 4, 0])
    for i, share in enumerate(object_share(objects, partner, pasted).tolist()):
        seen = (objects[i] & ~pasted[i]).sum().item(), (objects[partner[i]] & pasted[i]).sum().item()
        assert share == pytest.approx(seen[1] / sum(seen))
    box = Box(2, 6, 1, 8)
    by_mask = object_share(objects, partner, box_mask(box, (8, 8)).expand(5, -1, -1))
    assert torch.equal(by_mask, object_share(objects, partner, box))


@pytest.mark.parametrize(("image_size", "grid"), [((64, 64), (8, 8)), ((64, 96), (4, 12)), ((70, 66), (7, 6))])
def test_the_top_left_pixel_of_a_patch_decides_whatever_the_mask(image_size, grid):
    pasted = torch.rand(3, *image_size, generator=torch.Generator().manual_seed(2)) > 0.5
    (height, width), (rows, columns) = image_size, grid
    expected = [
        [float(mask[r * height // rows, c * width // columns]) for r in range(rows) for c in range(columns)]
        for mask in pasted
    ]
    assert pasted_tokens(pasted, grid).tolist() == expected


def test_no_object_in_sight_is_not_a_number():
    nothing = torch.zeros(2, 4, 4, dtype=torch.bool)
    assert object_share(nothing, torch.tensor([1, 0]), Box(0, 2, 0, 2)).isnan().all()
