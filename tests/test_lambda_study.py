"""The true share of a mixture, by counting pixels."""

from __future__ import annotations

import numpy as np
import torch

from experiments.lambda_study import box_within, true_share
from experiments.protocols import LambdaStudy
from transmix.labels import Box
from transmix.mixing import cutmix


def test_true_share_counts_the_object_pixels_that_can_be_seen():
    objects = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.6
    box = Box(2, 6, 1, 8)
    mix = cutmix(torch.zeros(5, 3, 8, 8), box)
    for i, share in enumerate(true_share(objects, mix).tolist()):
        own = partner = 0
        for y in range(8):
            for x in range(8):
                inside = box.y1 <= y < box.y2 and box.x1 <= x < box.x2
                own += bool(objects[i, y, x]) and not inside
                partner += bool(objects[4 - i, y, x]) and inside
        assert share == partner / (own + partner) or abs(share - partner / (own + partner)) < 1e-6


def test_no_object_in_sight_is_not_a_number():
    assert (
        true_share(torch.zeros(2, 4, 4, dtype=torch.bool), cutmix(torch.zeros(2, 3, 4, 4), Box(0, 2, 0, 2)))
        .isnan()
        .all()
    )


def test_boxes_keep_to_the_protocol():
    rng, protocol = np.random.default_rng(0), LambdaStudy(min_area=0.2, max_area=0.3)
    areas = [box_within(rng, (64, 64), protocol).area / 64**2 for _ in range(50)]
    assert 0.2 <= min(areas) < max(areas) <= 0.3
