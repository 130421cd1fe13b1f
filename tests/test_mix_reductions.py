"""Where all is uniform, a method is the plain one that it extends."""

from __future__ import annotations

import pytest
import torch
from mix_tasks import LABELS, batch, task

from transmix.labels import mixed_targets
from transmix.methods import gridmix, maskmix, tl_align, tokenmix
from transmix.mixing import mirror


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return batch()


def test_uniform_attention_makes_cutmix_of_tl_align():
    pasted, area = torch.zeros(2, 16), torch.tensor([0.25, 0.5])
    pasted[0, :4] = pasted[1, :8] = 1
    shares = tl_align.aligned_share([torch.full((2, 17, 17), 1 / 17)] * 5, pasted, area)
    torch.testing.assert_close(shares, area)


def test_uniform_attention_makes_maskmix_of_mixpro(images):
    made = task("mixpro", mix_options={"share": 1.0})
    query, key = made.get_trainable_module().blocks[-1].attn.qkv.weight.chunk(3)[:2]
    torch.nn.init.zeros_(query), torch.nn.init.zeros_(key)
    result = made(images, LABELS)
    torch.testing.assert_close(result["lam"], result["mix"].lam)


def test_uniform_label_maps_make_area_labels_of_tokenmix():
    pasted = (torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    labels, partner = torch.tensor([0, 1, 2]), mirror(3)
    own, theirs = tokenmix.map_shares(torch.ones(3, 4, 4), pasted, partner)
    targets = tokenmix.share_targets(labels, labels[partner], own, theirs, 4, 0.0)
    torch.testing.assert_close(targets, mixed_targets(labels, labels[partner], pasted.mean((1, 2)), 4, 0.0))


def test_one_hole_without_a_crop_is_a_box_of_cutmix():
    mask = gridmix.grid_of_holes((64, 64), 0.25, 1, 1.0, 1.0, (0.3, 0.3))
    assert mask.sum() == mask[:32, :32].sum() == 32**2


def test_as_many_cells_as_kept_leave_maskmix_unmixed():
    order = torch.arange(16).expand(2, -1)
    assert maskmix.kept_tokens(order, 16, 2, (8, 8)).all()
