"""Lists of COCO's format as other tools write them: put right with a note where they can be, and scored right."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from coco_lists import (
    BOXES,
    PACKED,
    SIZE,
    annotation,
    document,
    every_id,
    image,
    prepared,
    square,
    with_images,
    without,
)
from pycocotools import mask as coco_mask

from experiments.dense import DenseSpec, segmentations
from experiments.dense.coco import prepare_list
from experiments.dense.coco_list import read_list
from experiments.dense.segmentations import BadSegmentation, read_shape
from transmix.common.errors import UserError


@pytest.fixture
def folder(tmp_path) -> Path:
    return with_images(tmp_path)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (every_id(0), "COCO's tools take annotation 0 for none; it is read as: annotation 4"),
        (without("annotations", "iscrowd"), "iscrowd is missing and taken as 0: annotation 2"),
        (annotation(iscrowd=False), "iscrowd is written as 0 or 1"),
        (without("annotations", "area"), "area is missing or impossible and counted from the segmentation"),
        (annotation(area=None), "area is missing or impossible"),
        (annotation(area=0), "area is missing or impossible"),
        (annotation(area=1e12), "area is missing or impossible"),
        (without("annotations", "bbox"), "bbox is missing or flat and taken from the segmentation"),
        (annotation(bbox=[30, 8, 0, 24]), "bbox is missing or flat"),
        (annotation(segmentation=[square(*BOXES[1]), [1, 1, 2, 2], []]), "parts of fewer than three points are left"),
        (annotation(id=2.0, image_id=0.0, category_id=4.0), "whole numbers written with a point are read as whole"),
        (image(width=64.0, height=48.0), "whole numbers written with a point"),
        (image(file_name="images/1.jpg"), "from the folder of images on: 'images/1.jpg' as '1.jpg'"),
        (image(file_name="train2017\\1.jpg"), "from the folder of images on: 'train2017\\\\1.jpg' as '1.jpg'"),
        (image(file_name="./1.jpg"), ""),
        (annotation(segmentation=PACKED), ""),
        (annotation(segmentation={"size": [48, 64], "counts": segmentations._counts(PACKED["counts"])}), ""),
        (lambda listed: None, ""),
    ],
)
def test_what_can_be_put_right_is_and_perfect_predictions_score_one(folder, change, note):
    listed = document()
    change(listed)
    found = prepared(folder, listed)
    assert note in "".join(found.notes)
    assert bool(found.notes) == bool(note) == (found.path != folder / "list.json")
    assert prepared(folder, listed) == found  # from the cache
    assert average_precision(found.path) == {"bbox": 1.0, "segm": 1.0}


def average_precision(path: Path) -> dict[str, float]:
    """What mmdet's metric says of predictions that are the annotations, as `document` has them."""
    import torch

    from downstream.openmmlab import prepare

    prepare("mmdet")
    from mmdet.evaluation import CocoMetric

    with redirect_stdout(io.StringIO()):
        metric = CocoMetric(str(path), ["bbox", "segm"])
        metric.dataset_meta = {"classes": ("cat", "dog")}
        for number in range(2):
            true = document()["annotations"][2 * number : 2 * number + 2]
            x, y, width, height = torch.tensor([entry["bbox"] for entry in true], dtype=torch.float32).T
            masks = torch.zeros(2, SIZE[1], SIZE[0], dtype=torch.bool)
            for place, entry in enumerate(true):
                left, top, wide, high = entry["bbox"]
                masks[place, top : top + high, left : left + wide] = True
            found = {
                "bboxes": torch.stack([x, y, x + width, y + height], 1),
                "scores": torch.tensor([0.9, 0.8]),
                "labels": torch.tensor([0, 1]),
                "masks": masks,
            }
            metric.process({}, [{"pred_instances": found, "img_id": number, "ori_shape": SIZE[::-1]}])
        measured = metric.evaluate(2)
    return {name: measured[f"coco/{name}_mAP"] for name in ("bbox", "segm")}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_lists_of_other_encodings_are_written_anew(folder, encoding):
    listed = document()
    listed["categories"][0]["name"] = "Kätzchen"
    found = prepared(folder, json.dumps(listed, ensure_ascii=False).encode(encoding))
    assert "is no plain UTF-8, which COCO's tools want" in found.notes[0]
    assert json.loads(found.path.read_text("utf-8")) == listed
    assert found.classes == ("Kätzchen", "dog")


def test_objects_that_nothing_shows_of_are_left_out(folder):
    """COCO itself has one: annotation 2206849, 1.03 by 0 pixels."""
    listed = document()
    flat = {
        "bbox": [29.65, 38.33, 1.03, 0.0],
        "area": 0.0,
        "segmentation": [[29.65, 38.33, 29.65, 38.33, 30.68, 38.33]],
    }
    listed["annotations"].append(listed["annotations"][0] | flat | {"id": 77})
    found = prepared(folder, listed)
    assert found.notes == (f"{folder / 'list.json'}: objects without any extent are left out: annotation 77",)
    assert len(json.loads(found.path.read_text())["annotations"]) == 4
    assert average_precision(found.path)["bbox"] == 1.0


