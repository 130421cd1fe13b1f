"""The setting that names a data set, ImageNet's class order, and the kinds of data that others' libraries read."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import pickle
import re
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import write_class_folders
from PIL import Image
from recipes import small_recipe
from shards import shards_of
from studies import study
from test_commands import run
from torchvision.datasets import CIFAR100

from experiments.records import read_record
from experiments.run import prepare
from transmix.common.errors import UserError
from transmix.data.loaders import TrainLoader, eval_loader
from transmix.data.sources import SourceSpec, check_class_order, read_source
from transmix.data.sources.source import check_labels

IMAGENET = importlib.util.find_spec("timm").submodule_search_locations[0] + "/data/_info/imagenet_synsets.txt"


def read(text: str, cache: Path):
    return read_source(SourceSpec.parse(text), cache)


@pytest.mark.parametrize(
    ("text", "kind", "name", "path", "title"),
    [
        ("/data/imagenet", "", "", "/data/imagenet", "class folders"),
        ("./torch/x:y", "", "", "./torch/x:y", "class folders"),
        ("torch/cifar100:/data/cifar", "torch", "cifar100", "/data/cifar", "torch/cifar100"),
        ("Torch/CIFAR100:cifar", "torch", "cifar100", "cifar", "torch/cifar100"),
        ("wds:/data/shards", "wds", "", "/data/shards", "wds"),
        ("wds/imagenet:/data/a:b", "wds", "imagenet", "/data/a:b", "wds/imagenet"),
        ("hfds/ILSVRC/imagenet-1k:/c", "hfds", "ILSVRC/imagenet-1k", "/c", "hfds/ILSVRC/imagenet-1k"),
    ],
)
def test_a_folder_or_timms_name_and_a_folder(text, kind, name, path, title):
    spec = SourceSpec.parse(text)
    assert (spec.kind, spec.name, spec.path, spec.title) == (kind, name, Path(path), title)
    assert SourceSpec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wsd/imagenet:/data", "unknown kind of data set 'wsd': did you mean 'wds'?"),
        ("torch/cifar101:/data", "unknown data set of kind torch 'cifar101': did you mean 'cifar10'?"),
        ("torch:/data", "unknown data set of kind torch '': known: cifar10, cifar100, fashion_mnist"),
        (
            "tfds/imagenet2012:/data",
            "tfds is a stream, which cannot be continued exactly: use class folders, torch, wds",
        ),
    ],
)
def test_an_unknown_kind_is_named(monkeypatch, capsys, text, message):
    status, error = run(monkeypatch, capsys, "plan", "--imagenet", text)
    assert (status, len(error.splitlines())) == (2, 1)
    assert message in error


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("", "train/<class>/*.JPEG and val/<class>/*.JPEG"),
        ("torch/cifar100:", "cifar-100-python/ as torchvision unpacks it"),
        ("wds:", "_info.json and its .tar shards, or train/*.tar and val/*.tar"),
        ("hfds/a/b:", "what load_dataset('a/b', cache_dir=...) left"),
        ("hfds:", "files that load_dataset reads"),
    ],
)
def test_a_folder_that_is_not_there_is_named_with_what_it_should_hold(tmp_path, kind, expected):
    with pytest.raises(UserError, match=re.escape(f"no such data folder: {tmp_path}/no (it should hold {expected}")):
        read(f"{kind}{tmp_path}/no", tmp_path)


def test_the_same_data_has_the_same_name_and_other_data_another(tmp_path):
    texts = ["wds:/data/x", "wds/imagenet:/data/x", "hfds/a/imagenet:/data/x", "/data/x", "/data/y/x"]
    names = [study("--imagenet", text).classification_data.name for text in texts]
    assert len(set(names)) == 5
    assert [name.rpartition("-")[0] for name in names] == ["x", "imagenet", "imagenet", "x", "x"]
    assert study("--imagenet", "WDS:/data/x").classification_data.name == names[0]
    again = study("--imagenet", "wds/imagenet:/data/x").plan()[0]
    assert "--imagenet wds/imagenet:/data/x" in again.command


def test_imagenets_classes_must_be_imagenets_in_its_order():
    classes = Path(IMAGENET).read_text().split()
    check_class_order("here", classes)
    check_class_order("here", classes[::-1][:999])  # not ImageNet
    check_class_order("here", ["n1", *classes[1:]])  # not all are WordNet ids
    with pytest.raises(UserError, match=f"here: label 0 is class {classes[1]}, in ImageNet's order it is {classes[0]}"):
        check_class_order("here", [classes[1], classes[0], *classes[2:]])
    changed = sorted(["n00000001", *classes[:5], *classes[6:]])
    with pytest.raises(UserError, match=f"class {classes[5]} of ImageNet-1k is missing, n00000001 is none of its"):
        check_class_order("here", changed)


def test_class_folders_of_imagenet_are_checked(tmp_path):
    classes, pixel = Path(IMAGENET).read_text().split(), io.BytesIO()
    Image.new("RGB", (1, 1)).save(pixel, "JPEG")
    for split in ("train", "val"):
        for name in ["n00000001", *classes[1:]]:
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "x.JPEG").write_bytes(pixel.getvalue())
    with pytest.raises(UserError, match=f"class {classes[0]} of ImageNet-1k is missing"):
        read(str(tmp_path), tmp_path)
    for split in ("train", "val"):
        (tmp_path / split / "n00000001").rename(tmp_path / split / classes[0])
    assert read(str(tmp_path), tmp_path).classes == tuple(classes)


def test_labels_must_be_in_range_and_every_class_in_training():
    good = np.array([0, 1, 2, 1])
    check_labels("here", "abc", {"train": good, "val": good[:1]})
    with pytest.raises(UserError, match=r"here: label 3 of image 1 in val is out of range: .* 0 to 2"):
        check_labels("here", "abc", {"train": good, "val": np.array([0, 3])})
    with pytest.raises(UserError, match="here: class 'd' has no training image"):
        check_labels("here", "abcd", {"train": good, "val": good})


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


def test_hfds_without_its_package_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="hfds needs the package datasets, 4 or later"):
        read(f"hfds:{tmp_path}", tmp_path)


@pytest.fixture
def parquet(tmp_path) -> Path:
    """Twelve training and six test images in CIFAR-100's columns."""
    datasets = pytest.importorskip("datasets", reason="hfds needs the optional package datasets")
    label = datasets.ClassLabel(names=["red", "green", "blue"])
    features = datasets.Features({"img": datasets.Image(), "fine_label": label})
    (tmp_path / "parquet").mkdir()
    for split, count in (("train", 12), ("test", 6)):
        rows = [{"img": {"bytes": picture(index), "path": None}, "fine_label": index % 3} for index in range(count)]
        table = datasets.Dataset.from_list(rows, features=features)
        table.to_parquet(tmp_path / "parquet" / f"{split}-00000-of-00001.parquet")
    return tmp_path / "parquet"


