"""check-paper's downstream part: what it covers, what it finds wrong, and one configuration from end to end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from downstream.check_configs import judge, part
from downstream.openmmlab import config_names
from downstream.rehearsal import Rehearsal
from transmix.common.errors import UserError

GOOD = Rehearsal(1, {"loss": 1.0}, (), (), {0: 1e-6, 1500: 1e-3, 80_000: 5e-4, 159_999: 0.0}, "torchvision")


def test_every_configuration_is_checked():
    assert sorted(part(False).checks) == config_names()


def test_a_configuration_is_checked_as_it_is():
    line = part(False).checks["ade20k/segmenter_linear_deit"]()
    assert line.split()[:2] == ["ade20k/segmenter_linear_deit", "22.0"]
    assert "0.001 0.000992 0.000541 1e-05" in line


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"losses": {"loss_cls": float("nan")}}, "loss_cls is nan"),
        ({"without_gradient": ("a", "b", "c", "d")}, "no gradient reaches a, b, c$"),
        ({"learning_rates": {0: 1e-6, 1500: 6e-5, 80_000: 8e-5, 159_999: 1e-4}}, "does not fall"),
        ({"learning_rates": {0: 1e-4, 1500: 1e-4, 80_000: 1e-4, 159_999: 1e-4}}, "does not fall"),
    ],
)
def test_what_is_wrong_is_said(wrong, message):
    judge(GOOD)
    with pytest.raises(UserError, match=message):
        judge(replace(GOOD, **wrong))
