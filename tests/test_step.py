"""What a mixing method is given: passes of the student's that leave no trace, attention of all blocks, tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_attention import explicit, small_vit

from transmix.attention import BlockAttention, ClassAttention, FinalTokens
from transmix.common.errors import UserError
from transmix.methods._step import Step
from transmix.models import create_model

LABELS = torch.tensor([0, 3, 5, 6])


def step(model: torch.nn.Module, size: int = 32) -> Step:
    images = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(1))
    return Step(images=images, labels=LABELS, rng=np.random.default_rng(0), model=model, num_classes=7)


def explicit_blocks(model, images) -> list[torch.Tensor]:
    """The softmax of every block as timm itself computes it where it is not fused."""
    seen, handles = [], []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop = torch.nn.Identity()
        handles.append(block.attn.attn_drop.register_forward_hook(lambda _, inputs, output: seen.append(output)))
    with torch.no_grad():
        model(images)
    for handle in handles:
        handle.remove()
    return [attention.mean(1) for attention in seen]


def test_class_attention_of_the_clean_batch_is_the_evaluated_students():
    model = small_vit(drop_path_rate=0.5).train()
    model.norm.eval()  # a part that somebody froze stays so
    asked = step(model)
    found = asked.class_attention()
    assert (model.training, model.norm.training) == (True, False)
    assert (found.shape, asked.extra_passes) == ((4, 4, 4), 1)
    torch.testing.assert_close(found.flatten(1), explicit(model.eval(), asked.images), atol=1e-5, rtol=0)


def test_saliency_is_what_the_patches_of_the_last_block_attend_to():
    model = small_vit(reg_tokens=2)
    asked = step(model)
    logits, saliency = asked.logits_and_saliency()
    last = explicit_blocks(model, asked.images)[-1]
    torch.testing.assert_close(saliency, last[:, 3:, 3:].mean(1).view(4, 4, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, model(asked.images), atol=1e-5, rtol=0)


def test_an_input_gradient_leaves_the_students_gradients_alone():
    model = small_vit().train()
    asked = step(model)
    model(asked.images).sum().backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    found = asked.input_gradient()
    assert all(torch.equal(one, parameter.grad) for one, parameter in zip(before, model.parameters(), strict=True))
    images = asked.images.clone().requires_grad_()
    torch.nn.functional.cross_entropy(model.eval()(images), LABELS).backward()
    torch.testing.assert_close(found, images.grad)
    assert not asked.images.requires_grad
    assert asked.extra_passes == 3


def test_attention_of_all_blocks_equals_the_explicit_softmax():
    model = small_vit()
    asked, reader = step(model), BlockAttention(model)
    plain = model(asked.images)
    found, again = reader.take(), model(asked.images)
    assert torch.equal(plain, again)
    for one, other in zip(found, reader.take(), strict=True):
        assert torch.equal(one, other)  # a pass begins anew at its first block
    for one, expected in zip(found, explicit_blocks(model, asked.images), strict=True):
        torch.testing.assert_close(one, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("deit_micro_tiny_patch8_64", {}),
        ("pvt_micro_tiny_patch2_64", {}),
        ("deit_micro_tiny_patch8_64", {"qk_norm": 1}),
    ],
)
def test_its_class_rows_are_the_class_attention(name, options):
    model = create_model(name, num_classes=7, **options)
    blocks, rows = BlockAttention(model), [ClassAttention(model, block=block) for block in (0, 1)]
    model(step(model, 64).images)
    for attention, row in zip(blocks.take(), rows, strict=False):
        torch.testing.assert_close(attention[:, 0, 1:], row.take(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["xcit_micro_tiny_patch8_64", "cait_micro_xxs_patch8_64"])
def test_models_whose_patches_do_not_attend_to_each_other_there_are_named(name):
    with pytest.raises(UserError, match=r"no self-attention of patches .*: DeiT/ViT, PVT"):
        BlockAttention(create_model(name, num_classes=7))


@pytest.mark.parametrize(
    "name",
    ["deit_micro_tiny_patch8_64", "pvt_micro_tiny_patch2_64", "xcit_micro_tiny_patch8_64", "cait_micro_xxs_patch8_64"],
)
def test_tokens_are_what_the_head_sees(name):
    model = create_model(name, num_classes=7)
    reader, images = FinalTokens(model), step(model, 64).images
    logits = model.train()(images)
    tokens = reader.take()
    torch.testing.assert_close(model.head(tokens[:, 0]), logits)
    (tokens * torch.arange(tokens.shape[2])).sum().backward()  # a norm's plain sum has no gradient but rounding
    assert model.cls_token.grad.abs().sum() > 0


def test_blocks_and_heads_that_there_are_not_are_named():
    model = small_vit()
    with pytest.raises(UserError, match=r"attention_block=3: .* in 3 blocks \(0 to 2, or counted from the end"):
        ClassAttention(model, block=3)
    with pytest.raises(UserError, match="attention_head=3: the block has heads 0 to 2"):
        ClassAttention(model, head=3)


def test_another_block_and_head_are_read_there():
    model = small_vit()
    asked = step(model)
    heads = [ClassAttention(model, head=head, block=0) for head in range(3)]
    mean = ClassAttention(model, block=-3)
    model(asked.images)
    each = torch.stack([reader.take() for reader in heads])
    torch.testing.assert_close(each.mean(0), mean.take())
    assert (each[0] - each[1]).abs().max() > 1e-3
