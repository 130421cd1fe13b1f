"""PVT v1 keeps the promises of a timm model: features, heads, groups of parameters, checkpoints."""

from __future__ import annotations

from copy import deepcopy

import pytest
import timm
import torch
from micro_pvt import CLOSE, EXACT, MICRO, micro, noise, stages
from timm.models._manipulate import group_parameters
from timm.optim import create_optimizer_v2

from transmix.models.pvt import checkpoint_filter_fn


@pytest.fixture
def images() -> torch.Tensor:
    return noise(64, 64)


def test_features_then_head_is_the_model(images):
    model = micro()
    tokens = model.forward_features(images)
    assert tokens.shape == (2, 17, 64)
    torch.testing.assert_close(model.forward_head(tokens), model(images), **EXACT)
    torch.testing.assert_close(model.forward_head(tokens, pre_logits=True), tokens[:, 0], **EXACT)
    torch.testing.assert_close(model.head(tokens[:, 0]), model(images), **EXACT)


def test_last_map_is_the_tokens_before_the_final_norm(images):
    model, seen = micro(), []
    model.norm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    tokens, pyramid = model.forward_intermediates(images)
    torch.testing.assert_close(pyramid[-1].flatten(2).transpose(1, 2), seen[0][:, 1:], **EXACT)
    torch.testing.assert_close(tokens, model.norm(seen[0]), **EXACT)
    normed = model.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)
    torch.testing.assert_close(normed[0].flatten(2).transpose(1, 2), tokens[:, 1:], **EXACT)


def test_some_stages_only(images):
    model = micro()
    _, pyramid = model.forward_intermediates(images)
    assert [tuple(feature.shape[1:]) for feature in pyramid] == [(8, 32, 32), (16, 16, 16), (40, 8, 8), (64, 4, 4)]
    some = model.forward_intermediates(images, indices=[0, 2], stop_early=True, intermediates_only=True)
    for feature, expected in zip(some, (pyramid[0], pyramid[2]), strict=True):
        torch.testing.assert_close(feature, expected, **EXACT)
    with pytest.raises(ValueError, match="NCHW"):
        model.forward_intermediates(images, output_fmt="NLC")


def test_features_only_is_the_detection_backbone(images):
    """Stages 1 to 3 as in the classifier, stage 4 on patch tokens alone."""
    model = micro()
    backbone = timm.create_model(MICRO[1], features_only=True).eval()
    assert backbone.feature_info.channels() == [8, 16, 40, 64]
    assert backbone.feature_info.reduction() == [2, 4, 8, 16]
    backbone.model.load_state_dict({k: v for k, v in model.state_dict().items() if k in backbone.model.state_dict()})
    assert set(model.state_dict()) - set(backbone.model.state_dict()) == {
        "cls_token",
        "norm.weight",
        "norm.bias",
        "head.weight",
        "head.bias",
    }
    pyramid = model.forward_intermediates(images, intermediates_only=True)
    features = backbone(images)
    for feature, expected in zip(features[:3], pyramid[:3], strict=True):
        torch.testing.assert_close(feature, expected, **EXACT)
    x = model.patch_embed4(pyramid[2]) + model.pos_embed4[:, 1:]
    for block in model.block4:
        x = block(x, (4, 4))
    torch.testing.assert_close(features[3].flatten(2).transpose(1, 2), x, **EXACT)
    assert (features[3] - pyramid[3]).abs().max() > 0.01  # there the patches attend to the class token, too


def test_pruning_drops_what_is_not_needed(images):
    model = micro()
    expected = model.forward_intermediates(images, indices=[1], intermediates_only=True)[0]
    assert model.prune_intermediate_layers([1]) == [1]
    assert {name.split(".")[0] for name in model.state_dict()} == {
        f"{part}{stage}" for part in ("patch_embed", "pos_embed", "block") for stage in "12"
    }
    assert (model.num_features, model.grid_size) == (16, (16, 16))
    feature = model.forward_intermediates(images, intermediates_only=True)[-1]
    torch.testing.assert_close(feature, expected, **EXACT)
    torch.testing.assert_close(model(images).transpose(1, 2).unflatten(2, (16, 16)), expected, **EXACT)


def test_gradient_checkpointing_changes_no_gradient(images):
    gradients = []
    for enable in (False, True):
        model = micro().train()
        model.set_grad_checkpointing(enable)
        model(images).square().sum().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(gradients[1][name], gradient, **EXACT)


def test_reset_classifier(images):
    model = micro()
    features = model.forward_head(model.forward_features(images), pre_logits=True)
    model.reset_classifier(3)
    assert model.get_classifier().out_features == model.num_classes == 3
    assert model(images).shape == (2, 3)
    model.reset_classifier(0)
    torch.testing.assert_close(model(images), features, **EXACT)
    model.reset_classifier(0, "")
    torch.testing.assert_close(model(images), model.forward_features(images), **EXACT)
    with pytest.raises(ValueError, match="avg"):
        model.reset_classifier(3, "avg")


def test_drop_path_is_linear_over_all_blocks():
    model = timm.create_model("pvt_tiny", drop_path_rate=0.7, img_size=32)
    rates = [getattr(block.drop_path2, "drop_prob", 0.0) for blocks in stages(model) for block in blocks]
    assert rates == pytest.approx([index / 10 for index in range(8)])


def test_only_the_class_token_and_vectors_escape_weight_decay():
    model = micro()
    free, decayed = create_optimizer_v2(model, "adamw", lr=1e-3, weight_decay=0.05).param_groups
    assert (free["weight_decay"], decayed["weight_decay"]) == (0.0, 0.05)
    assert {id(p) for p in free["params"]} == {
        id(p) for name, p in model.named_parameters() if p.ndim == 1 or name == "cls_token"
    }


@pytest.mark.parametrize(("coarse", "layers"), [(False, 8), (True, 6)])
def test_layers_are_grouped_from_stem_to_head(coarse, layers):
    model = micro()  # stem, 6 blocks, head; coarse: stem, 4 stages, head
    groups = group_parameters(model, model.group_matcher(coarse))
    assert sorted(name for group in groups.values() for name in group) == sorted(
        name for name, _ in model.named_parameters()
    )
    assert len(groups) == layers
    layer = {name: index for index, group in groups.items() for name in group}
    assert layer["patch_embed1.proj.weight"] == layer["pos_embed1"] == 0
    assert layer["cls_token"] == layer["patch_embed4.proj.weight"] == layer["block4.0.norm1.weight"]
    assert layer["norm.weight"] == layer["block4.1.norm1.weight"] == layers - 2
    assert layer["head.weight"] == layers - 1


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"model": d}, lambda d: {"state_dict": d, "epoch": 3}])
def test_checkpoints_load_at_another_size(images, wrap):
    model, larger = micro(), micro(img_size=(96, 160))
    assert larger.grid_size == (6, 10)
    weights = model.state_dict()
    before = deepcopy(weights)
    larger.load_state_dict(checkpoint_filter_fn(wrap(weights), larger))
    torch.testing.assert_close(larger.pos_embed4[:, :1], model.pos_embed4[:, :1], **EXACT)
    torch.testing.assert_close(larger(noise(96, 160)), model(noise(96, 160)), **CLOSE)
    again = micro(img_size=(96, 160))
    again.load_state_dict(checkpoint_filter_fn(larger.state_dict(), again))  # a table of this size is kept
    torch.testing.assert_close(again(noise(96, 160)), larger(noise(96, 160)), **EXACT)
    for name, tensor in weights.items():  # the caller's own
        torch.testing.assert_close(tensor, before[name], **EXACT)
