"""Multiply-accumulates against values worked out by hand and against what really runs."""

from __future__ import annotations

import pytest
import torch
from timm.layers import set_fused_attn
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.check_table1 import READING_SHARE, measure
from experiments.costs import known_costs
from experiments.scales import SCALES
from transmix.attention import ClassAttention
from transmix.models import create_model
from transmix.models.cost import forward_macs, skeleton

FAMILIES = ("deit_t", "pvt_t", "xcit_t", "cait_xxs")


def micro(row: str) -> str:
    return SCALES["tiny"].recipe(row, "transmix").model


def test_a_convolution_and_a_linear_layer():
    model = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(128, 10))
    assert forward_macs(model, 16) == 4 * 4 * 8 * (3 * 4 * 4) + 128 * 10  # norms and biases are not counted


def vit_macs(width: int, depth: int, patches: int, patch: int) -> int:
    """Patch projection, twelve C x C products a token and block, Q K^T and A V, head."""
    tokens = patches + 1
    block = tokens * 12 * width**2 + 2 * tokens**2 * width
    return patches * 3 * patch**2 * width + depth * block + width * 1000


@pytest.mark.parametrize(
    ("name", "image_size", "expected"),
    [
        ("deit_micro_tiny_patch8_64", 64, vit_macs(64, 4, 64, 8)),
        ("deit_tiny_patch16_224", 224, vit_macs(192, 12, 196, 16)),
        ("deit_base_patch16_224", 224, vit_macs(768, 12, 196, 16)),
    ],
)
def test_a_vision_transformer_by_hand(name, image_size, expected):
    with torch.device("meta"):
        assert forward_macs(create_model(name), image_size) == expected


@pytest.mark.parametrize("row", FAMILIES)
def test_attention_is_counted_however_the_model_computes_it(row):
    model = create_model(micro(row))
    set_fused_attn(False)
    try:
        written_out = create_model(micro(row)).eval().requires_grad_(False)
    finally:
        set_fused_attn(True)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:  # really computed, every product written out
        written_out(torch.zeros(1, 3, 64, 64))
    assert forward_macs(model, 64) == counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("name", "image_size", "tokens", "width", "heads"),
    [("deit_micro_tiny_patch8_64", 64, 65, 64, 2), ("deit_tiny_patch16_224", 224, 197, 192, 3)],
)
def test_reading_attention_is_one_query_one_folding_and_one_row_a_head(name, image_size, tokens, width, heads):
    with torch.device("meta"):
        model = create_model(name)
    added = forward_macs(model, image_size, read_attention=True) - forward_macs(model, image_size)
    assert added == width**2 + width**2 + heads * tokens * width


@pytest.mark.parametrize("recipe", [SCALES["tiny"].recipe(row, "transmix") for row in FAMILIES], ids=FAMILIES)
def test_reading_attention_is_almost_free(recipe):
    cost = measure(recipe)
    assert 0 < cost.reading_macs <= READING_SHARE * cost.macs


def test_the_counted_model_is_left_as_it_is():
    model = create_model("deit_micro_tiny_patch8_64").train()
    reader = ClassAttention(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain = forward_macs(model, 64)  # without the reading that this reader would do
    assert plain < forward_macs(model, 64, read_attention=True)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(RuntimeError, match="no forward pass"):
        reader.take()


@pytest.mark.parametrize("row", ["deit_t", "pvt_t"])  # make check-paper measures all twelve
def test_committed_costs_are_what_is_measured(row):
    cost = measure(SCALES["paper"].recipe(row, "baseline"))
    assert known_costs()[cost.model, cost.image_size] == cost


def test_a_skeleton_has_no_numbers():
    model = skeleton(SCALES["paper"].recipe("xcit_l", "transmix"), 1000)
    assert all(parameter.is_meta for parameter in model.parameters())
