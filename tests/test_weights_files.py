"""Weights files as people have them: one reader, one rule, and what cannot be read is called by its name."""

from __future__ import annotations

import argparse
import io
import json
import os
import pathlib
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from robustness import models as robustness_models
from robustness.models import DINO, load_trained_model
from transmix.common.errors import UserError
from transmix.models import create_model
from transmix.models.local import count_classes
from transmix.training.checkpoints import load_model, read_checkpoint

MODEL = "deit_micro_tiny_patch8_64"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return create_model(MODEL, num_classes=4).state_dict()


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


class Harmful:
    """Something whose loading would run code."""

    def __init__(self, function: Callable, path: Path) -> None:
        self.function, self.path = function, path

    def __reduce__(self):
        return (self.function, (str(self.path),))


def written(data: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(data, buffer)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.ones(3))
    return buffer.getvalue()


def spoiled(state: dict[str, torch.Tensor], value: float) -> bytes:
    return written(state | {"blocks.1.norm1.weight": torch.full((64,), value)})


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]


BROKEN = {
    "empty": (lambda state: b"", "it is empty): download or copy it again"),
    "lfs": (lambda state: b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "pointer of Git LFS"),
    "lfs with a mark": (lambda state: b"\xef\xbb\xbfversion https://git-lfs.github.com/spec/v1", "pointer of Git LFS"),
    "html": (lambda state: b"<!DOCTYPE html><html>not found</html>" * 9, "it is a web page): download the file itself"),
    "xml": (lambda state: b"\n<?xml version='1.0'?><Error>AccessDenied</Error>", "it is a web page"),
    "index": (lambda state: b'{"weight_map": {"a": "b"}}' * 9, "or an index of several files"),
    "json": (lambda state: b'{"error": "rate limited"}' * 9, "it is text"),
    "gzip": (lambda state: b"\x1f\x8b\x08\x00" + bytes(99), "it is compressed): unpack it"),
    "cut off": (lambda state: written(state)[:3000], "its end is missing or damaged): download or copy it again"),
    "cut by a byte": (lambda state: written(state)[:-60], "its end is missing or damaged"),
    "cut legacy": (lambda state: pickle.dumps({"a": 1}, 2)[:-4], "damaged"),
    "pickle": (lambda state: pickle.dumps({"a": [1, 2]}), "a pickle that torch.save did not write"),
    "cut safetensors": (lambda state: save(state)[:-9], "is not readable"),
    "safetensors header": (lambda state: struct.pack("<Q", 9) + b'{"a": no}' + bytes(20), "is not readable"),
    "npz": (lambda state: arrays(), "arrays of NumPy"),
    "another zip": (lambda state: zipped(**{"a.txt": b"hello"}), "a zip file of something else"),
    "script": (lambda state: zipped(m__constants=b"", **{"m__constants.pkl": b""}), "a TorchScript program"),
    "noise": (lambda state: bytes(range(256)) * 9, "neither PyTorch's nor safetensors"),
    "whole model": (lambda state: written(nn.Linear(2, 2)), "holds torch.nn.modules.linear.Linear"),
    "numbers": (lambda state: written({"accuracy": 3}), "holds no state dict: save model.state_dict()"),
    "tensor": (lambda state: written(torch.ones(3)), "holds no state dict"),
    "list": (lambda state: written([1, 2]), "holds no state dict"),
    "two": (lambda state: written({"generator": state, "critic": state}), "several state dicts (critic, generator)"),
    "arrays in a pickle": (lambda state: written({"model": {"a": np.ones(3)}}), "holds no state dict"),
    "nan": (lambda state: spoiled(state, float("nan")), "NaN or infinity (64 of 64 values of blocks.1.norm1.weight)"),
    "infinity": (lambda state: spoiled(state, float("-inf")), "NaN or infinity"),
    "nan in safetensors": (lambda state: save(state | {"head.bias": torch.full((4,), torch.nan)}), "holds NaN"),
    "averages": (
        lambda state: written({"model": state, "ema_0.9": state, "ema_0.99": state}),
        "several moving averages",
    ),
    "a list alone": (
        lambda state: written({"decay": 0.99, "shadow_params": [*state.values()]}),
        "tensors without names (shadow_params), and no weights beside it to name them by: save it as a state dict",
    ),
    "a list that is shorter": (
        lambda state: written({"model": state, "ema": [*state.values()][1:]}),
        "tensors without names (ema), which are not those of 'model' in number and shapes",
    ),
    "two lists": (
        lambda state: written({"model": state, "ema": {"a": [*state.values()], "b": [*state.values()]}}),
        "several moving averages (ema.a, ema.b)",
    ),
    "a list in another order": (
        lambda state: written({"model": state, "ema": [*state.values()][::-1]}),
        "which are not those of 'model' in number and shapes",
    ),
    "one bit": (lambda state: flipped(written(state)), "it is damaged: archive/data/"),
    "sparse": (lambda state: written(state | {"head.weight": torch.eye(4).to_sparse()}), "is sparse"),
    "integers": (lambda state: written({name: value.to(torch.int8) for name, value in state.items()}), "of torch.int8"),
    "eight bits": (
        lambda state: written(state | {"head.bias": torch.ones(4).to(torch.float8_e4m3fn)}),
        "of torch.float8",
    ),
    "complex": (lambda state: written(state | {"cls_token": torch.ones(1, 1, 64) * 1j}), "of torch.complex64"),
    "stretched": (lambda state: written({"a": torch.zeros(1).expand(10**9)}), "repeats a few values"),
}


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_read_is_called_by_its_name(case, name, state, tmp_path):
    make, message = BROKEN[case]
    path = tmp_path / name
    path.write_bytes(make(state))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError) as caught:
            read_checkpoint(path)
    said = str(caught.value)
    assert message in said
    assert str(path) in said
    assert "\n" not in said
    assert len(said) - len(str(path)) < 300


def test_a_classifier_of_zeros_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"all of head\.weight is 0, so every image would be of class 0"):
        count_classes("deit_tiny_patch16_224", tmp_path / "weights.pth", {"head.weight": torch.zeros(4, 64)})


def test_a_folder_and_nothing_at_all(tmp_path):
    with pytest.raises(UserError, match="is a folder: name the file in it"):
        read_checkpoint(tmp_path)
    with pytest.raises(UserError, match="no such weights file"):
        read_checkpoint(tmp_path / "none.pth")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("place", ["args", "state_dict"])
@pytest.mark.parametrize(
    ("function", "named"), [(os.mkdir, "mkdir"), (Path.touch, "a call of a function"), (os.system, "system")]
)
def test_nothing_in_a_file_is_run(place, function, named, legacy, state, tmp_path):
    path, touched = tmp_path / "weights.pth", tmp_path / "touched"
    content = {"model": state} | {place: Harmful(function, touched)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UserError, match=rf"without running code \(it holds .*{named}"):
        read_checkpoint(path)
    assert not touched.exists()


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


def test_dinos_file_is_read_by_the_same_rule(state, tmp_path, monkeypatch):
    monkeypatch.setattr(robustness_models, "DINO", MODEL)
    backbone = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    torch.save(FORMS["dino"](backbone), tmp_path / "whole.pth")
    torch.save(backbone, tmp_path / "backbone.pth")
    whole, alone = (robustness_models.load_dino(tmp_path / name, 64) for name in ("whole.pth", "backbone.pth"))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), alone.parameters(), strict=True))
    assert DINO != MODEL
