"""Data sets of torchvision's that timm reads, MNIST and CIFAR-100: the original files or one line."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from named_data import read
from recipes import small_recipe
from torchvision.datasets import CIFAR100

from transmix.common.errors import UserError
from transmix.data.loaders import TrainLoader


def write_idx(path: Path, array: np.ndarray) -> None:
    """MNIST's format: zero, zero, 8 for bytes, number of dimensions; sizes; content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_mnist(root: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng, content = np.random.default_rng(0), {}
    for split, name, count in (("train", "train", 30), ("val", "t10k", 12)):
        content[split] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count) % 10
        write_idx(root / "MNIST" / "raw" / f"{name}-images-idx3-ubyte", content[split][0])
        write_idx(root / "MNIST" / "raw" / f"{name}-labels-idx1-ubyte", content[split][1])
    return content


def test_mnist_through_timm(tmp_path):
    content = write_mnist(tmp_path)
    source = read(f"torch/mnist:{tmp_path}", tmp_path)
    assert source.counts == {"train": 30, "val": 12}
    assert source.classes[:2] == ("0 - zero", "1 - one")
    for split, (pixels, labels) in content.items():
        for index, (image, label) in enumerate(source.open(split)):
            assert image.mode == "RGB"
            assert np.array_equal(np.asarray(image), np.repeat(pixels[index, :, :, None], 3, 2))
            assert label == labels[index]
    batches = [list(TrainLoader(small_recipe(), source.open("train"), 3, workers).epoch(0)) for workers in (0, 2)]
    assert batches[0][0][0].shape == (16, 3, 64, 64)
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(*batches, strict=True))
    assert source.notes == ()
    write_idx(tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte", content["train"][0][2:14])
    changed = read(f"torch/mnist:{tmp_path}", tmp_path)
    assert changed.fingerprint != source.fingerprint
    assert changed.notes[0].startswith(
        "12 of 12 validation images are byte copies of training images, image 0 of mnist val of image 2 of mnist train"
    )
    assert changed.notes[1].startswith("12 images lie in several classes as byte copies")


def write_cifar100(root: Path, monkeypatch) -> np.ndarray:
    """Pickles in CIFAR-100's layout; torchvision is told their sums, or it would refuse them."""
    folder, rng = root / "cifar-100-python", np.random.default_rng(0)
    folder.mkdir(parents=True)
    names = [f"class{label}" for label in range(100)]
    pixels = rng.integers(0, 256, (110, 3 * 32 * 32), dtype=np.uint8)
    content = {
        "train": {"data": pixels[:100], "fine_labels": list(range(100))},
        "test": {"data": pixels[100:], "fine_labels": list(range(90, 100))},
        "meta": {"fine_label_names": names},
    }
    for name, value in content.items():
        (folder / name).write_bytes(pickle.dumps(value))
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in content}
    monkeypatch.setattr(CIFAR100, "train_list", [["train", sums["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", sums["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", CIFAR100.meta | {"md5": sums["meta"]})
    return pixels.reshape(-1, 3, 32, 32)


def test_cifar100_through_timm(tmp_path, monkeypatch):
    pixels = write_cifar100(tmp_path, monkeypatch)
    source = read(f"torch/cifar100:{tmp_path}", tmp_path)
    assert source.counts == {"train": 100, "val": 10}
    assert source.classes[93] == "class93"
    image, label = source.open("val")[3]
    assert np.array_equal(np.asarray(image).transpose(2, 0, 1), pixels[103])
    assert label == 93


class Attack:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_pickle_that_is_not_the_original_is_never_opened(tmp_path, monkeypatch):
    write_cifar100(tmp_path, monkeypatch)
    (tmp_path / "cifar-100-python" / "train").write_bytes(pickle.dumps(Attack(tmp_path / "attacked")))
    with pytest.raises(UserError, match="cifar-100-python is missing or does not hold the original files of cifar100"):
        read(f"torch/cifar100:{tmp_path}", tmp_path)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("content", [None, b"", b"\0\0\x08\x03", struct.pack(">BBBB3I", 0, 0, 8, 3, 12, 28, 28)])
def test_damaged_mnist_is_one_line(tmp_path, content):
    write_mnist(tmp_path)
    path = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match="MNIST/raw is missing or does not hold the original files of mnist"):
        read(f"torch/mnist:{tmp_path}", tmp_path)