def test_boxes_end_at_the_border_as_predictions_do(folder):
    listed = document()
    listed["annotations"][0]["bbox"] = [-10, 4, 34, 20]
    listed["annotations"][0]["segmentation"] = [square(-10, 4, 34, 20)]
    listed["annotations"][1]["bbox"] = [30, 8, 34.5, 24]  # half a pixel is left as it is
    listed["annotations"][1]["segmentation"] = [square(30, 8, 34.5, 24)]
    entries = json.loads(prepared(folder, listed).path.read_text())["annotations"]
    assert [entries[0]["bbox"], entries[1]["bbox"]] == [[0, 4, 24, 20], [30, 8, 34.5, 24]]


def test_ignore_counts_as_crowd_for_both_libraries(folder):
    listed = document()
    listed["annotations"][0]["ignore"] = 1
    entry = json.loads(prepared(folder, listed).path.read_text())["annotations"][0]
    assert (entry["iscrowd"], "ignore" in entry) == (1, False)


def test_a_few_boxes_that_are_elsewhere_are_said_and_many_are_refused(folder):
    listed = document()
    listed["annotations"] *= 6
    listed["annotations"] = [entry | {"id": number + 1} for number, entry in enumerate(listed["annotations"])]
    listed["annotations"][5]["bbox"] = [2, 40, 5, 5]
    assert "bbox and segmentation do not lie together" in prepared(folder, listed).notes[0]
    assert prepared(folder, listed).path == folder / "list.json"
    for entry in listed["annotations"][:3]:
        entry["bbox"] = [2, 40, 5, 5]
    with pytest.raises(UserError, match=r"annotation 1: its bbox is not around its segmentation.* \(and 3 more\)"):
        prepared(folder, listed)


def test_classes_that_cannot_be_learned_and_objects_that_are_there_twice_are_said(folder):
    listed = document()
    for entry in listed["annotations"]:
        entry["category_id"] = 3
    listed["annotations"].append(listed["annotations"][1] | {"id": 9})
    where = folder / "list.json"
    assert prepared(folder, listed).notes == (
        f"{where}: objects are there twice, and are counted twice: annotation 9",
        f"{where}: categories without an object to learn from: 'dog'",
    )


@pytest.mark.parametrize("factor", [1 / (SIZE[0] * SIZE[1]), 4])
def test_areas_in_another_unit_are_counted_anew(folder, factor):
    """By them COCO's tools tell small, medium and large objects apart."""
    listed = document()
    right = [entry["area"] for entry in listed["annotations"]]
    for entry in listed["annotations"]:
        entry["area"] *= factor
    found = prepared(folder, listed)
    assert "area is missing or impossible and counted from the segmentation: annotation 1 and 3 more" in found.notes[0]
    assert [entry["area"] for entry in json.loads(found.path.read_text())["annotations"]] == right


def test_a_cache_that_was_damaged_is_made_again(folder):
    listed = document()
    every_id(0)(listed)
    path = prepared(folder, listed).path
    content = path.read_text()
    for damage in (lambda: path.write_text("{}"), path.unlink, (folder / "cache" / "checked-list.json").unlink):
        damage()
        assert prepared(folder, listed).path.read_text() == content
    (folder / "images" / "1.jpg").unlink()
    with pytest.raises(UserError, match=r"1\.jpg is not there"):
        prepared(folder, listed)


def test_without_a_cache_nothing_is_written(folder):
    listed = document()
    every_id(0)(listed)
    (folder / "list.json").write_text(json.dumps(listed))
    assert prepare_list(folder / "list.json", folder / "images", None, True).path == folder / "list.json"
    assert sorted(path.name for path in folder.iterdir()) == ["images", "list.json"]


def test_run_lengths_are_read_as_pycocotools_writes_them():
    rng = np.random.default_rng(0)
    for _ in range(40):
        height, width = rng.integers(1, 40, 2)
        mask = rng.random((height, width)) < rng.random()
        packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        text = {"size": packed["size"], "counts": packed["counts"].decode()}
        expected = coco_mask.toBbox(packed).tolist()
        for runs in (text, text | {"counts": segmentations._counts(text["counts"])}):
            extent = read_shape(runs, (int(width), int(height))).extent
            if not mask.any():
                assert extent is None
                continue
            rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
            assert extent == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            assert expected[0] <= extent[0]
    with pytest.raises(BadSegmentation, match="over the limit"):
        read_shape({"size": [10**6, 10**6], "counts": [10**12]}, (10**6, 10**6))


def test_a_whole_layout_says_what_was_mended(tmp_path, folder):
    for split in ("train2017", "val2017"):
        (folder / split).symlink_to(folder / "images")
        (folder / "annotations").mkdir(exist_ok=True)
        listed = document()
        listed["images"][0]["file_name"] = f"{split}/0.jpg"
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(listed))
    source = DenseSpec("coco", folder).read(folder / "cache")
    assert len(source.notes) == 3
    assert "'train2017/0.jpg' as '0.jpg'" in source.notes[0]
    assert source.notes[2].startswith("2 of 2 validation images are byte copies of training images")
    assert source == DenseSpec("coco", folder).read(folder / "cache") == DenseSpec("coco", folder).read()


def test_reading_alone_looks_at_no_files(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps(document()))
    found = read_list(tmp_path / "list.json")
    assert (found.classes, found.mended, len(found.annotations)) == (("cat", "dog"), False, 4)
    assert segmentations.encode(found.annotations[0]["segmentation"], SIZE)["size"] == [48, 64]