def picture(index: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40 + index, 40), (20 * index, 0, 0)).save(file, "PNG")
    return file.getvalue()


def test_parquet_files_through_timm(parquet, tmp_path):
    source = read(f"hfds:{parquet}", tmp_path / "cache")
    assert source.classes == ("red", "green", "blue")
    assert source.counts == {"train": 12, "val": 6}
    for split, count in source.counts.items():
        for index in range(count):
            image, label = source.open(split)[index]
            assert (image.size, image.getpixel((0, 0)), label) == ((40 + index, 40), (20 * index, 0, 0), index % 3)
    again = read(f"hfds:{parquet}", tmp_path / "cache")
    assert (again.fingerprint, again.notes) == (source.fingerprint, source.notes)
    (said,) = source.notes
    assert said.startswith(
        f"6 of 6 validation images are byte copies of training images, image 0 of test in {parquet} of "
        f"image 0 of train in {parquet} first"
    )
    recipe = small_recipe(batch_size=4)
    batches = [list(TrainLoader(recipe, source.open("train"), 3, workers).epoch(0)) for workers in (0, 2)]
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(*batches, strict=True))


def test_a_data_set_of_the_hub_is_read_from_its_cache_only(parquet, tmp_path):
    import datasets

    cache = tmp_path / "hub"
    datasets.load_dataset(str(parquet), cache_dir=str(cache))
    built = next(cache.glob("parquet/default/0.0.0/*/"))
    hub = cache / "uoft-cs___cifar100" / "default" / "0.0.0" / "0123456789012345678901234567890123456789"
    hub.parent.mkdir(parents=True)
    built.rename(hub)
    for file in hub.glob("*.arrow"):
        file.rename(hub / file.name.replace("parquet", "cifar100"))
    info = hub / "dataset_info.json"
    info.write_text(info.read_text().replace('"dataset_name": "parquet"', '"dataset_name": "cifar100"'))
    assert read(f"hfds/uoft-cs/cifar100:{cache}", tmp_path).counts == {"train": 12, "val": 6}
    with pytest.raises(UserError, match=r"should hold what load_dataset\('uoft-cs/cifar10', cache_dir=...\) left"):
        read(f"hfds/uoft-cs/cifar10:{cache}", tmp_path)


