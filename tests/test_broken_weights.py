"""Weights files that cannot be read: each is called by its name, and nothing in a file is run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from micro_weights import random_state
from safetensors.torch import save
from torch import nn

from transmix.common.errors import UserError
from transmix.models.local import count_classes
from transmix.training.checkpoints import read_checkpoint


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_state()


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
