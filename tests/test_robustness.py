"""PatchDrop against loops over patches and pixels, and the counts that were published."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robustness.patches import drop_patches, dropped_count, random_patches


def test_counts_are_the_published_ones():
    assert [dropped_count(196, tenths) for tenths in range(10)] == [0, 19, 39, 58, 78, 98, 117, 137, 156, 176]
    assert [dropped_count(64, tenths) for tenths in range(10)] == [0, 6, 12, 19, 25, 32, 38, 44, 51, 57]


def test_exactly_the_masked_patches_turn_black():
    images = torch.rand(2, 3, 8, 12) + 0.1
    mask = random_patches(np.random.default_rng(0), (2, 3), 4)
    dropped = drop_patches(images, mask)
    for y in range(8):
        for x in range(12):
            expected = torch.zeros(2, 3) if mask[y // 4, x // 4] else images[:, :, y, x]
            assert torch.equal(dropped[:, :, y, x], expected)
    assert (images > 0).all()


def test_masks_may_differ_from_image_to_image():
    images = torch.randint(1, 256, (2, 3, 4, 4), dtype=torch.uint8)
    masks = torch.tensor([[[True, False], [False, False]], [[False, False], [False, True]]])
    dropped = drop_patches(images, masks)
    for i in range(2):
        assert torch.equal(dropped[i], drop_patches(images[i : i + 1], masks[i])[0])


@pytest.mark.parametrize("count", [0, 5, 64])
def test_the_asked_number_of_patches_is_drawn(count):
    masks = [random_patches(np.random.default_rng(seed), (8, 8), count) for seed in range(20)]
    assert {int(mask.sum()) for mask in masks} == {count}
    if count == 5:
        assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 20
        drawn = torch.stack(masks).sum(0)
        assert drawn.max() < 8  # no patch is a favourite


def test_an_image_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="9 x 8 image does not divide into 2 x 2 patches"):
        drop_patches(torch.zeros(1, 3, 9, 8), torch.zeros(2, 2, dtype=torch.bool))
