"""Lists of COCO's format as other tools write them: mended with a note, or refused; never scored wrongly."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from experiments.dense import DenseSpec, segmentations
from experiments.dense.coco import Prepared, prepare_list
from experiments.dense.coco_list import read_list
from experiments.dense.segmentations import BadSegmentation, read_shape
from transmix.common.errors import UserError
from transmix.data.opening import ORIENTATION

SIZE = (64, 48)  # width, height
BOXES = [[4, 4, 20, 20], [30, 8, 16, 24], [8, 26, 30, 15], [40, 34, 10, 10]]


def square(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def document() -> dict[str, Any]:
    """Two images with two objects each, of two categories."""
    annotations = [
        {
            "id": number + 1,
            "image_id": number // 2,
            "category_id": 3 + number % 2,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
            "segmentation": [square(*box)],
        }
        for number, box in enumerate(BOXES)
    ]
    images = [{"id": id_, "file_name": f"{id_}.jpg", "width": SIZE[0], "height": SIZE[1]} for id_ in range(2)]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    }


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "images").mkdir()
    for number in range(2):
        Image.effect_noise(SIZE, 50).convert("RGB").save(tmp_path / "images" / f"{number}.jpg")
    return tmp_path


def prepared(folder: Path, listed: Any, training: bool = True) -> Prepared:
    path = folder / "list.json"
    path.write_bytes(listed if isinstance(listed, bytes) else json.dumps(listed).encode())
    return prepare_list(path, folder / "images", folder / "cache", training)


def annotation(**changes: Any) -> Callable[[dict], None]:
    return lambda listed: listed["annotations"][1].update(changes)


def without(name: str, key: str) -> Callable[[dict], None]:
    return lambda listed: listed[name][1].pop(key)


def image(**changes: Any) -> Callable[[dict], None]:
    return lambda listed: listed["images"][1].update(changes)


def every_id(first: int) -> Callable[[dict], None]:
    return lambda listed: [entry.update(id=first + n) for n, entry in enumerate(listed["annotations"])]


RLE = coco_mask.encode(np.asfortranarray(np.pad(np.ones((24, 16), np.uint8), ((8, 16), (30, 18)))))
PACKED = {"size": RLE["size"], "counts": RLE["counts"].decode()}


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


FLAT = [[1, 1, 9, 9, 5, 5]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # types of ids and sizes
        (annotation(category_id="4"), "annotation 2: category_id is '4': write a whole number from 0 on"),
        (annotation(image_id="0"), "annotation 2: image_id is '0': write a whole number"),
        (annotation(id="2"), "annotation '2': id is '2'"),
        (annotation(id=True), "annotation True: id is True"),
        (annotation(id=2.5), "id is 2.5"),
        (annotation(id=-1), "id is -1"),
        (annotation(id=10**400), "id is more than 18 digits"),
        (annotation(image_id=None), "image_id is None"),
        (image(width="64", height="48"), "image 1: width is '64': write a whole number from 1 on (and 1 more)"),
        (image(width=0), "width is 0"),
        (image(id="1"), "image '1': id is '1'"),
        (image(width=10**6, height=10**6), "1000000 x 1000000 pixels are over the limit"),
        (lambda listed: listed["categories"][0].update(id="3"), "category '3': id is '3'"),
        (lambda listed: listed["categories"][0].update(id=4), "category 4: comes more than once"),
        (lambda listed: listed["categories"][0].update(name="dog"), "category 'dog' comes more than once: rename one"),
        (lambda listed: listed["categories"][0].update(name=7), "name is missing or no text"),
        # what belongs together
        (annotation(id=1), "annotation 1: comes more than once: number them anew"),
        (image(id=0), "image 0: comes more than once"),
        (annotation(category_id=9), "category_id 9 is no category of this list"),
        (annotation(image_id=9), "image_id 9 is no image of this list"),
        (lambda listed: listed.pop("annotations"), "annotations: must be a list of entries"),
        (lambda listed: listed.update(images={}), "images: must be a list of entries"),
        (lambda listed: listed.update(annotations=[]), "annotations: there are none"),
        (lambda listed: listed.update(annotations=[3]), "annotations: must be a list of entries"),
        # segmentations
        (without("annotations", "segmentation"), "has no segmentation, and Mask R-CNN needs one: add polygons"),
        (annotation(segmentation=None), "has no segmentation, and Mask R-CNN needs one"),
        (annotation(segmentation=[]), "its segmentation is empty"),
        (annotation(segmentation=[[]]), "its segmentation is empty"),
        (annotation(segmentation=[[1, 2]]), "its polygon has 1 points, at least three are needed"),
        (annotation(segmentation=[[1, 2, 3, 4]]), "its polygon has 2 points"),
        (annotation(segmentation=square(*BOXES[1])), "is no list of polygons: write [[x, y, ...], ...]"),
        (annotation(segmentation=[[[1, 2], [3, 4], [5, 7]]]), "its polygon holds what is no number"),
        (annotation(segmentation=[[*square(*BOXES[1]), 3]]), "has 9 coordinates, an odd number"),
        (annotation(segmentation=[["1", 2, 3, 4, 5, 7]]), "its polygon holds what is no number"),
        (annotation(segmentation=[[float("nan"), 2, 3, 4, 5, 7]]), "its polygon holds what is no number"),
        (annotation(segmentation=[[float("inf"), 2, 3, 4, 5, 7]]), "its polygon holds what is no number"),
        (annotation(segmentation=[[1e9, 2, 3, 4, 5, 7]]), "reaches to x = 1e+09, far outside an image of 64 pixels"),
        (annotation(segmentation=[[1, 2, 3, -1e300, 5, 7]]), "reaches to y = beyond 1e300, far outside"),
        (annotation(segmentation=[[1, 2, 3, 10**400, 5, 7]]), "reaches to y = beyond 1e300"),
        (annotation(segmentation=FLAT), "its segmentation is flat and covers nothing"),
        (annotation(segmentation="polygon"), "is neither polygons nor run lengths"),
        (annotation(segmentation={"size": [48, 64]}), "its run lengths need counts and size"),
        (annotation(segmentation=PACKED | {"size": [64, 48]}), "of size [64, 48], its image is [48, 64]"),
        (annotation(segmentation=PACKED | {"size": "48"}), "of size '48'"),
        (annotation(segmentation=PACKED | {"counts": [5, -3]}), "its run lengths cover 2 pixels of 3,072"),
        (annotation(segmentation=PACKED | {"counts": [10**9]}), "its run lengths cover 1,000,000,000 pixels"),
        (annotation(segmentation=PACKED | {"counts": [1.5]}), "its counts are no whole numbers"),
        (annotation(segmentation=PACKED | {"counts": PACKED["counts"] + "1"}), "its run lengths cover"),
        (annotation(segmentation=PACKED | {"counts": "PPPPPPPPPP"}), "its counts are no run lengths"),
        (annotation(segmentation=PACKED | {"counts": "é"}), "its counts are no run lengths"),
        (annotation(segmentation={"size": [48, 64], "counts": [48 * 64]}), "is flat and covers nothing"),
        # boxes and areas
        (annotation(bbox=[30, 8, -16, 24]), "its bbox is [30, 8, -16, 24], of negative size"),
        (annotation(bbox=["30", 8, 16, 24]), "write four numbers, x, y, width, height"),
        (annotation(bbox=[30, 8, 16]), "write four numbers"),
        (annotation(bbox=[30, 8, 1e300, 24]), "its bbox reaches to x = beyond 1e300"),
        (annotation(bbox=[0.5, 8, 10**400, 24]), "its bbox reaches to x = beyond 1e300"),
        (annotation(bbox=[30, 8, 46, 32]), "its bbox looks like two corners: write x, y, width, height"),
        (annotation(bbox=[0, 40, 5, 5]), "its bbox is not around its segmentation"),
        (annotation(bbox=[70, 8, 16, 24], segmentation=[square(70, 8, 16, 24)]), "lies outside its image of 64 x 48"),
        (annotation(area="384"), "its area is '384': write a number, or leave it out"),
        (annotation(area=float("nan")), "its area is 'NaN'"),
        (annotation(iscrowd="1"), "iscrowd is '1': write 0 or 1"),
        (annotation(iscrowd=2), "iscrowd is 2: write 0 or 1"),
        # files
        (image(file_name="gone.jpg"), "images/gone.jpg is not there: copy it, or remove it from the list"),
        (image(file_name=7), "file_name is 7: write the name of a file"),
        (image(file_name=["1.jpg"]), "file_name is ['1.jpg']"),
        (image(file_name=""), "file_name is ''"),
        (image(file_name="/etc/passwd"), "file_name '/etc/passwd' leads out of"),
        (image(file_name="C:\\images\\1.jpg"), "leads out of"),
        (image(file_name="../images/1.jpg"), "leads out of"),
        (image(file_name="1.jpg\n"), "file_name is '1.jpg\\n'"),
        (image(file_name="0.jpg"), "file 0.jpg is listed more than once: put its annotations under one id"),
        (image(file_name="./0.jpg"), "0.jpg is image 0, too"),
        (
            lambda listed: listed["annotations"][1].update(ignore=-1) or listed["annotations"][1].pop("iscrowd"),
            "ignore is -1",
        ),
        (image(width=48, height=64), "1.jpg has 64 x 48 pixels (width x height), the list says 48 x 64"),
    ],
)
def test_what_cannot_be_put_right_is_one_line(folder, change, message):
    listed = document()
    change(listed)
    with pytest.raises(UserError) as error:
        prepared(folder, listed)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{folder / 'list.json'}: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + 3 * len(str(folder))
    assert not list((folder / "cache").glob("*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no list of COCO's format (Expecting value"),
        (b"[]", "it must be an object with images, annotations"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"images": ' + b"9" * 5000 + b"}", "no list of COCO's format (Exceeds the limit"),
        (b'{"images": [], "images": []}', "key 'images' comes twice in one entry"),
        (b"\xff\xfe\xfd", "no list of COCO's format"),
        (json.dumps(document()).encode()[:-9], "no list of COCO's format"),
    ],
)
def test_what_is_no_list(folder, content, message):
    with pytest.raises(UserError) as error:
        prepared(folder, content)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_lists_of_other_encodings_are_written_anew(folder, encoding):
    listed = document()
    listed["categories"][0]["name"] = "Kätzchen"
    found = prepared(folder, json.dumps(listed, ensure_ascii=False).encode(encoding))
    assert "is no plain UTF-8, which COCO's tools want" in found.notes[0]
    assert json.loads(found.path.read_text("utf-8")) == listed
    assert found.classes == ("Kätzchen", "dog")


def test_faults_are_counted_over_all_entries(folder):
    listed = document()
    for entry in listed["annotations"]:
        entry["category_id"] = str(entry["category_id"])
    listed["annotations"][3]["segmentation"] = []
    with pytest.raises(UserError, match=r"annotation 1: category_id is '3': write .* \(and 4 more\)$"):
        prepared(folder, listed)


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


def test_shares_of_an_image_are_no_pixels(folder):
    listed = document()
    for entry in listed["annotations"]:
        entry["bbox"] = [0.1, 0.1, 0.5, 0.5]
        entry["segmentation"] = [square(*entry["bbox"])]
    with pytest.raises(UserError, match="all coordinates lie between 0 and 1: write pixels, not shares of the image"):
        prepared(folder, listed)


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


@pytest.mark.parametrize(("orientation", "size", "whole"), [(6, SIZE[::-1], True), (6, SIZE, False), (3, SIZE, False)])
def test_orientation_must_be_told_by_the_size(folder, orientation, size, whole):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", SIZE).save(folder / "images" / "1.jpg", exif=exif)
    listed = document()
    listed["images"][1].update(width=size[0], height=size[1])
    listed["annotations"] = listed["annotations"][:2]
    if whole:
        assert not prepared(folder, listed).notes
        return
    with pytest.raises(UserError, match=f"EXIF orientation {orientation}, by which some readers turn it"):
        prepared(folder, listed)


def test_images_that_mmdet_would_not_train_on(folder):
    for number in range(2):
        Image.new("RGB", (30, 64)).save(folder / "images" / f"{number}.jpg")
    listed = document()
    for entry in listed["images"]:
        entry.update(width=30, height=64)
    box = {"bbox": [4, 4, 20, 20], "segmentation": [square(4, 4, 20, 20)], "area": 400}
    listed["annotations"] = [entry | box for entry in listed["annotations"]]
    with pytest.raises(UserError, match="all 2 images have a side under 32 pixels, and mmdet leaves such images out"):
        prepared(folder, listed)
    assert not prepared(folder, listed, training=False).notes
    Image.new("RGB", SIZE).save(folder / "images" / "1.jpg")
    listed["images"][1].update(width=SIZE[0], height=SIZE[1])
    assert "left out of training by mmdet: image 0" in prepared(folder, listed).notes[0]
    crowds = [entry | {"iscrowd": 1} for entry in listed["annotations"]]
    with pytest.raises(UserError, match="there is nothing to train on, add annotations"):
        prepared(folder, listed | {"annotations": crowds})
    with pytest.raises(UserError, match="every object is a crowd, which is not scored: add others, or write iscrowd"):
        prepared(folder, listed | {"annotations": crowds}, training=False)


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


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b"{}", mtime=0), "it is compressed): unpack it"),
        (b"version https://git-lfs.github.com/spec/v1", "it is a pointer of Git LFS"),
        (b"<!DOCTYPE html>", "it is a web page): download the file itself"),
    ],
)
def test_a_list_that_is_something_else_is_called_by_its_name(folder, content, what):
    with pytest.raises(UserError, match=re.escape(what)):
        prepared(folder, content)


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


def test_a_folder_or_a_link_to_nothing_is_no_image(folder):
    for number, make in enumerate((Path.mkdir, lambda path: path.symlink_to("nowhere"))):
        (folder / "images" / f"{number}.jpg").unlink()
        make(folder / "images" / f"{number}.jpg")
    with pytest.raises(UserError, match=r"0\.jpg is no regular file: replace it \(and 1 more\)$"):
        prepared(folder, document())
