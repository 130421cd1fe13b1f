"""Shards by index: they are the class folders they were made from, to the last bit of a trained model."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from recipes import small_recipe
from shards import samples_of, shards_of, write_info, write_shard

from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.data import copies
from transmix.data.loaders import Shard, TrainLoader, eval_loader
from transmix.data.sources import SourceSpec, read_source, shard_index
from transmix.data.sources.folders import read_folders
from transmix.data.sources.shards import read_shards
from transmix.training.checkpoints import load_model
from transmix.training.distributed import Processes
from transmix.training.loop import WEIGHTS, Trainer

TWO = {"cls": b"2"}
ALONE = Processes(0, 1, torch.device("cpu"))


def picture(value: int = 0, image_format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (value, 0, 0)).save(file, image_format)
    return file.getvalue()


def sample(key: str, label: int) -> tuple[str, dict[str, bytes]]:
    return key, {"png": picture(label), "cls": str(label).encode()}


def write_tiny(root: Path, train: tuple[int, ...] = (0, 1, 2), val: tuple[int, ...] = (0, 1, 2)) -> Path:
    """One shard a split, one image a label."""
    for split, labels in (("train", train), ("val", val)):
        write_shard(root / f"{split}.tar", [sample(f"{split}{i}", label) for i, label in enumerate(labels)])
    return root


@pytest.fixture(scope="module")
def same(shared_folders, tmp_path_factory) -> Path:
    """The shared class folders as shards."""
    return shards_of(shared_folders, tmp_path_factory.mktemp("shards"))


@pytest.mark.parametrize("workers", [0, 2])
def test_shards_hold_the_images_labels_and_batches_of_class_folders(shared_folders, same, tmp_path, workers):
    ours, theirs = read_shards(same, tmp_path), read_folders(shared_folders)
    assert ours.counts == theirs.counts == {"train": 48, "val": 15}
    assert ours.classes == ("0", "1", "2")
    for split in ("train", "val"):
        pairs = zip(ours.open(split), theirs.open(split), strict=True)
        assert all(np.array_equal(a, b) and x == y for (a, x), (b, y) in pairs)
    recipe = small_recipe()
    loaders = [TrainLoader(recipe, source.open("train"), 3, workers) for source in (ours, theirs)]
    batches = [list(loader.epoch(1)) for loader in loaders]
    assert len(batches[0]) == 3
    for mine, folder in zip(*batches, strict=True):
        assert torch.equal(mine[0], folder[0])
        assert torch.equal(mine[1], folder[1])


def test_every_validation_image_is_in_exactly_one_process(same, tmp_path):
    val = read_shards(same, tmp_path).open("val")
    recipe = small_recipe(eval_batch_size=4)
    loaders = [eval_loader(recipe.view, val, shard=Shard(rank, 4)) for rank in range(4)]
    seen = torch.cat([batch.images.sum((1, 2, 3)) for loader in loaders for batch in loader])
    alone = torch.cat([batch.images.sum((1, 2, 3)) for batch in eval_loader(recipe.view, val)])
    assert seen.sort().values.tolist() == alone.sort().values.tolist()


class Killed(Exception):
    pass


def test_a_run_killed_on_shards_ends_with_the_weights_of_one_on_class_folders(shared_folders, same, tmp_path):
    def trainer(source, out: str) -> Trainer:
        return Trainer(small_recipe(), source, tmp_path / out, 0, ALONE, Runtime(0, 0.0, progress=False))

    trainer(read_folders(shared_folders), "folders").run()
    run = trainer(read_shards(same, tmp_path / "index"), "shards")
    save, saves = run.save, iter(range(5))

    def save_or_die() -> None:
        if next(saves) == 4:
            raise Killed
        save()

    run.save = run._checkpoint._save = save_or_die
    with pytest.raises(Killed):
        run.run()
    trainer(read_shards(same, tmp_path / "index"), "shards").run()
    ours, theirs = (load_model(tmp_path / out / WEIGHTS)[0].state_dict() for out in ("shards", "folders"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_open_split_travels_to_other_processes_as_a_few_bytes(same, tmp_path):
    images = read_shards(same, tmp_path).open("train")
    sent = pickle.dumps(images)
    assert len(sent) < 48 * 24 + 7 * 150 + 1000  # 24 bytes an image, a path each shard
    received = pickle.loads(sent)
    assert received[20][1] == images[20][1] == 1
    assert np.array_equal(received[20][0], images[20][0])


def test_shards_are_indexed_once_and_again_when_they_change(same, tmp_path, monkeypatch):
    root = shards_of_copy(same, tmp_path / "data")
    first = read_shards(root, tmp_path / "index")
    with monkeypatch.context() as patch:
        patch.setattr(shard_index, "index_shard", lambda shard: pytest.fail("indexed again"))
        again = read_shards(root, tmp_path / "index")
    assert (again.classes, again.counts, again.fingerprint) == (first.classes, first.counts, first.fingerprint)
    assert again.open("val")[3][1] == first.open("val")[3][1]
    kept = next((tmp_path / "index").iterdir())
    kept.write_bytes(kept.read_bytes()[:100])  # torn, or of another version: made again
    assert read_shards(root, tmp_path / "index").fingerprint == first.fingerprint
    write_shard(root / "images-val-1.tar", [sample("new", 2)])
    changed = read_shards(root, tmp_path / "index")
    assert changed.counts == {"train": 48, "val": 9}
    assert changed.fingerprint != first.fingerprint
    (root / "images-train-0.tar").rename(root / "images-val-x.tar")  # the same files, in another split
    assert read_shards(root, tmp_path / "index").counts == {"train": 41, "val": 16}


def test_images_that_are_there_twice_are_said_and_looked_for_once(tmp_path, monkeypatch):
    write_shard(tmp_path / "train.tar", [sample(f"a/train{label}", label) for label in range(3)])
    write_shard(tmp_path / "val.tar", [("b/1", {"png": picture(1), "cls": b"2"}), ("b/9", {"png": picture(9)} | TWO)])
    said = (
        f"1 of 2 validation images are byte copies of training images, {tmp_path}/val.tar: b/1.png of "
        f"{tmp_path}/train.tar: a/train1.png first: accuracy is in part that on the images of the training",
        f"1 images lie in several classes as byte copies, {tmp_path}/train.tar: a/train1.png and "
        f"{tmp_path}/val.tar: b/1.png first: their labels contradict each other",
    )
    assert read_shards(tmp_path, tmp_path / "index").notes == said
    with monkeypatch.context() as patch:
        patch.setattr(shard_index, "describe_copies", lambda *_: pytest.fail("looked for again"))
        assert read_shards(tmp_path, tmp_path / "index").notes == said
    monkeypatch.setattr(copies, "MOST", 2)  # too many of one size: only those that share a name, too, are read
    assert read_shards(tmp_path, tmp_path / "other").notes == ()


def shards_of_copy(source: Path, out: Path) -> Path:
    out.mkdir()
    for path in source.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    return out


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_keys_and_suffixes_follow_webdataset(tmp_path, tar_format):
    """Remarks, folders and names without a dot are no samples; a key ends at the first dot of the last part."""
    with_json = {"json": json.dumps({"label": 1, "width": 8}).encode()}
    samples = [
        ("__remark__/a", {"txt": b"x"}),
        ("a.b/one", {"cls": b"0\n", "seg.png": b"-", "PNG": picture(10)}),
        ("./" + "long" * 30 + "/two", {"webp": picture(20, "WEBP"), **with_json}),
        ("three", {"jpeg": picture(30, "JPEG"), "cls": b"0", **with_json}),
    ]
    for split in ("train", "val"):
        write_shard(tmp_path / split / "00.tar", samples, format=tar_format)
    source = read_shards(tmp_path, tmp_path / "index")
    images = [source.open("val")[i] for i in range(3)]
    assert source.counts == {"train": 3, "val": 3}
    assert [label for _, label in images] == [0, 1, 0]
    assert [round(np.asarray(image)[..., 0].mean() / 10) for image, _ in images] == [1, 2, 3]
    assert source.open("val").filename(2, absolute=True) == f"{tmp_path}/val/00.tar: three.jpeg"


def test_shards_are_read_in_natural_order(tmp_path):
    for number, label in ((10, 0), (2, 2), (1, 1)):
        write_shard(tmp_path / "train" / f"{number}.tar", [sample("x", label)])
    write_shard(tmp_path / "test" / "0.tar", [sample("x", 0)])
    train = read_shards(tmp_path, tmp_path / "index").open("train")
    assert [train[index][1] for index in range(3)] == [1, 2, 0]


def test_timms_info_file_decides_on_splits_order_and_labels(tmp_path):
    def relabelled(key: str, label: int, other: int):
        return key, {"jpg": picture(label), "cls": str(label).encode(), "json": json.dumps({"mine": other}).encode()}

    write_shard(tmp_path / "b.tar", [relabelled("x", 0, 1), relabelled("y", 1, -1), relabelled("z", 2, 0)])
    write_shard(tmp_path / "a.tar", [relabelled("u", 3, 0)])
    write_shard(tmp_path / "unused-train.tar", [relabelled("w", 4, 7)])
    write_info(tmp_path, {"train": {"b.tar": 3, "a.tar": 1}, "validation": {"a.tar": 1}}, alt_label="mine")
    source = read_shards(tmp_path, tmp_path / "index")
    assert source.counts == {"train": 3, "val": 1}  # y has no class in this labelling
    assert [source.open("train")[i][1] for i in range(3)] == [1, 0, 0]


def test_wordnet_ids_in_keys_name_the_classes(tmp_path):
    for split, names in (("train", ("n01440764_3", "n01443537_1")), ("val", ("ILSVRC2012_val_1", "x_2"))):
        write_shard(tmp_path / f"{split}.tar", [sample(name, label) for label, name in enumerate(names)])
    assert read_shards(tmp_path, tmp_path / "index").classes == ("n01440764", "n01443537")


def test_ids_that_are_no_names_are_not_used(tmp_path):
    keys = ("n01440764_3", "n01440764_4", "n01443537_1")
    for split in ("train", "val"):
        write_shard(tmp_path / f"{split}.tar", [sample(key, label) for label, key in enumerate(keys)])
    assert read_shards(tmp_path, tmp_path / "index").classes == ("0", "1", "2")


def test_imagenet_shards_in_another_order_are_refused(tmp_path):
    from timm.data import ImageNetInfo

    ids = ImageNetInfo().label_names()
    ids[7], ids[8] = ids[8], ids[7]
    content = picture()
    for split in ("train", "val"):
        samples = [(f"{name}_1", {"png": content, "cls": str(label).encode()}) for label, name in enumerate(ids)]
        write_shard(tmp_path / f"{split}.tar", samples)
    with pytest.raises(UserError, match=f"label 7 is class {ids[7]}, in ImageNet's order it is {ids[8]}"):
        read_source(SourceSpec.parse(f"wds:{tmp_path}"), tmp_path / "index")


def cut(path: Path, at: int) -> None:
    path.write_bytes(path.read_bytes()[:at])


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[1024:1088] = b"\xff" * 64  # the second member's name
    path.write_bytes(bytes(data))


CUT = "train.tar is cut off, damaged or not an uncompressed .tar file .*: copy it again"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda root: (root / "train.tar").unlink(),
            r"no train shards in .* \(expected _info.json and its .tar shards",
        ),
        (lambda root: (root / "val.tar").unlink(), "no val shards in"),
        (lambda root: cut(root / "train.tar", 700), CUT),  # in an image
        (lambda root: cut(root / "train.tar", 1200), CUT),  # in a header
        (lambda root: cut(root / "train.tar", 2 * 1024), CUT),  # between two samples
        (lambda root: cut(root / "train.tar", 0), CUT),
        (lambda root: damaged(root / "train.tar"), CUT),
        (lambda root: write_shard(root / "train.tar", []), "no images in the train shards of"),
        (lambda root: write_shard(root / "train.tar", [("k", {"cls": b"0"})]), "sample k of shard .* has no image"),
        (
            lambda root: write_shard(root / "train.tar", [("k", {"png": b"0"})]),
            "sample k of shard .* has no class number in .cls, or label of .json",
        ),
        (
            lambda root: write_shard(root / "train.tar", [("k", {"png": b"0", "cls": b"cat"})]),
            "sample k of shard .*train.tar has no class number",
        ),
        (
            lambda root: write_shard(root / "train.tar", [("k", {"png": b"0", "json": b"[]"})]),
            "sample k of shard .*train.tar has no class number",
        ),
        (lambda root: write_tiny(root, train=(1, 2, 3)), "label 3 of image 2 in train is out of range: with 3 classes"),
        (lambda root: write_tiny(root, train=(0, 1, 3)), "label 3 of image 2 in train is out of range: with 3 classes"),
        (lambda root: write_tiny(root, train=(0, -1)), "label -1 of image 1 in train is out of range"),
        (lambda root: write_tiny(root, val=(0, 3)), "label 3 of image 1 in val is out of range: .* go from 0 to 2"),
        (lambda root: (root / "_info.json").write_text("{"), "_info.json does not describe shards as timm expects"),
        (lambda root: (root / "_info.json").write_text('{"splits": []}'), "_info.json has no split train or training"),
        (lambda root: write_info(root, {"train": {"train.tar": 3}}), "_info.json has no split val or .*, only train"),
        (
            lambda root: write_info(root, {"train": {"train.tar": 3, "gone.tar": 3}, "val": {"val.tar": 3}}),
            "shard .*gone.tar is not there, but .*_info.json names it",
        ),
        (
            lambda root: write_info(root, {"train": {"train.tar": 4}, "val": {"val.tar": 3}}),
            "train.tar holds 3 samples, its _info.json says 4",
        ),
    ],
)
def test_what_is_wrong_with_shards_is_one_line(tmp_path, spoil, message):
    spoil(write_tiny(tmp_path))
    with pytest.raises(UserError, match=message) as caught:
        read_shards(tmp_path, tmp_path / "index")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "index").glob("*"))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_read_is_named_by_shard_and_member(tmp_path, workers):
    write_tiny(tmp_path)
    spoiled = picture()[:44] + bytes(8) + picture()[52:]  # its beginning and its end are a picture's
    write_shard(tmp_path / "val.tar", [sample("good", 0), ("bad", {"png": spoiled, "cls": b"1"})])
    val = read_shards(tmp_path, tmp_path / "index").open("val")
    with pytest.raises(UserError, match=r"val\.tar: bad\.png cannot be read as an image"):
        list(eval_loader(small_recipe().view, val, workers))


def test_a_shard_that_is_cut_off_during_a_run_is_named(same, tmp_path):
    root = shards_of_copy(same, tmp_path / "data")
    val = read_shards(root, tmp_path / "index").open("val")
    cut(root / "images-val-0.tar", 5000)
    with pytest.raises(UserError, match=r"images-val-0\.tar: .*cannot be read as an image"):
        list(eval_loader(small_recipe().view, val))
    (root / "images-val-0.tar").unlink()
    with pytest.raises(UserError, match=r"images-val-0\.tar: byte \d+ cannot be read as an image"):
        list(eval_loader(small_recipe().view, val))


def test_samples_of_class_folders_are_in_timms_order(shared_folders):
    """What the other tests here stand on."""
    keys = [key for key, _ in samples_of(shared_folders / "train")]
    assert keys[:2] == ["class0_000", "class0_001"]
    assert keys[-1] == "class2_015"
