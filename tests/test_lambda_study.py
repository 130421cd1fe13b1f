"""The boxes of the comparison of lambdas."""

from __future__ import annotations

import numpy as np

from experiments.lambda_study import box_within
from experiments.protocols import LambdaStudy


def test_boxes_keep_to_the_protocol():
    rng, protocol = np.random.default_rng(0), LambdaStudy(min_area=0.2, max_area=0.3)
    areas = [box_within(rng, (64, 64), protocol).area / 64**2 for _ in range(50)]
    assert 0.2 <= min(areas) < max(areas) <= 0.3
