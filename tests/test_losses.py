"""Every family and every method trains to the losses that it always had: see `losses`."""

from __future__ import annotations

import pytest
from losses import STEPS, golden_losses, machine, trained_losses


def test_no_training_loss_has_changed_unnoticed():
    made_on, golden = golden_losses()
    found = dict(trained_losses())
    assert found.keys() == golden.keys()
    assert {len(losses) for losses in found.values()} == {STEPS}
    remedy = "if that is meant, run 'python -m tests.losses' and commit the file"
    for name, losses in found.items():
        if machine() == made_on:  # to the last digit
            assert losses == golden[name], f"losses of {name} differ from tests/golden/losses.txt; {remedy}"
        else:
            expected = pytest.approx([float(loss) for loss in golden[name]], abs=1e-4)
            assert [float(loss) for loss in losses] == expected, f"losses of {name}; {remedy}"