def test_what_is_wrong_with_a_hugging_face_data_set_is_one_line(parquet, tmp_path):
    import datasets

    def written(name: str, **columns: list) -> Path:
        for split in ("train", "test"):
            (tmp_path / name).mkdir(exist_ok=True)
            datasets.Dataset.from_dict(columns).to_parquet(tmp_path / name / f"{split}.parquet")
        return tmp_path / name

    image = {"bytes": picture(1), "path": None}
    (parquet / "test-00000-of-00001.parquet").unlink()
    (tmp_path / "nothing").mkdir()
    cases = {
        tmp_path / "nothing": "should hold files that load_dataset reads, e.g. parquet, but cannot be loaded",
        parquet: "has no split val or validation or valid or test, only train",
        written("a", label=[0, 1]): "has no column image or img, only label: rename",
        written("b", image=[image] * 2, target=[0, 1]): "has no column label or labels or fine_label, only image",
        written("c", image=[image] * 2, label=["x", "y"]): "column label of hfds:.* holds no class numbers",
        written("d", image=[image] * 2, label=[0, 2]): "label 2 of image 1 in train is out of range: with 2 classes",
    }
    for path, message in cases.items():
        with pytest.raises(UserError, match=message) as caught:
            read(f"hfds:{path}", tmp_path / "cache")
        assert "\n" not in str(caught.value)


def test_an_unreadable_row_is_named(tmp_path, parquet):
    import datasets

    rows = {"image": [{"bytes": picture(1), "path": None}, {"bytes": b"no picture", "path": None}], "label": [0, 1]}
    for split in ("train", "validation"):
        (tmp_path / "rows").mkdir(exist_ok=True)
        datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "rows" / f"{split}.parquet")
    source = read(f"hfds:{tmp_path / 'rows'}", tmp_path / "cache")
    with pytest.raises(UserError, match=r"image 1 of validation in .*/rows cannot be read as an image"):
        list(eval_loader(small_recipe().view, source.open("val")))


def test_only_the_first_process_indexes(class_folders, tmp_path, monkeypatch):
    """The others wait until it has done so, and then find its index."""
    import transmix.data.sources.shards

    root, events = shards_of(class_folders, tmp_path / "shards"), []
    data = study("--imagenet", f"wds:{root}", "--data", str(tmp_path / "data")).classification_data
    index = transmix.data.sources.shards.index_shards
    monkeypatch.setattr(
        transmix.data.sources.shards, "index_shards", lambda *args: (events.append("index"), index(*args))[1]
    )
    for leads in (True, False):
        prepare(data, SimpleNamespace(leads=leads, wait=lambda leads=leads: events.append(f"wait, leads={leads}")))
    assert events == ["index", "wait, leads=True", "wait, leads=False"]


def test_whole_runs_on_shards(tmp_path, monkeypatch, capsys):
    root = shards_of(write_class_folders(tmp_path / "images", val=6), tmp_path / "shards")
    options = ["--scale", "smoke", "--imagenet", f"wds/tiny:{root}", "--set", "epochs=1"]
    options += ["--results", str(tmp_path / "results"), "--data", str(tmp_path / "data")]
    assert run(monkeypatch, capsys, "run", "table1.deit_t.transmix.seed0", *options)[0] == 0
    assert run(monkeypatch, capsys, "run", "lambda.deit_t.transmix.seed0", *options)[0] == 0
    runs = {run.name: run for run in study(*options).plan()}
    data = read_record(runs["table1.deit_t.transmix.seed0"].folder).data
    assert (data.source, data.classes, data.images) == ("wds/tiny", 3, {"train": 48, "val": 18})
    assert data.name.startswith("tiny-")
    assert [path.name.partition("-")[0] for path in (tmp_path / "data" / data.name).iterdir()] == ["index"]
    (root / "images-train-0.tar").unlink()
    for path in root.glob("images-val-*"):
        path.unlink()
    status, error = run(monkeypatch, capsys, "run", "table1.deit_t.baseline.seed0", *options)
    assert (status, len(error.splitlines())) == (2, 1)
    assert "no val shards in" in error
