"""The methods' own functions against plain loops. See `test_puzzlemix` and `test_mix_reductions`, too."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from mix_tasks import LABELS, OWN, batch, model, task

from transmix.attention import token_grid
from transmix.labels import mixed_targets, pasted_tokens
from transmix.methods import fmix, gridmix, mixpro, resizemix, saliencymix, smmix, tokenmix
from transmix.methods._draws import to_pixels
from transmix.task import MixingTask

PASTING = [name for name in OWN if name not in ("resizemix", "smmix", "puzzlemix")]  # where the partner has them, too


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return batch()


def own_mixes(name: str, images: torch.Tensor, **settings) -> list:
    """What a method makes of the batch by itself, three times."""
    made = task(name, mixup_alpha=0.0, **settings)
    found = [made(images, LABELS)["mix"] for _ in range(6)]
    return [mix for mix in found if mix.pasted is not None][:3]


@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.parametrize("name", PASTING)
def test_each_pixel_is_the_own_or_the_partners_and_lambda_counts_them(name, as_published, images):
    mixes = own_mixes(name, images, as_published=as_published)
    assert mixes
    for mix in mixes:
        for i, other in enumerate(mix.partner.tolist()):
            for row, column in itertools.product(range(0, 64, 3), range(64)):
                source = images[other] if mix.pasted[i, row, column] else images[i]
                assert torch.equal(mix.images[i, :, row, column], source[:, row, column])
            # FMix's is the share drawn: a pixel is the most it may be off
            assert float(mix.lam[i]) == pytest.approx(float(mix.pasted[i].float().mean()), abs=1 / 64**2)


def test_each_image_has_a_box_by_its_partners_saliency_unless_as_published(images):
    for mix in own_mixes("saliencymix", images):
        assert len({tuple(mask.flatten().tolist()) for mask in mix.pasted}) > 1
    for mix in own_mixes("saliencymix", images, as_published=True):
        assert all(torch.equal(mask, mix.pasted[0]) for mask in mix.pasted)


def test_fine_grained_saliency_in_loops():
    images = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    found = saliencymix.fine_grained_saliency(images)
    for image, saliency in zip(images, found, strict=True):
        grey = image.mean(0)
        grey = ((grey - grey.min()) / (grey.max() - grey.min()) * 255).round().tolist()
        sums = {"on": np.zeros((9, 7)), "off": np.zeros((9, 7))}
        for half, row, column in itertools.product(saliencymix.SURROUNDS, range(9), range(7)):
            around = [
                grey[y][x]
                for y in range(max(row - half, 0), min(row + half + 1, 9))
                for x in range(max(column - half, 0), min(column + half + 1, 7))
                if (y, x) != (row, column)
            ]
            difference = grey[row][column] - sum(around) / len(around)
            sums["on" if difference > 0 else "off"][row, column] += abs(difference)
        expected = sum(values / values.max() for values in sums.values())
        np.testing.assert_allclose(saliency, expected / expected.max(), atol=1e-6)


def test_a_bright_object_is_where_saliency_peaks():
    image = torch.full((1, 3, 64, 64), 0.2)
    image[:, :, 40:50, 12:22] = 0.9
    box = saliencymix.salient_box(saliencymix.fine_grained_saliency(image)[0], 0.9)
    assert 30 < (box.y1 + box.y2) / 2 < 60
    assert 2 < (box.x1 + box.x2) / 2 < 32


@pytest.mark.parametrize("width", [6, 7])
def test_low_frequencies_are_a_sum_of_waves(width):
    height, decay = 5, 3.0
    noise = np.random.default_rng(0).standard_normal((height, width // 2 + 1 + width % 2, 2))
    expected = np.zeros((height, width))
    for v, u in itertools.product(range(height), range(width // 2 + 1)):
        real, imaginary = noise[v, u]
        signed = [(v if v <= (height - 1) // 2 else v - height) / height, u / width]
        size = max(math.hypot(*signed), 1 / max(height, width)) ** decay
        alone = u == 0 or 2 * u == width  # other columns stand for their mirror image, too
        for y, x in itertools.product(range(height), range(width)):
            angle = 2 * math.pi * (v * y / height + u * x / width)
            wave = real * math.cos(angle) - imaginary * math.sin(angle)
            expected[y, x] += wave / size * (1 if alone else 2)
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    np.testing.assert_allclose(fmix.low_frequencies(noise, (height, width), decay), expected, atol=1e-9)


def intervals(mask: np.ndarray) -> int:
    """The most changes in a row."""
    return int(np.abs(np.diff(mask, axis=1)).sum(1).max())


def test_published_fmix_masks_have_one_interval_a_row_and_others_have_more():
    rng, most = np.random.default_rng(0), {False: 0, True: 0}
    for _ in range(20):
        noise = rng.standard_normal((32, 17, 2))
        for as_published in most:
            field = fmix.low_frequencies(noise, (32, 32), 3.0, as_published)
            most[as_published] = max(most[as_published], intervals(fmix.own_mask(field, 0.5, True)))
    assert most[True] <= 2 < most[False]


def test_holes_lie_in_the_image_unless_as_published():
    rng, wrapped = np.random.default_rng(0), 0
    for _ in range(300):
        lam, holes, area, aspect = rng.random(), int(rng.integers(2, 7)), rng.uniform(0.5, 1), rng.uniform(0.5, 2)
        draw = ((64, 64), lam, holes, area, aspect, tuple(rng.random(2)))
        mask = gridmix.grid_of_holes(*draw)
        assert 0 < mask.sum() < mask.numel()
        wrapped += not torch.equal(mask, gridmix.grid_of_holes(*draw, as_published=True))
    assert wrapped > 100  # 56 % of the draws


@pytest.mark.parametrize("variant", ["official", "openmixup"])
def test_the_whole_partner_is_pasted_small(variant, images):
    for mix in own_mixes("resizemix", images, mix_options={"variant": variant}):
        for i, mask in enumerate(mix.pasted):
            rows, columns = (torch.nonzero(mask.any(axis))[:, 0] for axis in (1, 0))
            assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            assert torch.equal(mix.images[i][:, ~mask], images[i][:, ~mask])
            corner = mix.images[i, :, rows[0], columns[0]]
            assert torch.equal(corner, images[mix.partner[i], :, 0, 0])
            assert mix.lam[i] == mask.float().mean()


def test_boxes_of_the_official_resizemix_are_never_cut():
    for centre in itertools.product(range(10), range(12)):
        box = resizemix.box_inside((10, 12), (4, 5), centre)
        assert (box.y2 - box.y1, box.x2 - box.x1) == (4, 5)
        assert min(box) >= 0
        assert box.y2 <= 10
        assert box.x2 <= 12


def test_token_blocks_cover_what_they_should():
    rng, counts = np.random.default_rng(0), []
    for _ in range(200):
        mask = tokenmix.block_mask((14, 14), 112, lambda low, high: rng.uniform(low, high), rng.integers)
        counts.append(int(mask.sum()))
    assert max(counts) == 112
    assert np.mean(counts) > 111.5  # 111.98 in 2000 masks of the reference


def test_no_token_target_is_negative_unless_as_published():
    own, pasted = torch.tensor([0.0, 0.7]), torch.tensor([1.0, 0.2])
    make = partial(tokenmix.share_targets, torch.tensor([0, 1]), torch.tensor([1, 0]), own, pasted, 10, 0.1)
    assert make(as_published=True).min() < 0
    assert make().min() == pytest.approx(0.01)
    assert torch.equal(make()[1], make(as_published=True)[1])  # where shares are large enough nothing differs


def test_salient_windows_in_loops():
    saliency = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0))
    for side in (1, 2, 4):
        least, most = smmix.salient_windows(saliency, side)
        for i, image in enumerate(saliency):
            sums = {
                (y, x): float(image[y : y + side, x : x + side].sum()) for y in range(7 - side) for x in range(6 - side)
            }
            assert tuple(least[i].tolist()) == min(sums, key=sums.get)
            assert tuple(most[i].tolist()) == max(sums, key=sums.get)


def test_smmix_copies_whole_tokens_and_its_loss_is_made_of_three(images):
    made = task("smmix", mixup_alpha=0.0)
    result = made(images, LABELS)
    mix = result["mix"]
    tokens = images.unflatten(3, (8, 8)).unflatten(2, (8, 8)).transpose(3, 4)  # (B, C, 8, 8, h, w)
    mixed = mix.images.unflatten(3, (8, 8)).unflatten(2, (8, 8)).transpose(3, 4)
    for i, other in enumerate(mix.partner.tolist()):
        inside = pasted_tokens(mix.pasted[i : i + 1], (8, 8)).view(8, 8).nonzero().tolist()
        assert len(inside) == round(float(mix.lam[i]) * 64)
        theirs = {tuple(tokens[other, :, y, x].flatten().tolist()) for y in range(8) for x in range(8)}
        assert all(tuple(mixed[i, :, y, x].flatten().tolist()) in theirs for y, x in inside)
    cross_entropy = -(result["targets"] * result["output"].log_softmax(-1)).sum(-1).mean()
    assert result["loss"] > cross_entropy + 0.1  # two regions and a divergence more
    result["loss"].backward()
    assert made.head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("as_published", [False, True])
def test_maskmix_counts_cells_after_they_are_cut_unless_as_published(as_published):
    made = MixingTask(model(), 4, "maskmix", as_published=as_published, mix_options={"cells": 3, "share": 1.0})
    images, off = torch.randn(8, 3, 64, 64), []
    for seed in range(20):  # some draws cut no cell
        torch.manual_seed(seed)
        mix = made.train()(images, LABELS)["mix"]
        off.append((mix.lam - mix.pasted.float().mean((1, 2))).abs().max())
    assert (max(off) > 0.001) == as_published


def test_progressive_share_in_loops(images):
    generator = torch.Generator().manual_seed(2)
    output, attention = torch.randn(3, 4, generator=generator), torch.rand(3, generator=generator)
    labels, partner, area = torch.tensor([0, 1, 1]), torch.tensor([1, 2, 0]), torch.tensor([0.3, 0.6, 0.1])
    by_area = mixed_targets(labels, labels[partner], area, 4, 0.1)
    lam, _ = mixpro.progressive_share(output, by_area, attention, area)
    for i in range(3):
        prediction = [math.exp(z) for z in output[i].tolist()]
        target = [
            0.025 + 0.9 * ((1 - area[i]) * (k == labels[i]) + area[i] * (k == labels[partner[i]])) for k in range(4)
        ]
        dot = sum(p * q for p, q in zip(prediction, map(float, target), strict=True))
        cosine = dot / math.sqrt(sum(p * p for p in prediction) * sum(float(q) ** 2 for q in target))
        assert float(lam[i]) == pytest.approx(float(cosine * attention[i] + (1 - cosine) * area[i]), abs=1e-6)


def test_labels_of_mixpro_carry_gradient_unless_told_not_to(images):
    for detach in (False, True):
        made = task("mixpro", mix_options={"share": 1.0, "detach": detach})
        assert made(images, LABELS)["lam"].requires_grad == (not detach)


def test_aligned_labels_in_matrices(images):
    made = task("tl_align")
    result = made(images, LABELS)
    mix, grid = result["mix"], token_grid(made.get_trainable_module())
    blocks = made._blocks  # what the step has read is taken: read the same pass again
    with torch.no_grad():
        made.get_trainable_module()(mix.images)
    smooth = mixed_targets(LABELS, LABELS, 0.0, 4)
    pasted = pasted_tokens(mix.pasted, grid)
    matrices = [block.double() for block in blocks.take()]
    for i, other in enumerate(mix.partner.tolist()):
        lam = float(mix.lam[i])
        labels = [(1 - lam) * smooth[i] + lam * smooth[other]]
        labels += [smooth[other] if token else smooth[i] for token in pasted[i].tolist()]
        labels = torch.stack(labels).double()
        for matrix in matrices:
            labels = (matrix[i] @ labels + labels) / 2
        torch.testing.assert_close(result["targets"][i].double(), labels[0], atol=1e-6, rtol=0)


def test_pixels_take_the_cell_that_they_lie_in():
    cells = torch.arange(6).view(1, 2, 3)
    pixels = to_pixels(cells, (4, 9))[0]
    assert all(pixels[y, x] == cells[0, y // 2, x // 3] for y in range(4) for x in range(9))
