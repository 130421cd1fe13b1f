"""PuzzleMix: cuts against all that there are, and blocks that move only to where they are shown."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from transmix.methods import puzzlemix
from transmix.methods._graph_cut import least_cut


def test_least_cut_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for rows, columns, count in ((2, 3, 3), (3, 3, 2), (2, 2, 4), (2, 2, 3), (1, 4, 3)):
        cost = rng.integers(0, 300, (rows, columns, count))
        vertical, horizontal = rng.integers(0, 300, (rows - 1, columns)), rng.integers(0, 300, (rows, columns - 1))

        def energy(labels, cost=cost, vertical=vertical, horizontal=horizontal, count=count):
            labels = np.asarray(labels).reshape(cost.shape[:2])
            own = np.take_along_axis(cost, labels[..., None], 2).sum()
            down, right = np.diff(labels, axis=0) ** 2, np.diff(labels, axis=1) ** 2
            return own + ((vertical * down).sum() + (horizontal * right).sum()) / (count - 1) ** 2

        best = min(energy(labels) for labels in itertools.product(range(count), repeat=rows * columns))
        assert energy(least_cut(cost, vertical, horizontal)) == best


def test_a_cut_of_four_blocks_is_the_best_by_its_definition():
    """Energy from pixels, in plain words: saliency that is lost, seams that are seen, and the prior."""
    generator = torch.Generator().manual_seed(3)
    images, saliency = torch.randn(2, 3, 8, 8, generator=generator), torch.rand(2, 8, 8, generator=generator)
    std, kept, partner = (0.2, 0.3, 0.25), 0.4, torch.tensor([1, 0])
    beta, gamma, eta = 1.2, 20.0, 0.2  # seams count: a wrong sign would show
    masks = puzzlemix.cut_masks(
        images, saliency, partner, 2, kept, std, least_cut, weights=2, beta=beta, gamma=gamma, eta=eta, pooled=1
    )
    blocks = saliency.unflatten(2, (2, 4)).unflatten(1, (2, 4)).sum((2, 4))
    blocks = blocks / blocks.sum((1, 2), keepdim=True)
    pixels = images * torch.tensor(std).view(-1, 1, 1)
    smooth = beta / 2 / 16
    for i, other in enumerate(partner.tolist()):

        def energy(mask, i=i, other=other):
            shown = [[pixels[i] if mask[y][x] else pixels[other] for x in (0, 1)] for y in (0, 1)]
            lost = sum(blocks[other if mask[y][x] else i, y, x] for y in (0, 1) for x in (0, 1))
            prior = sum(-math.log((kept if mask[y][x] else 1 - kept) + 1e-8) for y in (0, 1) for x in (0, 1))
            seams = changes = 0.0
            for a in (0, 1):
                along = slice(4 * a, 4 * a + 4)
                seams += (shown[0][a][:, 3, along] - shown[1][a][:, 4, along]).abs().mean()
                seams += (shown[a][0][:, along, 3] - shown[a][1][:, along, 4]).abs().mean()
                changes += (mask[0][a] != mask[1][a]) + (mask[a][0] != mask[a][1])
            return float(lost + prior * eta / 4 + smooth * gamma * seams + smooth * changes)

        every = [(bits[:2], bits[2:]) for bits in itertools.product((0, 1), repeat=4)]
        found = tuple(tuple(int(w) for w in row) for row in masks[i].tolist())
        assert energy(found) == pytest.approx(min(map(energy, every)), abs=2e-3)


def test_blocks_move_only_to_where_they_are_shown():
    rng = np.random.default_rng(0)
    saliency = rng.random((4, 4, 4))
    shown = rng.random((4, 4, 4)) < 0.5
    source = puzzlemix.moves(saliency / saliency.sum((1, 2), keepdims=True), shown, 0.8)
    for i in range(4):
        used = source[i][source[i] >= 0]
        assert len(set(used)) == len(used)  # a block is at one place
        assert (source[i][shown[i].ravel()] >= 0).all()
    images = torch.arange(4 * 16.0).view(4, 1, 4, 4)
    moved = puzzlemix.move_blocks(images, source)
    for i, place in itertools.product(range(4), range(16)):
        expected = images[i].flatten()[source[i, place]] if source[i, place] >= 0 else 0.0
        assert moved[i].flatten()[place] == expected


def test_without_seams_and_saliency_puzzlemix_is_mixup_without_a_place():
    images, saliency = torch.ones(2, 3, 8, 8), torch.ones(2, 8, 8)
    masks = puzzlemix.cut_masks(images, saliency, torch.tensor([1, 0]), 4, 0.9, (0.2,) * 3, least_cut)
    assert masks.unique().tolist() == [1.0]  # the likeliest weight for a share of .9, at every place
