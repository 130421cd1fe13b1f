"""A last block that computes the class token alone trains as the whole block does."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy

import numpy as np
import pytest
import timm
import torch
from timm.models import VisionTransformer, vision_transformer, xcit
from torch import nn
from training_runs import trainer

from transmix.attention import ClassAttention
from transmix.mixing import MixPolicy
from transmix.models import create_model
from transmix.models.last_block import class_token_only
from transmix.task import MixingTask

LABELS = torch.tensor([1, 4, 0, 2])
DEIT, PVT, XCIT = NAMES = ("deit_micro_tiny_patch8_64", "pvt_micro_tiny_patch2_64", "xcit_micro_tiny_patch8_64")


def images() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def training(name: str, **settings) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, num_classes=7, **settings).double().train()


def tokens_of(model: nn.Module, run) -> list[int]:
    """How many tokens the final norm sees in each pass of `run`."""
    seen = []
    handle = model.norm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[1]))
    run()
    handle.remove()
    return seen


def gradients(model: nn.Module, context) -> list[torch.Tensor]:
    torch.manual_seed(5)  # stochastic depth drops the same images
    model.zero_grad()
    with context:
        loss = nn.functional.cross_entropy(model(images()), LABELS)
    loss.backward()
    return [loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {"drop_path_rate": rate}) for name in NAMES for rate in (0.0, 0.5)),
        (DEIT, {"reg_tokens": 4}),
        (DEIT, {"init_values": 0.1, "qk_norm": True}),
        (DEIT, {"fc_norm": True}),
    ],
)
def test_loss_and_gradients_are_those_of_the_whole_block(name, settings):
    model = training(name, **settings)
    whole, short = gradients(model, nullcontext()), gradients(model, class_token_only(model))
    assert len(whole) > 20
    for each, other in zip(short, whole, strict=True):
        torch.testing.assert_close(each, other, rtol=1e-10, atol=1e-13)
    with class_token_only(model):
        assert tokens_of(model, lambda: model(images())) == [1]


@pytest.mark.parametrize("tokens_norm", [True, False])
def test_a_class_attention_block_with_stochastic_depth(tokens_norm):
    torch.manual_seed(0)
    model = training(XCIT)
    model.cls_attn_blocks[-1] = xcit.ClassAttentionBlock(48, 3, drop_path=0.5, tokens_norm=tokens_norm).double()
    for short, whole in zip(gradients(model, class_token_only(model)), gradients(model, nullcontext()), strict=True):
        torch.testing.assert_close(short, whole, rtol=1e-10, atol=1e-13)


def test_a_mask_reaches_the_block():
    model, mask = training(DEIT), torch.rand(65, 65, generator=torch.Generator().manual_seed(2)) > 0.3
    whole = model.forward_features(images(), attn_mask=mask)[:, 0]
    with class_token_only(model):
        short = model.forward_features(images(), attn_mask=mask)[:, 0]
    torch.testing.assert_close(short, whole, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_afterwards_the_model_is_as_it_was(name):
    model = training(name)
    classes, before = [type(module) for module in model.modules()], model.forward_features(images())
    with class_token_only(model):
        short = model.forward_features(images())
        copy = deepcopy(model)
    assert short.shape[1] == 1
    assert torch.equal(model.forward_features(images()), before)
    assert [type(module) for module in model.modules()] == classes
    nn.init.zeros_(copy.head.weight)  # a copy has weights of its own, also one that is made within
    nn.init.zeros_(next(copy.parameters()))
    assert torch.equal(model.forward_features(images()), before)
    with pytest.raises(RuntimeError, match="type"), class_token_only(model):
        model(images().float())
    assert [type(module) for module in model.modules()] == classes


@pytest.mark.parametrize("name", NAMES)
def test_class_attention_is_read_as_before(name):
    model, read = training(name), []
    reader = ClassAttention(model)
    for context in (nullcontext(), class_token_only(model)):
        with context:
            model(images())
        read.append(reader.take())
    assert torch.equal(*read)


class OwnBlock(vision_transformer.Block):
    """Somebody's block, of which we cannot know what it computes."""


