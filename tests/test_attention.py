"""Class attention against the explicit softmax, wherever a training run may put it."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from timm.models import VisionTransformer
from timm.utils import ModelEmaV3

from transmix.attention import ClassAttention, token_grid
from transmix.common.errors import UserError
from transmix.models import create_model

TOLERANCE = {"atol": 1e-5, "rtol": 0}


def small_vit(**kwargs) -> VisionTransformer:
    torch.manual_seed(0)
    arguments = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3, "num_classes": 7}
    model = VisionTransformer(**(arguments | kwargs))
    for parameter in model.parameters():  # sharp attention: at the usual initialisation it is nearly uniform
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def explicit(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    """Run the model block by block and write the last block's softmax out in full."""
    model = deepcopy(model)
    seen = []
    model.blocks[-1].attn.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().float()))
    model(images)
    attn, tokens = model.blocks[-1].attn.float(), seen[-1]
    batch, count, _ = tokens.shape
    q, k, _ = attn.qkv(tokens).reshape(batch, count, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    probabilities = (q @ k.transpose(-2, -1) * attn.head_dim**-0.5).softmax(-1)
    return probabilities[:, :, 0, model.num_prefix_tokens :].mean(1).detach()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kwargs", [{}, {"qkv_bias": False}, {"reg_tokens": 2}, {"drop_path_rate": 0.0}])
def test_equals_the_explicit_softmax(images, training, kwargs):
    model = small_vit(**kwargs).train(training)
    expected = explicit(model, images)
    reader = ClassAttention(model)
    model(images)
    attention = reader.take()
    assert attention.shape == (4, 16)
    assert expected.std() > 0.01  # not the uniform map that anything would match
    torch.testing.assert_close(attention, expected, **TOLERANCE)
    assert not attention.requires_grad


def test_attention_dropout_is_not_in_it(images):
    model = small_vit(attn_drop_rate=0.5).train()
    torch.manual_seed(5)  # the blocks before the last one drop out as well: the same way in both passes
    expected = explicit(model, images)
    reader = ClassAttention(model)
    torch.manual_seed(5)
    model(images)
    torch.testing.assert_close(reader.take(), expected, **TOLERANCE)


def test_reading_changes_no_logit_and_no_gradient(images):
    model = small_vit()
    plain = model(images)
    plain.square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    ClassAttention(model)
    read = model(images)
    read.square().sum().backward()
    assert torch.equal(plain, read)
    for gradient, parameter in zip(gradients, model.parameters(), strict=True):
        assert torch.equal(gradient, parameter.grad)


def test_under_autocast_it_is_the_float32_softmax_of_what_the_block_saw(images):
    model = small_vit()
    reader = ClassAttention(model)
    with torch.autocast("cpu", torch.bfloat16):
        expected = explicit_under_autocast(model, images)
        model(images)
    attention = reader.take()
    assert attention.dtype == torch.float32
    torch.testing.assert_close(attention, expected, **TOLERANCE)


def explicit_under_autocast(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    model = deepcopy(model)
    seen = []
    model.blocks[-1].attn.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().float()))
    model(images)
    with torch.autocast("cpu", enabled=False):
        attn, tokens = model.blocks[-1].attn, seen[-1]
        q, k, _ = attn.qkv(tokens).reshape(*tokens.shape[:2], 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
        return (q @ k.transpose(-2, -1) * attn.scale).softmax(-1)[:, :, 0, 1:].mean(1).detach()


def test_an_ema_copy_does_not_write_into_the_models_reader(images):
    model = small_vit()
    reader = ClassAttention(model)
    ema = ModelEmaV3(model)
    with torch.no_grad():
        for parameter in ema.module.parameters():
            parameter.mul_(0.5)
    expected_model, expected_ema = explicit(model, images), explicit(ema.module, images)
    ema_reader = ClassAttention(ema.module)
    model(images)
    ema.module(images)
    torch.testing.assert_close(reader.take(), expected_model, **TOLERANCE)
    torch.testing.assert_close(ema_reader.take(), expected_ema, **TOLERANCE)
    assert (expected_model - expected_ema).abs().max() > 0.01


def test_survives_compilation_and_gradient_checkpointing(images):
    model = small_vit()
    expected = explicit(model, images)
    reader = ClassAttention(model)
    torch.compile(model, backend="eager")(images)
    torch.testing.assert_close(reader.take(), expected, **TOLERANCE)
    model.set_grad_checkpointing()
    logits = model.train()(images)
    torch.testing.assert_close(reader.take(), expected, **TOLERANCE)
    logits.sum().backward()


def test_a_pass_is_taken_once(images):
    model = small_vit()
    reader = ClassAttention(model)
    model(images)
    reader.take()
    with pytest.raises(RuntimeError, match="no forward pass"):
        reader.take()
    reader.remove()
    model(images)
    with pytest.raises(RuntimeError, match="no forward pass"):
        reader.take()


def unfused(model: torch.nn.Module, module: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the module itself computes once it is told to write its softmax out: independent of our own algebra."""
    seen = []
    module.fused_attn = False
    handle = module.attn_drop.register_forward_pre_hook(lambda drop, inputs: seen.append(inputs[0]))
    model(images)
    handle.remove()
    module.fused_attn = True
    return seen[-1][:, :, 0, 1:].mean(1)


@pytest.mark.parametrize(
    ("name", "size", "module", "grid"),
    [
        ("deit_micro_tiny_patch8_64", 64, lambda model: model.blocks[-1].attn, (8, 8)),
        ("deit_tiny_patch16_224", 224, lambda model: model.blocks[-1].attn, (14, 14)),
        ("cait_xxs24_224", 224, lambda model: model.blocks_token_only[-1].attn, (14, 14)),
        ("xcit_nano_12_p16_224", 224, lambda model: model.cls_attn_blocks[-1].attn, (14, 14)),
        ("pvt_tiny", 224, lambda model: model.block4[-1].attn, (7, 7)),
    ],
)
def test_reads_the_families_of_the_paper(name, size, module, grid):
    torch.manual_seed(0)
    model = create_model(name).eval()
    attn = module(model)
    for parameter in attn.parameters():  # sharp, as after training
        parameter.data.mul_(6)
    images = torch.randn(2, 3, size, size)
    reader = ClassAttention(model)
    with torch.no_grad():
        model(images)
        attention, expected = reader.take(), unfused(model, attn, images)
    torch.testing.assert_close(attention, expected, **TOLERANCE)
    assert reader.grid == token_grid(model) == grid
    assert attention.shape[1] == grid[0] * grid[1]
    assert expected.std() > 1e-4


@pytest.mark.parametrize(
    "make",
    [
        lambda: create_model("resnet18"),
        lambda: small_vit(class_token=False, global_pool="avg"),
        lambda: small_vit(global_pool="avg"),
    ],
    ids=["no transformer", "no class token", "class token not used"],
)
def test_a_model_without_class_attention_is_refused(make):
    with pytest.raises(UserError, match="families that work: DeiT/ViT, CaiT, XCiT, PVT"):
        ClassAttention(make())


@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
def test_a_wrapped_model_is_one_line(wrap):
    with pytest.raises(UserError, match="wraps a model: give the bare one here, and wrap it afterwards"):
        ClassAttention(wrap(small_vit()))
