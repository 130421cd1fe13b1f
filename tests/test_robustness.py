"""Perturbations against loops over patches and pixels, published counts, and a real JPEG codec."""

from __future__ import annotations

import io
import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from experiments.protocols import CORRUPTIONS as PLANNED
from experiments.protocols import CURVES, SEVERITIES, Sweep
from robustness.corruptions import CORRUPTIONS, gaussian_blur, jpeg_compression
from robustness.draws import Draws
from robustness.patches import (
    drop_foreground,
    drop_patches,
    drop_random,
    drop_salient,
    dropped_count,
    first_patches,
    foreground,
    salient_first,
    shuffle,
)
from robustness.settings import settings_of
from transmix.common.errors import UserError
from transmix.common.plain import built

MASK = (1 << 64) - 1


def draws(images: int = 2, seed: int = 0) -> Draws:
    return Draws(seed, torch.arange(images))


def splitmix(z: int) -> int:
    """SplitMix64's finaliser, in Python's integers."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def test_random_bits_are_splitmix64s():
    golden, seed, ids = 0x9E3779B97F4A7C15, 987654321987654321, [0, 5, 2**40]
    found = Draws(seed, torch.tensor(ids)).bits(3)
    for row, one in enumerate(ids):
        key = splitmix(splitmix((one * golden + seed) & MASK))
        expected = [splitmix((key + step * golden) & MASK) for step in (1, 2, 3)]
        assert [value & MASK for value in found[row].tolist()] == expected


def test_draws_belong_to_the_image_and_to_the_seed():
    alone, among = Draws(3, torch.tensor([7])), Draws(3, torch.tensor([1, 7, 9]))
    assert torch.equal(alone.uniform(4, 5)[0], among.uniform(4, 5)[1])
    assert torch.equal(alone.permutation(9)[0], among.permutation(9)[1])  # the second request too
    assert not torch.equal(draws(seed=1).bits(8), draws(seed=2).bits(8))
    again = draws()
    assert not torch.equal(again.bits(8), again.bits(8))


def test_draws_have_the_distributions_they_are_named_for():
    some = draws(100)
    uniform, normal = some.uniform(2000), some.normal(2000)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean() == pytest.approx(1 / 2, abs=3e-3)
    assert uniform.var() == pytest.approx(1 / 12, abs=1e-3)
    assert normal.mean() == pytest.approx(0, abs=7e-3)
    assert normal.var() == pytest.approx(1, abs=1e-2)
    first = torch.bincount(draws(7000).permutation(7)[:, 0], minlength=7)
    assert (first - 1000).abs().max() < 150  # five standard deviations
    assert torch.equal(draws(50).permutation(30).sort(1).values, torch.arange(30).expand(50, -1))


def test_counts_are_the_published_ones():
    assert [dropped_count(196, tenths) for tenths in range(10)] == [0, 19, 39, 58, 78, 98, 117, 137, 156, 176]
    assert [dropped_count(64, tenths) for tenths in range(10)] == [0, 6, 12, 19, 25, 32, 38, 44, 51, 57]


def test_exactly_the_masked_patches_turn_black():
    images = torch.rand(2, 3, 8, 12) + 0.1
    masks = torch.rand(2, 2, 3) < 0.5
    before = images.clone()
    dropped = drop_patches(images, masks)
    for image in range(2):
        for y in range(8):
            for x in range(12):
                expected = torch.zeros(3) if masks[image, y // 4, x // 4] else images[image, :, y, x]
                assert torch.equal(dropped[image, :, y, x], expected)
    assert torch.equal(images, before)


@pytest.mark.parametrize("fill", ["mean", "noise"])
def test_other_fills_leave_what_is_not_dropped(fill):
    images, masks = torch.rand(2, 3, 8, 8), torch.tensor([[[1, 0], [0, 0]], [[0, 0], [1, 1]]], dtype=torch.bool)
    dropped = drop_patches(images, masks, fill, draws())
    changed = (dropped != images).any(1)
    assert torch.equal(changed, masks.repeat_interleave(4, 1).repeat_interleave(4, 2))
    if fill == "mean":
        assert dropped[0, :, 0, 0].tolist() == pytest.approx(images[0].mean((1, 2)).tolist())


def test_memory_format_does_not_matter():
    images = torch.rand(2, 3, 16, 16)
    other = images.contiguous(memory_format=torch.channels_last)
    for perturb in (lambda x: drop_random(x, 5, draws(), (4, 4)), lambda x: shuffle(x, (4, 2), draws())):
        assert torch.equal(perturb(images), perturb(other))


@pytest.mark.parametrize("tenths", [1, 5, 9])
def test_the_asked_number_of_patches_is_dropped_and_no_patch_is_a_favourite(tenths):
    dropped = drop_random(torch.ones(500, 1, 8, 8), tenths, draws(500), (8, 8))[:, 0] == 0
    assert (dropped.sum((1, 2)) == 64 * tenths // 10).all()
    share = dropped.float().mean(0)
    assert (share - (64 * tenths // 10) / 64).abs().max() < 0.12  # five standard deviations


def test_salient_patches_go_in_order_with_ties_at_random():
    saliency = torch.tensor([[3.0, 1, 2, 1, 0, 1], [0, 0, 0, 0, 0, 5]])
    seen = set()
    for seed in range(100):
        order = salient_first(saliency, draws(seed=seed))
        for row in range(2):
            assert saliency[row][order[row]].tolist() == sorted(saliency[row].tolist(), reverse=True)
            assert sorted(order[row].tolist()) == list(range(6))
        seen.add(tuple(order[0, 2:5].tolist()))
    assert len(seen) == 6  # every order of the three equal ones


def test_foreground_first_and_background_first_by_a_slow_oracle():
    images, saliency = torch.ones(3, 1, 6, 6), torch.rand(3, 9)
    for tenths in range(11):
        first = drop_salient(images, tenths, draws(3), saliency, (3, 3))
        last = drop_salient(images, tenths, draws(3), saliency, (3, 3), least=True)
        for image in range(3):
            ranked = sorted(range(9), key=lambda patch: -saliency[image, patch])
            count = 9 * tenths // 10
            for patch in range(9):
                y, x = 2 * (patch // 3), 2 * (patch % 3)
                assert (first[image, 0, y, x] == 0) == (patch in ranked[:count])
                assert (last[image, 0, y, x] == 0) == (count > 0 and patch in ranked[-count:])


def test_the_published_foreground_is_a_share_of_saliency():
    peaked = torch.tensor([[0.5, 0.25, 0.125, 0.125], [0.1, 0.2, 0.3, 0.4]])
    assert foreground(peaked, 0.5).tolist() == [[True, False, False, False], [False, False, True, True]]
    assert foreground(peaked, 0.6).tolist() == [[True, True, False, False], [False, False, True, True]]
    assert foreground(peaked, 1.0).all()
    for share in (0.1, 0.3, 0.7, 0.9):
        saliency = torch.rand(20, 49)
        chosen = foreground(saliency, share)
        for row in range(20):
            ranked, mass, expected = saliency[row].sort(descending=True), 0.0, set()
            for value, patch in zip(ranked.values.tolist(), ranked.indices.tolist(), strict=True):
                if mass < share * saliency[row].sum().item():
                    expected.add(patch)
                mass += value
            assert set(chosen[row].nonzero().flatten().tolist()) == expected


def test_as_published_the_two_salient_curves_complete_each_other():
    images, saliency = torch.rand(2, 3, 8, 8) + 0.1, torch.rand(2, 16)
    dropped = drop_foreground(images, 4, draws(), saliency, (4, 4))
    kept = drop_foreground(images, 4, draws(), saliency, (4, 4), keep=True)
    assert torch.equal(dropped + kept, images)


def test_first_patches_is_a_mask():
    order = torch.tensor([[2, 0, 1], [1, 2, 0]])
    assert first_patches(order, 2).tolist() == [[True, False, True], [False, True, True]]


@pytest.mark.parametrize("cells", [(2, 2), (2, 4), (4, 4), (1, 3)])
def test_a_shuffle_moves_whole_cells_and_loses_none(cells):
    images = torch.arange(2 * 3 * 8 * 12).float().view(2, 3, 8, 12)
    shuffled = shuffle(images, cells, draws())

    def blocks(image):
        height, width = 8 // cells[0], 12 // cells[1]
        return [
            image[:, y : y + height, x : x + width].flatten().tolist()
            for y in range(0, 8, height)
            for x in range(0, 12, width)
        ]

    for image in range(2):
        assert blocks(shuffled[image]) != blocks(images[image])
        assert sorted(blocks(shuffled[image])) == sorted(blocks(images[image]))


def test_an_image_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="9 x 8 image does not divide into 2 x 2 patches"):
        drop_patches(torch.zeros(1, 3, 9, 8), torch.zeros(1, 2, 2, dtype=torch.bool))


def photograph(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    return np.array(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_is_pure_and_worse_with_severity(name):
    image = torch.from_numpy(photograph(64, 64)).permute(2, 0, 1)[None] / 255
    images, before = image.repeat(2, 1, 1, 1), image.clone()
    distances = []
    for severity in SEVERITIES:
        one, again = (CORRUPTIONS[name](images, severity, draws()) for _ in range(2))
        assert torch.equal(one, again)
        assert one.shape == images.shape
        assert one.dtype == torch.float32
        assert one.min() >= 0
        assert one.max() <= 1
        distances.append((one - images).abs().mean().item())
    assert torch.equal(images[:1], before)
    assert distances == sorted(distances)
    assert distances[-1] > 0.02


def test_blur_is_a_gaussians():
    image = torch.from_numpy(photograph(224, 224)).permute(2, 0, 1)[None] / 255
    expected = gaussian_filter(image[0].numpy(), (0, 2, 2), mode="mirror", truncate=4.0)
    assert (gaussian_blur(image, 2, draws(1))[0].numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(64, 72), (50, 37)])
def test_jpeg_is_that_of_a_file_written_and_read_back(size, memory):
    photos = [photograph(*size), photograph(*size)[::-1]]
    images = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).contiguous(memory_format=memory) / 255
    ours = (jpeg_compression(images, 3, draws()) * 255).round().permute(0, 2, 3, 1).numpy()
    for photo, compressed in zip(photos, ours, strict=True):
        file = io.BytesIO()
        Image.fromarray(photo).save(file, "JPEG", quality=15, subsampling=2)
        decoded = np.asarray(Image.open(file)).astype(float)
        assert np.abs(compressed - decoded).max() <= 2  # of 255; builds of libjpeg round in their own ways
        assert np.abs(photo - decoded).mean() > 5


def test_a_sweep_names_its_settings():
    sweep = Sweep(CURVES, tenths=(1, 5), cells=((2, 2),), severities=(3,), draws=2)
    keys = [setting.key for setting in settings_of(sweep, (4, 4))]
    assert keys[:5] == ["clean/0/0", "random/1/0", "random/1/1", "random/5/0", "random/5/1"]
    assert [key for key in keys if "salient" in key] == [
        *("salient/1/0", "salient/5/0"),
        *("non_salient/1/0", "non_salient/5/0"),
    ]
    assert keys[9:] == ["shuffle/[2,2]/0", "shuffle/[2,2]/1", *(f"{name}/3/0" for name in PLANNED)]
    assert set(PLANNED) == set(CORRUPTIONS)
    assert sweep.settings == len(keys)
    assert Sweep(CURVES).settings == len(settings_of(Sweep(CURVES), (14, 14)))
    assert built(Sweep, json.loads(json.dumps(asdict(sweep)))) == sweep


def test_the_patches_of_a_setting_are_a_function_of_seed_draw_and_image():
    settings = {setting.key: setting for setting in settings_of(Sweep(CURVES, draws=2), (8, 8))}

    def kept(seed: int = 0, draw: int = 0, image: int = 3) -> torch.Tensor:
        setting = settings[f"random/5/{draw}"]
        return setting.perturb(torch.ones(1, 1, 8, 8), 5, setting.draws(seed, torch.tensor([image])))

    assert torch.equal(kept(), kept())
    for other in ({"seed": 1}, {"draw": 1}, {"image": 4}):
        assert not torch.equal(kept(), kept(**other))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "per_imag"}, "unknown protocol 'per_imag': did you mean 'per_image'"),
        ({"saliency": "object"}, "did you mean 'objects'"),
        ({"fill": "blck"}, "did you mean 'black'"),
        ({"curves": ("randm",)}, "unknown curve 'randm': did you mean 'random'"),
        ({"tenths": (0, 5)}, "tenths=0: must be from 1 to 10"),
        ({"severities": (6,)}, "severities=6: must be from 1 to 5"),
        ({"draws": 0}, "draws=0: must be from 1 to 1,000"),
    ],
)
def test_a_wrong_setting_is_named(change, message):
    with pytest.raises(UserError, match=message):
        settings_of(Sweep(**{"curves": CURVES} | change), (4, 4))