class OwnMlp(timm.layers.Mlp):
    """Somebody's MLP, which may look at all tokens."""


def vit(**settings) -> VisionTransformer:
    return VisionTransformer(img_size=64, patch_size=8, embed_dim=32, depth=2, num_heads=2, **settings)


def with_checkpoints() -> nn.Module:
    model = training(PVT)
    model.set_grad_checkpointing()
    return model


@pytest.mark.parametrize(
    "model",
    [
        lambda: create_model(DEIT, global_pool="avg"),
        lambda: create_model(DEIT, global_pool="map", class_token=False),
        lambda: create_model(PVT, global_pool=""),
        lambda: create_model("cait_micro_xxs_patch8_64"),
        lambda: timm.create_model("deit_tiny_distilled_patch16_224", img_size=64),
        lambda: vit(block_fn=OwnBlock),
        lambda: vit(mlp_layer=OwnMlp),
        lambda: vit(mlp_layer=timm.layers.GluMlp),
        with_checkpoints,
        lambda: timm.create_model("resnet18"),
    ],
)
def test_models_that_need_the_patches_are_left_alone(model):
    model = model()
    classes = [type(module) for module in model.modules()]
    with class_token_only(model):
        assert [type(module) for module in model.modules()] == classes


@pytest.mark.parametrize(("method", "tokens"), [("transmix", 1), ("cutmix", 1), ("tl_align", 1), ("smmix", 65)])
def test_a_task_does_so_unless_its_method_reads_tokens(method, tokens):
    model = create_model(DEIT, num_classes=7)
    always = MixPolicy(mixup_alpha=0.0, prob=1.0)
    task = MixingTask(model, 7, method, always, class_token_only=True)
    assert tokens_of(model, lambda: task.train()(images().float(), LABELS))[-1] == tokens
    assert tokens_of(model, lambda: task.eval()(images().float(), LABELS))[-1] == 65
    whole = MixingTask(model, 7, method, always).train()
    assert tokens_of(model, lambda: whole(images().float(), LABELS))[-1] == 65


@pytest.mark.parametrize("method", ["transmix", "tl_align", "mixpro", "transmix_only"])
def test_methods_train_as_with_the_whole_block(method):
    found = []
    for short in (False, True):
        model = training(DEIT)
        always = MixPolicy(mixup_alpha=0.0, prob=1.0)
        task = MixingTask(model, 7, method, always, np.random.default_rng(3), class_token_only=short).double().train()
        result = task(images(), LABELS)
        result["loss"].backward()
        found.append([result["loss"].detach(), result["lam"], *(each.grad for each in model.parameters())])
    for whole, short in zip(*found, strict=True):
        torch.testing.assert_close(short, whole, rtol=1e-5, atol=1e-8)


def test_a_pass_of_a_methods_own_sees_all_tokens(monkeypatch):
    model, seen = create_model(DEIT, num_classes=7), []
    task = MixingTask(model, 7, "cutmix", MixPolicy(mixup_alpha=0.0, prob=1.0), class_token_only=True)

    def loss(step):
        seen.append(step.model.forward_features(step.images).shape[1])
        return step.output.sum() * 0

    monkeypatch.setattr(task, "own", {"loss": loss})
    task.train()(images().float(), LABELS)
    assert seen == [65]


def test_training_does_so_and_evaluation_does_not(shared_folders, tmp_path):
    run = trainer(shared_folders, tmp_path, epochs=2, report_ema=False)
    seen = tokens_of(run.model, run.run)
    whole = max(seen)
    assert sorted(set(seen)) == [1, whole]
    assert seen[-1] == whole
    assert seen.count(1) >= run.step
