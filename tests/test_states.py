"""A saved state that is damaged, or of something else, is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_runs import trainer

from transmix.common.errors import UserError
from transmix.training.checkpoints import load_state, save_state
from transmix.training.loop import STATE


def test_a_state_of_another_recipe_is_refused(shared_folders, tmp_path):
    trainer(shared_folders, tmp_path).save()
    with pytest.raises(UserError, match="made by another recipe"):
        trainer(shared_folders, tmp_path, lr=5e-4)


def test_a_state_of_an_older_version_is_refused(shared_folders, tmp_path):
    """It lacks what the rest of the run must report."""
    trainer(shared_folders, tmp_path).save()
    torch.save(load_state(tmp_path / STATE) | {"format": 1}, tmp_path / STATE)
    with pytest.raises(UserError, match=r"state\.pt has another format: start this run afresh with --restart"):
        trainer(shared_folders, tmp_path)


@pytest.mark.parametrize("damage", [lambda data: data[:500], lambda data: b"", lambda data: b"text" * 99])
def test_a_corrupted_state_is_named(shared_folders, tmp_path, damage):
    trainer(shared_folders, tmp_path).save()
    (tmp_path / STATE).write_bytes(damage((tmp_path / STATE).read_bytes()))
    with pytest.raises(UserError, match=r"state\.pt is not readable: start this run afresh with --restart"):
        trainer(shared_folders, tmp_path)


def test_one_flipped_bit_of_a_state_is_noticed(shared_folders, tmp_path):
    """At 200 places all over the file; where nothing lies but padding, the state is the one that was written."""
    trainer(shared_folders, tmp_path).save()
    path = tmp_path / STATE
    whole, data = load_state(path), path.read_bytes()
    noticed, rng = 0, np.random.default_rng(0)
    for place in [*rng.integers(len(data), size=150), *range(len(data) - 500, len(data), 10)]:
        path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        try:
            found = load_state(path)
        except UserError:
            noticed += 1
            continue
        assert equal(found, whole)
    assert noticed > 150


def equal(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": -5}, "epoch is -5, the run has 3"),
        ({"epoch": 99}, "epoch is 99, the run has 3"),
        ({"batch": 99}, "batch is 99, the run has 3"),
        ({"batch": "1"}, "batch is '1'"),
        ({"seconds": float("nan")}, "nan seconds"),
        ({"history": [{}]}, "history is 1, the run has 0"),
        ({"history": None}, "has no len"),
        ({"epoch": 1, "history": [{"epoch": 7}]}, "1 lines of history"),
        ({"epoch": 3, "history": [{"epoch": number} for number in range(3)]}, "the last epoch was not evaluated"),
        ({"model": {}}, "Missing key"),
        ({"optimisation": {}}, "optimizer"),
        ({"sums": torch.zeros(1, 2)}, "does not fit this run"),
        ({"sums": 3}, "does not fit this run"),
    ],
)
def test_a_state_that_does_not_fit_is_one_line(shared_folders, tmp_path, change, message):
    trainer(shared_folders, tmp_path).save()
    save_state(tmp_path / STATE, load_state(tmp_path / STATE) | change)
    with pytest.raises(UserError) as caught:
        trainer(shared_folders, tmp_path)
    assert message in str(caught.value)
    assert str(caught.value).endswith("start this run afresh with --restart")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["identity", "epoch", "batch", "model", "optimisation", "sums", "history", "seconds"])
def test_a_state_that_lacks_something_is_one_line(shared_folders, tmp_path, name):
    trainer(shared_folders, tmp_path).save()
    state = load_state(tmp_path / STATE)
    del state[name]
    save_state(tmp_path / STATE, state)
    with pytest.raises(UserError, match="start this run afresh with --restart"):
        trainer(shared_folders, tmp_path)


def test_moments_of_other_shapes_are_one_line(shared_folders, tmp_path):
    run = trainer(shared_folders, tmp_path)
    for group in run.optimisation.optimizer.param_groups:
        for parameter in group["params"]:
            zero = torch.zeros_like(parameter)
            run.optimisation.optimizer.state[parameter] = {
                "step": torch.tensor(1.0),
                "exp_avg": zero,
                "exp_avg_sq": zero,
            }
    run.save()
    state = load_state(tmp_path / STATE)
    state["optimisation"]["optimizer"]["state"][0]["exp_avg"] = torch.zeros(3)
    save_state(tmp_path / STATE, state)
    with pytest.raises(UserError, match=r"exp_avg has shape \(3,\), its parameter"):
        trainer(shared_folders, tmp_path)
