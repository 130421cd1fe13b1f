"""The boxes of the comparison of lambdas."""

from __future__ import annotations

import numpy as np
from recipes import small_recipe

from experiments.lambda_study import batches, box_within
from experiments.protocols import LambdaStudy
from transmix.sources.folders import read_folders


def test_boxes_keep_to_the_protocol():
    rng, protocol = np.random.default_rng(0), LambdaStudy(min_area=0.2, max_area=0.3)
    areas = [box_within(rng, (64, 64), protocol).area / 64**2 for _ in range(50)]
    assert 0.2 <= min(areas) < max(areas) <= 0.3


def test_a_few_images_are_enough(shared_folders):
    found = list(batches(small_recipe(), read_folders(shared_folders).open("val"), 7, np.random.default_rng(0)))
    assert [len(labels) for _, labels, _ in found] == [7]
