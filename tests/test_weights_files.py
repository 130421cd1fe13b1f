"""Weights files as people have them: one model in many forms, read by one rule that says what it took."""

from __future__ import annotations

import argparse
import pathlib
import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
from micro_weights import MODEL, random_state
from safetensors.torch import save_file

from robustness import models as robustness_models
from robustness.models import DINO
from transmix.training.checkpoints import read_checkpoint


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_state()


def prefixed(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def other(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Plain weights, beside which `state` is the average."""
    return {name: tensor + 1 for name, tensor in state.items()}


FORMS = {
    "plain": lambda state: state,
    "ordered": OrderedDict,
    "model": lambda state: {"model": state},
    "ddp": lambda state: prefixed("module.", state),
    "compiled": lambda state: {"state_dict": prefixed("_orig_mod.", state)},
    "both": lambda state: {"state_dict": prefixed("module._orig_mod.", state)},
    "lightning": lambda state: {
        "state_dict": prefixed("model.", state) | {"criterion.weight": torch.ones(4)},
        "pytorch-lightning_version": "2.1",
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}}],
    },
    "twice ddp": lambda state: {"model": prefixed("module.module.", state)},
    "fsdp": lambda state: {
        f"_fsdp_wrapped_module.{name.replace('.1.', '.1._fsdp_wrapped_module._checkpoint_wrapped_module.')}": tensor
        for name, tensor in state.items()
    },
    "compiled blocks": lambda state: {
        "model_state": {name.replace("blocks.0.", "blocks.0._orig_mod."): tensor for name, tensor in state.items()},
        "optimizer_state": {"state": {0: {"exp_avg": torch.ones(2)}}},
    },
    "net": lambda state: {"net": prefixed("net.", state), "epoch": 3, "acc": 0.5},
    "backbone": lambda state: {"state_dict": prefixed("backbone.", state), "meta": {"epoch": 3}},
    "swa": lambda state: prefixed("module.", state) | {"n_averaged": torch.tensor(3)},
    "timm ema": lambda state: {"arch": MODEL, "state_dict": other(state), "state_dict_ema": state, "args": None},
    "empty ema": lambda state: {"state_dict": state, "state_dict_ema": {}, "model_ema": None},
    "convnext ema": lambda state: {"model": other(state), "model_ema": state},
    "other ema": lambda state: {"model": other(state), "ema_state_dict": prefixed("module.", state)},
    "swa beside": lambda state: {"state_dict": other(state), "swa_model": state},
    "no ema": lambda state: {"schema": {"a": torch.ones(1)}, "model": state, "ema_decay": 0.99},
    "dino": lambda state: {
        "student": prefixed("module.backbone.", other(state)) | {"module.head.mlp.0.weight": torch.ones(2)},
        "teacher": prefixed("backbone.", state) | {"head.mlp.0.weight": torch.ones(2)},
        "dino_loss": {"center": torch.ones(1, 3)},
        "args": argparse.Namespace(arch="vit_small", output_dir=pathlib.Path("/out")),
    },
    "flat teacher": lambda state: prefixed("student.", other(state)) | prefixed("teacher.", state),
    "namespace": lambda state: {"model": state, "args": argparse.Namespace(lr=1.0, seed=np.int64(3))},
    "path": lambda state: {"model": state, "args": argparse.Namespace(path=pathlib.PosixPath("/x"))},
    "numpy scalar": lambda state: {"model": state, "best_acc1": np.float64(71.2), "np": np.ones(3)},
    "classifier beside": lambda state: {
        ("" if name.startswith("head.") else "backbone.") + name: tensor for name, tensor in state.items()
    },
    "odd key": lambda state: {"my_weights": state, "epoch": 1},
    "extra number": lambda state: state | {"epoch": 3},
    "ema list": lambda state: {"state_dict": prefixed("module.", other(state)), "state_dict_ema": [*state.values()]},
    "torch_ema": lambda state: {
        "model": other(state),
        "ema": {
            "decay": 0.99,
            "num_updates": 3,
            "shadow_params": [*state.values()],
            "collected_params": [torch.ones(2)],
        },
    },
    "shadow": lambda state: {"model": other(state), "shadow_params": (*state.values(),), "optimizer": {"state": {}}},
    "shadow dict": lambda state: {"model": other(state), "shadow": state},
    "losses": lambda state: {"model": state, "ema_loss": [torch.tensor(2.0)]},
    "numbered": lambda state: {"model": other(state), "ema": dict(enumerate(state.values()))},
    "averaged": lambda state: {"model": other(state), "averaged_model": state},
    "the last, not the best": lambda state: {"state_dict": state, "best_state_dict": other(state)},
    "capitals": lambda state: {"model": other(state), "modelEMA": state},
}


@pytest.mark.parametrize("form", FORMS)
def test_one_model_in_all_forms_gives_the_same_tensors(form, state, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(FORMS[form](state), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_checkpoint(path)
    assert found.tensors.keys() == state.keys()
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in state.items())
    assert "\n" not in found.taken
    assert f"{len(state)} tensors" in found.taken


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("plain", "as they are"),
        ("timm ema", "of the moving average 'state_dict_ema' (not the plain weights 'state_dict')"),
        ("dino", "of the moving average 'teacher' (not the plain weights 'student'), without the prefix 'backbone.'"),
        ("dino", "left out: head.mlp.0.weight"),
        ("lightning", "without the prefix 'model.' (left out: criterion.weight)"),
        ("other ema", "of the moving average 'ema_state_dict' (not the plain weights 'model'), without the prefix"),
        ("fsdp", "tensors without '_fsdp_wrapped_module.' within names"),
        ("both", "of 'state_dict', without the prefix 'module.', without the prefix '_orig_mod.'"),
        ("extra number", "without epoch, which is no tensor"),
        ("the last, not the best", "of 'state_dict' (not of 'best_state_dict', with tensors of the same shapes)"),
        ("torch_ema", "of the moving average 'ema.shadow_params', a list, named in the order of 'model'"),
    ],
)
def test_the_sentence_says_what_was_taken(form, said, state, tmp_path):
    torch.save(FORMS[form](state), tmp_path / "weights.pth")
    assert said in read_checkpoint(tmp_path / "weights.pth").taken


def test_a_list_has_parameters_only_and_statistics_stay(tmp_path):
    state = {"a.weight": torch.ones(2), "a.running_mean": torch.ones(2), "a.num_batches_tracked": torch.tensor(1)}
    ema = [torch.zeros(2), torch.zeros(1, 3)]
    torch.save({"model": state | {"b": torch.ones(1, 3)}, "ema": ema}, tmp_path / "weights")
    found = read_checkpoint(tmp_path / "weights").tensors
    assert {name: tensor.sum().item() for name, tensor in found.items()} == {
        "a.weight": 0,
        "a.running_mean": 2,
        "a.num_batches_tracked": 1,
        "b": 0,
    }


@pytest.mark.parametrize("name", ["weights.pth", "weights.bin", "weights.safetensors", "weights"])
@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_the_content_says_how_to_read_it_not_the_suffix(form, name, state, tmp_path):
    path = tmp_path / name
    if form == "safetensors":
        save_file(prefixed("module.", state), path)
    else:
        torch.save({"model": state}, path, _use_new_zipfile_serialization=form == "zip")
    found = read_checkpoint(path).tensors
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_files_without_sums_are_read(state, tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "weights.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_checkpoint(tmp_path / "weights.pth").tensors.keys() == state.keys()


def test_dinos_file_is_read_by_the_same_rule(state, tmp_path, monkeypatch):
    monkeypatch.setattr(robustness_models, "DINO", MODEL)
    backbone = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    torch.save(FORMS["dino"](backbone), tmp_path / "whole.pth")
    torch.save(backbone, tmp_path / "backbone.pth")
    whole, alone = (robustness_models.load_dino(tmp_path / name, 64) for name in ("whole.pth", "backbone.pth"))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), alone.parameters(), strict=True))
    assert DINO != MODEL
