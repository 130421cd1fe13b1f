"""CutMix and Mixup against pixel loops, and their draws against their distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transmix.labels import Box
from transmix.mixing import MixPolicy, cutmix, draw_box, mirror, mix_batch, mixup, paste


def test_cutmix_pastes_exactly_the_box_of_the_mirrored_image():
    images = torch.arange(4 * 3 * 6 * 5, dtype=torch.float32).reshape(4, 3, 6, 5)
    before, box = images.clone(), Box(1, 4, 2, 5)
    mix = cutmix(images, box)
    for i in range(4):
        for y in range(6):
            for x in range(5):
                inside = box.y1 <= y < box.y2 and box.x1 <= x < box.x2
                assert torch.equal(mix.images[i, :, y, x], before[3 - i if inside else i, :, y, x])
                assert mix.pasted[i, y, x] == inside
    assert torch.equal(images, before)
    torch.testing.assert_close(mix.lam, torch.full((4,), 9 / 30))


def test_a_mask_may_differ_from_image_to_image():
    images, pasted = torch.rand(3, 2, 4, 5), torch.rand(3, 4, 5) > 0.4
    mix = paste(images, pasted, partner=torch.tensor([1, 2, 0]))
    for i, other in enumerate((1, 2, 0)):
        assert torch.equal(mix.images[i][:, pasted[i]], images[other][:, pasted[i]])
        assert torch.equal(mix.images[i][:, ~pasted[i]], images[i][:, ~pasted[i]])
        assert mix.lam[i] == pytest.approx(pasted[i].float().mean().item())
    box = Box(1, 4, 2, 5)
    one, same = paste(images, cutmix(images, box).pasted[0]), cutmix(images, box)
    assert torch.equal(one.images, same.images)
    torch.testing.assert_close(one.lam, same.lam)


def test_the_middle_of_an_odd_batch_is_its_own_partner():
    images = torch.rand(3, 3, 8, 8)
    mix = cutmix(images, Box(0, 4, 0, 8))
    assert mix.partner.tolist() == [2, 1, 0]
    assert torch.equal(mix.images[1], images[1])


def test_partners_can_be_chosen():
    images = torch.rand(3, 1, 4, 4)
    mix = cutmix(images, Box(0, 4, 0, 4), partner=torch.tensor([1, 2, 0]))
    assert torch.equal(mix.images, images[[1, 2, 0]])
    assert mix.lam.tolist() == [1.0] * 3


def test_mixup_blends_the_partners_share():
    images = torch.rand(4, 3, 2, 2)
    torch.testing.assert_close(mixup(images, 0.3).images, 0.7 * images + 0.3 * images.flip(0))


def test_boxes_have_the_published_mean_area():
    """Half of the drawn area is lost at the border: .318 of the image remains (200,000 official boxes)."""
    rng = np.random.default_rng(0)
    boxes = [draw_box(rng, (224, 224), rng.beta(1, 1)) for _ in range(20_000)]
    assert np.mean([box.area / 224**2 for box in boxes]) == pytest.approx(0.318, abs=0.006)
    assert all(0 <= b.y1 <= b.y2 <= 224 and 0 <= b.x1 <= b.x2 <= 224 for b in boxes)


def test_a_box_is_where_timm_would_put_it(monkeypatch):
    from timm.data import mixup as timm_mixup

    for lam, centre in ((0.3, (5, 60)), (0.9, (31, 2)), (0.5, (0, 63))):
        draws = iter(centre)
        monkeypatch.setattr(timm_mixup.np.random, "randint", lambda *_, size=None, draws=draws: next(draws))
        expected = timm_mixup.rand_bbox((3, 64, 64), 1 - lam)  # timm counts the share that is kept
        draws = iter(centre)
        rng = type("Draws", (), {"integers": lambda self, high, draws=draws: next(draws)})()
        assert tuple(draw_box(rng, (64, 64), lam)) == tuple(int(v) for v in expected)


@pytest.mark.parametrize("switch_prob", [0.5, 0.8])
def test_policy_decides_how_often_what_is_drawn(switch_prob):
    rng, policy = np.random.default_rng(1), MixPolicy(prob=0.75, switch_prob=switch_prob)
    images = torch.rand(2, 1, 8, 8)
    mixes = [mix_batch(images, policy, rng) for _ in range(4000)]
    boxed = sum(mix.pasted is not None for mix in mixes) / 4000
    untouched = sum(mix.pasted is None and not mix.lam.any() for mix in mixes) / 4000
    assert boxed == pytest.approx(0.75 * switch_prob, abs=0.03)
    assert untouched == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("policy", "boxed"), [(MixPolicy(mixup_alpha=0), True), (MixPolicy(cutmix_alpha=0), False)])
def test_one_kind_can_be_switched_off(policy, boxed):
    mixes = [mix_batch(torch.rand(2, 1, 8, 8), policy, np.random.default_rng(i)) for i in range(50)]
    assert all((mix.pasted is not None) == boxed for mix in mixes)


def test_the_same_generator_gives_the_same_mix():
    images = torch.rand(4, 3, 16, 16)
    one, two = (mix_batch(images, MixPolicy(), np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.lam, two.lam)


def test_mirror_is_the_official_pairing():
    assert torch.equal(torch.arange(6)[mirror(6)], torch.arange(6).flip(0))
