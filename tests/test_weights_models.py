"""The model that a weights file is for: its header sets only what is allowed, and its tensors must fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from micro_weights import MODEL, random_state
from safetensors.torch import save_file

from robustness.models import load_trained_model
from transmix.common.errors import UserError
from transmix.models import create_model
from transmix.training.checkpoints import load_model


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_state()


def headed(path: Path, state: dict[str, torch.Tensor], about: object) -> Path:
    text = about if isinstance(about, str) else json.dumps(about)
    save_file(state, path, metadata={"about": text})
    return path


ABOUT = {"model": MODEL, "num_classes": 4, "image_size": 64, "mean": [0.5] * 3, "std": [0.2] * 3, "model_args": {}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_args": {"pretrained": True}}, "'pretrained', which no file may set"),
        ({"model_args": {"checkpoint_path": "/etc/passwd"}}, "'checkpoint_path', which no file may set"),
        ({"model_args": {"pretrained_cfg_overlay": {"url": "http://localhost"}}}, "which no file may set"),
        ({"model_args": {"img_size": "64"}}, "img_size='64', which makes no sense"),
        ({"model_args": {"img_size": 10**9}}, "img_size=1000000000, which makes no sense"),
        ({"model_args": {"drop_path_rate": 7}}, "drop_path_rate=7"),
        ({"model_args": {"global_pool": ["token"]}}, "global_pool="),
        ({"model_args": [1]}, "model_args=[1]"),
        ({"model_args": {"patch_size": 7}}, "size mismatch"),
        ({"model": 3}, "model=3"),
        ({"model": "hf-hub:someone/else"}, "holds hf-hub:someone/else, not"),
        ({"num_classes": -1}, "num_classes=-1"),
        ({"num_classes": True}, "num_classes=True"),
        ({"image_size": 0}, "image_size=0"),
        ({"image_size": 63}, "its header says image_size=63, its model takes 64 x 64"),
        ({"mean": None}, "mean=None"),
        ({"std": [0, 0, 0]}, "std=[0, 0, 0]"),
        ({"std": [float("nan")] * 3}, "std="),
    ],
)
def test_a_header_sets_only_what_is_allowed(changes, message, state, tmp_path):
    path = headed(tmp_path / "weights.safetensors", state, ABOUT | changes)
    with pytest.raises(UserError) as caught:
        load_trained_model(MODEL, path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_of_a_model_that_cannot_be_made(state, tmp_path):
    about = {"model": "test_resnet", "num_classes": 4, "model_args": {"img_size": 64}}
    with pytest.raises(UserError, match="describes a test_resnet that cannot be made"):
        load_model(headed(tmp_path / "weights.safetensors", state, about))


@pytest.mark.parametrize("about", ["[" * 100_000, "{" * 9, "3", '"text"', "[]"])
def test_a_header_that_is_no_object(about, state, tmp_path):
    with pytest.raises(UserError, match="not readable"):
        load_model(headed(tmp_path / "weights.safetensors", state, about))


@pytest.mark.parametrize("name", sorted(ABOUT.keys() - {"model", "model_args"}))
def test_a_header_that_lacks_something(name, state, tmp_path):
    about = {key: value for key, value in ABOUT.items() if key != name}
    with pytest.raises(UserError, match=f"does not say {name}"):
        load_trained_model(MODEL, headed(tmp_path / "weights.safetensors", state, about))


def test_weights_of_other_sizes_are_not_resized_without_a_word(state, tmp_path):
    def refused(**changes: torch.Tensor) -> str:
        torch.save(state | changes, tmp_path / "weights.pth")
        with pytest.raises(UserError) as caught:
            load_trained_model(MODEL, tmp_path / "weights.pth")
        return str(caught.value)

    assert "its patches are (16, 16) px" in refused(**{"patch_embed.proj.weight": torch.ones(64, 3, 16, 16)})
    assert "its images have 145 tokens, the model's 65" in refused(pos_embed=torch.ones(1, 145, 64))
    assert "size mismatch for head.bias" in refused(**{"head.bias": torch.ones(5)})
    headless = {name: tensor for name, tensor in state.items() if "head" not in name}
    torch.save(headless, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"has no classifier head\.weight"):
        load_trained_model(MODEL, tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["deit_tiny_patch16_224.nope", "vit_tiny_patch16_224.nope"])
def test_a_pretrained_tag_that_there_is_not(name, tmp_path):
    with pytest.raises(UserError, match=r"unknown pretrained tag of .* 'nope': (known|did you mean)"):
        load_trained_model(name, tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"unknown pretrained tag of .* '': (known|did you mean)"):
        load_trained_model(name.removesuffix("nope"), tmp_path / "none.pth")


def test_an_unknown_model_is_one_short_line():
    for name in ("nope", "hf-hub:timm/resnet50", "x" * 10_000, ""):
        with pytest.raises(UserError) as caught:
            create_model(name)
        assert len(str(caught.value)) < 250
        assert "nearest of" in str(caught.value)
