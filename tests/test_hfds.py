"""Hugging Face's data sets that timm reads: Parquet files, the hub's cache, and what is wrong with them in one line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from named_data import read
from PIL import Image
from recipes import small_recipe

from transmix.common.errors import UserError
from transmix.data.loaders import TrainLoader, eval_loader


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
