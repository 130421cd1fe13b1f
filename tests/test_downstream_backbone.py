"""One backbone for all families: timm's features, any image size, every tensor of a weights file accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

from downstream.backbone import FAMILIES, TimmTransformer, map_info
from downstream.weights import load_weights
from transmix.common.errors import UserError
from transmix.models import create_model
from transmix.training.checkpoints import save_weights

EXACT = {"rtol": 0, "atol": 0}
MODELS_AND_INDICES = {
    "deit_micro_tiny_patch8_64": (0, 3),
    "cait_micro_xxs_patch8_64": (1, 3),
    "xcit_micro_tiny_patch8_64": (0, 2),
    "pvt_micro_tiny_patch2_64": (0, 1, 2, 3),
}
families = pytest.mark.parametrize("name", MODELS_AND_INDICES)


def classifier(name: str, **arguments) -> torch.nn.Module:
    """A model with weights that are nowhere zero, and BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=5, **arguments)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand(tensor.shape))
    return model.eval()


def saved(model: torch.nn.Module, path: Path, name: str) -> Path:
    save_weights(model, path, {"model": name, "num_classes": 5})
    return path


def backbone(name: str, weights: Path, **settings) -> TimmTransformer:
    made = TimmTransformer(name, MODELS_AND_INDICES[name], str(weights), **settings)
    made.init_weights()
    return made.eval()


@pytest.fixture(params=MODELS_AND_INDICES)
def pair(request, tmp_path):
    """A classifier and the backbone that is made of its weights."""
    model = classifier(request.param)
    return model, backbone(request.param, saved(model, tmp_path / "weights.safetensors", request.param))


def noise(*size: int) -> torch.Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


def test_it_is_registered_for_both_libraries():
    assert MODELS.get("TimmTransformer") is TimmTransformer


def test_at_the_trained_size_the_maps_are_timms(pair):
    model, made = pair
    # PVT's stage 4 attends to a class token in the classifier, and to none in a backbone, as in PVT's own dense code
    pvt = "pvt" in made.name
    indices = made.out_indices[:3] if pvt else made.out_indices
    expected = model.forward_intermediates(noise(64, 64), indices, output_fmt="NCHW", intermediates_only=True)
    maps = made(noise(64, 64))
    assert [feature.shape[1] for feature in maps] == map_info(made.name, made.out_indices)[0]
    for feature, right in zip(maps, expected, strict=not pvt):
        torch.testing.assert_close(feature, right, **EXACT)


def test_pvt_is_timms_features_only(tmp_path):
    name = "pvt_micro_tiny_patch2_64"
    model = classifier(name)
    made = backbone(name, saved(model, tmp_path / "weights.safetensors", name))
    features = create_model(name, features_only=True).eval()
    features.model.load_state_dict({key: model.state_dict()[key] for key in features.model.state_dict()})
    for feature, right in zip(made(noise(96, 64)), features(noise(96, 64)), strict=True):
        torch.testing.assert_close(feature, right, **EXACT)


