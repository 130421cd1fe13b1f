"""TransMixTask: what a training step computes, against the pieces it is made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_attention import explicit, small_vit
from timm.task import ClassificationTask

from transmix import TransMixTask
from transmix.labels import Box, area_share, mixed_targets, pasted_share, token_mask
from transmix.mixing import MixPolicy, cutmix, mixup

LABELS = torch.tensor([0, 3, 5, 6])


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_it_is_a_timm_task(images):
    task = TransMixTask(small_vit(), 7)
    assert isinstance(task, ClassificationTask)
    result = task(images, LABELS)
    result["loss"].backward()
    assert result["output"].shape == (4, 7)


@pytest.mark.parametrize("rule", ["area", "attention", "mean"])
def test_a_cutmix_step_uses_the_attention_of_its_own_forward_pass(images, rule):
    model = small_vit().train()
    box = Box(4, 20, 8, 32)
    mix, mask = cutmix(images, box), token_mask(box, (32, 32), (4, 4))
    lam = pasted_share(area_share(box, (32, 32)), explicit(model, mix.images), mask, rule)
    targets = mixed_targets(LABELS, LABELS.flip(0), lam, 7, 0.1)
    expected = -(targets * model(mix.images).log_softmax(-1)).sum(-1).mean()
    result = TransMixTask(model, 7, rule)(images, LABELS, mix=mix)
    torch.testing.assert_close(result["targets"], targets, atol=1e-5, rtol=0)
    torch.testing.assert_close(result["loss"], expected, atol=1e-5, rtol=0)
    assert not result["targets"].requires_grad


def test_the_rules_differ_where_attention_is_not_uniform(images):
    model, mix = small_vit(), cutmix(images, Box(4, 20, 8, 32))
    lams = {rule: TransMixTask(model, 7, rule)(images, LABELS, mix=mix)["lam"] for rule in ("area", "mean")}
    assert torch.equal(lams["area"], mix.lam)
    assert lams["mean"].std() > 1e-3  # one lambda an image, not one a batch
    assert (lams["mean"] - mix.lam).abs().max() > 0.01


def test_mixup_keeps_its_pixel_lambda(images):
    result = TransMixTask(small_vit(), 7, "mean")(images, LABELS, mix=mixup(images, 0.3))
    torch.testing.assert_close(result["targets"], mixed_targets(LABELS, LABELS.flip(0), 0.3, 7))


def test_baseline_and_transmix_draw_the_same_mixes(images):
    runs = {}
    for rule in ("area", "mean"):
        task = TransMixTask(small_vit(), 7, rule, rng=np.random.default_rng(5))
        runs[rule] = [task(images, LABELS)["mix"] for _ in range(8)]
    for one, other in zip(runs["area"], runs["mean"], strict=True):
        assert torch.equal(one.lam, other.lam)
        assert torch.equal(one.images, other.images)


def test_nothing_is_mixed_in_eval_mode(images):
    task = TransMixTask(small_vit(), 7).eval()
    result = task(images, LABELS)
    assert torch.equal(result["mix"].images, images)
    torch.testing.assert_close(result["targets"], mixed_targets(LABELS, LABELS, 0.0, 7))


def test_an_odd_batch_and_a_wide_grid(images):
    model = small_vit(img_size=(16, 64))
    wide = torch.randn(3, 3, 16, 64)
    result = TransMixTask(model, 7)(wide, LABELS[:3], mix=cutmix(wide, Box(0, 16, 32, 64)))
    mask = torch.tensor([[0.0] * 4 + [1.0] * 4] * 2).flatten()
    torch.testing.assert_close(result["lam"], pasted_share(0.5, explicit(model, result["mix"].images), mask))


def test_a_grid_that_does_not_fit_is_named(images):
    task = TransMixTask(small_vit(), 7, grid=(8, 8))
    with pytest.raises(ValueError, match=r"16 patch tokens, the grid given is \(8, 8\)"):
        task(images, LABELS, mix=cutmix(images, Box(0, 8, 0, 8)))


def test_compiled_it_gives_the_same_loss(images):
    mix = cutmix(images, Box(4, 20, 8, 32))
    plain = TransMixTask(small_vit(), 7)(images, LABELS, mix=mix)["loss"]
    task = TransMixTask(small_vit(), 7)
    task.compile(backend="eager")
    torch.testing.assert_close(task(images, LABELS, mix=mix)["loss"], plain)


def test_any_model_can_be_a_baseline():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 7))
    result = TransMixTask(model, 7, "area", MixPolicy(mixup_alpha=0))(torch.randn(4, 3, 8, 8), LABELS)
    assert torch.isfinite(result["loss"])
