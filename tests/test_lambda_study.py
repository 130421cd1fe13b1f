"""The comparison of lambdas: its boxes, and how far labels move."""

from __future__ import annotations

import numpy as np
import pytest
from recipes import small_recipe

from experiments.lambda_study import batches, box_within, label_shift
from experiments.protocols import LambdaStudy
from transmix.data.sources.folders import read_folders


def test_boxes_keep_to_the_protocol():
    rng, protocol = np.random.default_rng(0), LambdaStudy(min_area=0.2, max_area=0.3)
    areas = [box_within(rng, (64, 64), protocol).area / 64**2 for _ in range(50)]
    assert 0.2 <= min(areas) < max(areas) <= 0.3


def test_a_few_images_are_enough(shared_folders):
    found = list(batches(small_recipe().view, read_folders(shared_folders).open("val"), 7, np.random.default_rng(0)))
    assert [len(batch.labels) for batch in found] == [7]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("area", 0.0), ("mean", (0.1 + 0.2) / 2), ("attention", (0.2 + 0.4) / 2), ("oracle", (0.3 + 0.0) / 2)],
)
def test_the_label_shift_is_that_of_the_rule_that_labels(rule, expected):
    lam = {"area": [0.5, 0.5], "mean": [0.6, 0.3], "attention": [0.7, 0.1], "true": [0.2, np.nan]}
    assert label_shift({f"lam_{name}": np.array(values) for name, values in lam.items()}, rule) == pytest.approx(
        expected
    )