@pytest.mark.parametrize("size", [(64, 64), (96, 128), (75, 101), (375, 500)])
def test_any_size_gives_maps_of_the_expected_grid(pair, size):
    _, made = pair
    if "cait" in made.name and size == (375, 500):
        size = (187, 250)  # in patches of 8, its talking heads would take seconds
    maps = made(noise(*size)[:1])
    for feature, index in zip(maps, made.out_indices, strict=True):
        if "pvt" in made.name:  # each stage halves, and drops what is left over
            grid = tuple(side // 2 ** (index + 1) for side in size)
        else:
            grid = tuple(-(-side // 8) for side in size)
        assert feature.shape[2:] == grid
        assert feature.isfinite().all()


@families
def test_images_of_several_sizes_are_seen_alike(name, tmp_path):
    """A flat image has about the same features at any size: position tables are resized, not cut."""
    made = backbone(name, saved(classifier(name), tmp_path / "weights.safetensors", name))
    small, large = made(torch.ones(1, 3, 64, 64)), made(torch.ones(1, 3, 128, 96))
    for before, after in zip(small, large, strict=True):
        difference = (before.mean((2, 3)) - after.mean((2, 3))).norm() / before.mean((2, 3)).norm()
        assert difference < 0.5


@pytest.mark.parametrize("name", ["deit_micro_tiny_patch8_64", "cait_micro_xxs_patch8_64"])
def test_tables_resized_once_or_at_every_step_are_the_same(name, tmp_path):
    path = saved(classifier(name), tmp_path / "weights.safetensors", name)
    once, always = backbone(name, path, img_size=96), backbone(name, path)
    assert once.model.pos_embed.shape[1] > always.model.pos_embed.shape[1]
    for left, right in zip(once(noise(96, 96)), always(noise(96, 96)), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)


@families
@pytest.mark.parametrize("final_norm", [False, True])
def test_every_parameter_gets_a_gradient(name, final_norm):
    made = TimmTransformer(name, MODELS_AND_INDICES[name], final_norm=final_norm and "pvt" not in name)
    sum(feature.sum() + feature.square().sum() for feature in made(noise(64, 64))).backward()
    assert [key for key, parameter in made.named_parameters() if parameter.grad is None] == []


@families
def test_recomputing_activations_changes_no_gradient(name, tmp_path):
    path = saved(classifier(name), tmp_path / "weights.safetensors", name)
    gradients = []
    for with_cp in (False, True):
        made = backbone(name, path, with_cp=with_cp)
        assert made.model.grad_checkpointing is with_cp
        sum(feature.square().sum() for feature in made.train()(noise(64, 64))).backward()
        gradients.append([parameter.grad for parameter in made.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed, **EXACT)


def test_final_norm_is_applied(tmp_path):
    name = "deit_micro_tiny_patch8_64"
    model = classifier(name)
    path = saved(model, tmp_path / "weights.safetensors", name)
    (feature,) = _last(name, path, final_norm=True)(noise(64, 64))
    tokens = model.forward_features(noise(64, 64))[:, 1:]
    torch.testing.assert_close(feature.flatten(2).transpose(1, 2), tokens, **EXACT)


def _last(name: str, path: Path, **settings) -> TimmTransformer:
    made = TimmTransformer(name, (3,), str(path), **settings)
    made.init_weights()
    return made.eval()


@families
def test_a_map_may_be_asked_for_twice(name):
    made = TimmTransformer(name, (2, 0, 2)).eval()
    later, earlier, again = made(noise(64, 64))
    torch.testing.assert_close(later, again, **EXACT)
    for index, feature in ((0, earlier), (2, later)):
        made.out_indices = [index]
        torch.testing.assert_close(made(noise(64, 64))[0], feature, **EXACT)


def test_drop_path_reaches_the_blocks():
    made = TimmTransformer("deit_micro_tiny_patch8_64", (3,), drop_path_rate=0.3)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in made.model.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_the_report_names_every_tensor_that_is_dropped_or_resized(tmp_path):
    name = "deit_micro_tiny_patch8_64"
    model = classifier(name)
    path = saved(model, tmp_path / "weights.safetensors", name)
    made = TimmTransformer(name, (1,), img_size=96)
    whole = create_model(name, img_size=96)
    report = load_weights(made.model, name, whole, FAMILIES[type(whole)].convert, path)
    assert set(report.loaded) == set(made.model.state_dict())
    assert set(report.loaded) | set(report.dropped) == set(model.state_dict())
    assert not set(report.loaded) & set(report.dropped)
    assert {key.split(".")[0] for key in report.dropped} == {"blocks", "norm", "head"}
    assert report.resized == {"pos_embed": ((1, 65, 64), (1, 145, 64))}
    line = str(report)
    assert "\n" not in line
    for part in ("blocks.2.norm1.weight", "head.bias", "resized pos_embed from (1, 65, 64) to (1, 145, 64)"):
        assert part in line


def test_public_checkpoints_of_torch_load_too(tmp_path):
    """As PVT's and DeiT's are: a dict under "model", with a classifier of any size."""
    name = "pvt_micro_tiny_patch2_64"
    model = classifier(name)
    torch.save({"model": model.state_dict()}, tmp_path / "weights.pth")
    made = backbone(name, tmp_path / "weights.pth")
    torch.testing.assert_close(made.model.pos_embed4, model.pos_embed4, **EXACT)


def refused(name: str, path: Path) -> str:
    with pytest.raises(UserError) as caught:
        backbone(name, path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_another_models_weights_are_refused(tmp_path):
    tiny, small = "deit_micro_tiny_patch8_64", "deit_micro_small_patch8_64"
    named = saved(classifier(small), tmp_path / "named.safetensors", small)
    assert f"holds {small}, the backbone is {tiny}" in refused(tiny, named)
    torch.save(classifier(small).state_dict(), tmp_path / "unnamed.pth")
    assert "has shape" in refused(tiny, tmp_path / "unnamed.pth")
    for other, reason in {
        "cait_micro_xxs_patch8_64": "invalid",
        "pvt_micro_tiny_patch2_64": "it lacks blocks.0",
    }.items():
        torch.save(classifier(other).state_dict(), tmp_path / "family.pth")
        assert reason in refused(tiny, tmp_path / "family.pth")
    extended = classifier(tiny).state_dict() | {"blocks.4.norm1.weight": torch.ones(64)}
    torch.save(extended, tmp_path / "deeper.pth")
    assert "also has blocks.4.norm1.weight" in refused(tiny, tmp_path / "deeper.pth")
    table = classifier(tiny).state_dict() | {"pos_embed": torch.ones(1, 68, 64)}
    torch.save(table, tmp_path / "table.pth")  # 67 patches are no square
    assert "does not fit" in refused(tiny, tmp_path / "table.pth")


class Harmful:
    """Something whose loading would run code."""

    def __reduce__(self):
        return (print, ("code ran",))


def test_files_that_cannot_be_read_are_refused(tmp_path, capsys):
    name = "deit_micro_tiny_patch8_64"
    assert "no such weights file" in refused(name, tmp_path / "none.safetensors")
    assert "no such weights file" in refused(name, tmp_path / "none.pth")
    (tmp_path / "broken.pth").write_bytes(b"nothing of the kind")
    assert "not readable" in refused(name, tmp_path / "broken.pth")
    torch.save({"model": Harmful()}, tmp_path / "harmful.pth")
    assert "without running code" in refused(name, tmp_path / "harmful.pth")
    assert "code ran" not in capsys.readouterr().out


def test_models_without_maps_are_refused():
    with pytest.raises(UserError, match="ResNet"):
        TimmTransformer("resnet18", (0,))
    with pytest.raises(UserError, match="did you mean 'deit_micro_tiny_patch8_64'"):
        TimmTransformer("deit_micro_tiny_patch8", (0,))
