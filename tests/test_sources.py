"""The setting that names a data set: its kinds, what each kind's folder holds, ImageNet's classes in their order."""

from __future__ import annotations

import importlib.util
import io
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import write_class_folders
from named_data import read
from PIL import Image
from shards import shards_of
from studies import study
from test_commands import run

from experiments.records import read_record
from experiments.run import prepare
from transmix.common.errors import UserError
from transmix.data.sources import SourceSpec, check_class_order
from transmix.data.sources.source import check_labels

IMAGENET = importlib.util.find_spec("timm").submodule_search_locations[0] + "/data/_info/imagenet_synsets.txt"


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
