"""A last block that computes the class token alone trains as the whole block does."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import timm
import torch
from timm.models import VisionTransformer
from torch import nn

from transmix.attention import ClassAttention
from transmix.mixing import MixPolicy
from transmix.models import create_model
from transmix.models.last_block import shorten
from transmix.task import MixingTask

LABELS = torch.tensor([1, 4, 0, 2])
NAMES = ("deit_micro_tiny_patch8_64", "pvt_micro_tiny_patch2_64", "xcit_micro_tiny_patch8_64")


def images() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def pair(name: str, **settings) -> tuple[nn.Module, nn.Module]:
    """The model as it is, and with a short last block; both in float64 and in training mode."""
    torch.manual_seed(0)
    whole = create_model(name, num_classes=7, **settings).double().train()
    short = deepcopy(whole)
    shorten(short)
    return whole, short


def patches_out(model: nn.Module) -> int:
    """How many tokens the final norm sees."""
    seen = []
    handle = model.norm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[1]))
    model(images())
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("drop_path_rate", [0.0, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradients_are_those_of_the_whole_block(name, drop_path_rate):
    gradients = []
    for model in pair(name, drop_path_rate=drop_path_rate):
        torch.manual_seed(5)  # stochastic depth drops the same images
        loss = nn.functional.cross_entropy(model(images()), LABELS)
        loss.backward()
        gradients.append([loss.detach(), *(parameter.grad for parameter in model.parameters())])
    assert len(gradients[0]) > 20
    for whole, short in zip(*gradients, strict=True):
        torch.testing.assert_close(short, whole, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("settings", [{"reg_tokens": 4}, {"init_values": 0.1, "qk_norm": True}, {"fc_norm": True}])
def test_other_vision_transformers_too(settings):
    whole, short = pair(NAMES[0], **settings)
    torch.testing.assert_close(short(images()), whole(images()), rtol=1e-10, atol=1e-13)
    assert patches_out(short) == 1


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_and_weights_stay_as_they_were(name):
    whole, short = pair(name)
    assert patches_out(whole) > 16
    assert patches_out(short) == 1
    assert whole.state_dict().keys() == short.state_dict().keys()
    assert torch.equal(short.eval()(images()), whole.eval()(images()))
    assert torch.equal(short.forward_features(images()), whole.forward_features(images()))


@pytest.mark.parametrize("name", NAMES)
def test_class_attention_is_read_as_before(name):
    read = []
    for model in pair(name):
        reader = ClassAttention(model)
        model(images())
        read.append(reader.take())
    assert torch.equal(*read)


def test_a_copy_has_its_own_weights():
    _, model = pair(NAMES[0])
    copy = deepcopy(model)
    nn.init.zeros_(copy.head.weight)
    nn.init.zeros_(copy.blocks[-1].mlp.fc2.weight)
    before = model(images())
    assert torch.equal(model(images()), before)
    assert not torch.equal(copy(images()), before)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert copy.train().forward_features(images()).abs().sum() > 0


@pytest.mark.parametrize(
    "model",
    [
        lambda: create_model(NAMES[0], global_pool="avg"),
        lambda: create_model(NAMES[0], global_pool="map", class_token=False),
        lambda: create_model(NAMES[1], global_pool=""),
        lambda: create_model("cait_micro_xxs_patch8_64"),
        lambda: timm.create_model("deit_tiny_distilled_patch16_224", img_size=64),
        lambda: VisionTransformer(img_size=64, patch_size=8, embed_dim=32, depth=2, num_heads=2, block_fn=OwnBlock),
        lambda: timm.create_model("resnet18"),
    ],
)
def test_models_that_need_the_patches_are_left_alone(model):
    model = model()
    classes = [type(module) for module in model.modules()]
    shorten(model)
    assert [type(module) for module in model.modules()] == classes


class OwnBlock(timm.models.vision_transformer.Block):
    """Somebody's block, of which we cannot know what it computes."""


@pytest.mark.parametrize(("method", "tokens"), [("transmix", 1), ("cutmix", 1), ("tl_align", 1), ("smmix", 65)])
def test_a_task_shortens_the_block_unless_its_method_reads_tokens(method, tokens):
    model = create_model(NAMES[0], num_classes=7)
    MixingTask(model, 7, method, class_token_only=True)
    assert patches_out(model.double()) == tokens
    left = create_model(NAMES[0], num_classes=7)
    MixingTask(left, 7, method)
    assert patches_out(left.double()) == 65


@pytest.mark.parametrize("method", ["transmix", "tl_align", "mixpro", "transmix_only"])
def test_methods_train_as_with_the_whole_block(method):
    found = []
    for short in (False, True):
        torch.manual_seed(0)
        model = create_model(NAMES[0], num_classes=7)
        always = MixPolicy(mixup_alpha=0.0, prob=1.0)
        rng = np.random.default_rng(3)
        task = MixingTask(model, 7, method, always, rng, class_token_only=short).double().train()
        result = task(images(), LABELS)
        result["loss"].backward()
        found.append([result["loss"].detach(), result["lam"], *(each.grad for each in model.parameters())])
    for whole, short in zip(*found, strict=True):
        torch.testing.assert_close(short, whole, rtol=1e-5, atol=1e-8)
