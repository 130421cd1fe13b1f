"""Published layouts: what is missing is named, with how many files there are and should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from experiments import dense
from experiments.dense import DenseSpec
from transmix.common.errors import UserError

COUNTS = {"train": 3, "val": 2}
SIZE = (40, 32)
OBJECT = {
    "id": 1,
    "image_id": 0,
    "category_id": 9,
    "bbox": [1, 1, 3, 3],
    "area": 9,
    "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]],
}


def write(path: Path, text: str = "") -> None:
    """A text file, or a small picture: grey, or of label 3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".txt" or path.suffix == ".json":
        path.write_text(text)
    elif path.suffix == ".png":
        Image.new("L", SIZE, 3).save(path)
    else:
        Image.new("RGB", SIZE).save(path)


@pytest.fixture
def ade20k(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(dense, "ADE_IMAGES", COUNTS)
    root = tmp_path / "ADEChallengeData2016"
    for split, folder in (("train", "training"), ("val", "validation")):
        for number in range(COUNTS[split]):
            write(root / "images" / folder / f"ADE_{split}_{number:08d}.jpg")
            write(root / "annotations" / folder / f"ADE_{split}_{number:08d}.png")
    return root


@pytest.fixture
def pascal_context(tmp_path) -> Path:
    root = tmp_path / "VOC2010"
    for split, count in COUNTS.items():
        names = [f"2008_{split}{number}" for number in range(count)]
        write(root / "ImageSets" / "SegmentationContext" / f"{split}.txt", "\n".join(names))
        for name in names:
            write(root / "JPEGImages" / f"{name}.jpg")
            write(root / "SegmentationClassContext" / f"{name}.png")
    write(root / "JPEGImages" / "2007_unlisted.jpg")
    return root


@pytest.fixture
def coco(tmp_path) -> Path:
    root = tmp_path / "coco"
    for split, count in COUNTS.items():
        names = [f"{number:012d}.jpg" for number in range(count)]
        images = [{"id": id_, "file_name": name, "width": 40, "height": 32} for id_, name in enumerate(names)]
        for image in images:
            write(root / f"{split}2017" / image["file_name"])
        listed = {"images": images, "annotations": [OBJECT], "categories": [{"id": 9, "name": "cat"}]}
        write(root / "annotations" / f"instances_{split}2017.json", json.dumps(listed))
    return root


def refused(layout: str, root: Path, message: str) -> None:
    with pytest.raises(UserError) as error:
        DenseSpec(layout, root).read()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("layout", "classes"), [("ade20k", 150), ("pascal_context", 60), ("coco", 1)])
def test_a_whole_data_set_is_counted(request, layout, classes):
    root = request.getfixturevalue(layout)
    source = DenseSpec(layout, root).read()
    assert (source.num_classes, source.counts) == (classes, COUNTS)
    assert source.class_names == (("cat",) if layout == "coco" else None)
    assert source.notes[-1].startswith("2 of 2 validation images are byte copies of training images")  # all are grey
    assert source == DenseSpec(layout, root).read()


@pytest.mark.parametrize(
    ("layout", "missing", "message"),
    [
        ("ade20k", "images/training/ADE_train_00000001.jpg", "images/training has 2 of the 3 .jpg files that ADE20K"),
        ("ade20k", "annotations/validation/ADE_val_00000000.png", "annotations/validation has 1 of the 2 .png files"),
        ("pascal_context", "JPEGImages/2008_val1.jpg", "JPEGImages has 1 of the 2 .jpg files that ImageSets/"),
        ("pascal_context", "SegmentationClassContext/2008_train0.png", "Context has 2 of the 3 .png files"),
        ("pascal_context", "ImageSets/SegmentationContext/val.txt", "Context/val.txt is missing"),
        ("coco", "train2017/000000000002.jpg", "train2017/000000000002.jpg is not there: copy it, or remove it from"),
        ("coco", "annotations/instances_val2017.json", "instances_val2017.json is missing"),
    ],
)
def test_what_is_missing_is_named(request, layout, missing, message):
    root = request.getfixturevalue(layout)
    (root / missing).unlink()
    refused(layout, root, message)


@pytest.mark.parametrize("layout", dense.OPTIONS)
def test_another_folder_is_refused_before_it_is_read(tmp_path, layout):
    for root, message in ((tmp_path, "is not laid out as"), (tmp_path / "nowhere", "no such data folder")):
        with pytest.raises(UserError, match=message):
            DenseSpec(layout, root).check()


def test_ade20k_with_an_image_whose_annotation_is_another_ones(ade20k):
    annotations = ade20k / "annotations" / "training"
    (annotations / "ADE_train_00000002.png").rename(annotations / "ADE_train_00000007.png")
    refused("ade20k", ade20k, "ADE_train_00000002 is only one of image and annotation")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"categories": [{"id": 9, "name": "dog"}]}, "different categories"),
        ({"categories": [{"id": 9}]}, "category 9: name is missing or no text: write one"),
        ({"images": []}, "images: there are none: give a list that has some"),
        ({"images": [{"id": 0, "file_name": "0.jpg"}]}, "image 0: width is missing: write a whole number from 1 on"),
        ({"annotations": [OBJECT | {"segmentation": []}]}, "annotation 1: its segmentation is empty"),
    ],
)
def test_lists_that_do_not_hold_together(coco, change, message):
    path = coco / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refused("coco", coco, message)


def test_a_broken_list(coco):
    path = coco / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text()[:-9])
    refused("coco", coco, "instances_val2017.json is no list of COCO's format (Expecting")


def test_other_content_is_other_data(coco):
    before = DenseSpec("coco", coco).read().fingerprint
    path = coco / "annotations" / "instances_train2017.json"
    listed = json.loads(path.read_text())
    path.write_text(json.dumps(listed | {"annotations": [OBJECT, OBJECT | {"id": 2}]}))
    assert DenseSpec("coco", coco).read().fingerprint != before
