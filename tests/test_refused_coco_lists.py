"""Lists of COCO's format that cannot be put right: refused in a line that says what to do, never scored wrongly."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from coco_lists import BOXES, PACKED, SIZE, annotation, document, image, prepared, square, with_images, without
from PIL import Image

from transmix.common.errors import UserError
from transmix.data.opening import ORIENTATION

FLAT = [[1, 1, 9, 9, 5, 5]]


@pytest.fixture
def folder(tmp_path) -> Path:
    return with_images(tmp_path)


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


def test_faults_are_counted_over_all_entries(folder):
    listed = document()
    for entry in listed["annotations"]:
        entry["category_id"] = str(entry["category_id"])
    listed["annotations"][3]["segmentation"] = []
    with pytest.raises(UserError, match=r"annotation 1: category_id is '3': write .* \(and 4 more\)$"):
        prepared(folder, listed)


def test_shares_of_an_image_are_no_pixels(folder):
    listed = document()
    for entry in listed["annotations"]:
        entry["bbox"] = [0.1, 0.1, 0.5, 0.5]
        entry["segmentation"] = [square(*entry["bbox"])]
    with pytest.raises(UserError, match="all coordinates lie between 0 and 1: write pixels, not shares of the image"):
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


def test_a_folder_or_a_link_to_nothing_is_no_image(folder):
    for number, make in enumerate((Path.mkdir, lambda path: path.symlink_to("nowhere"))):
        (folder / "images" / f"{number}.jpg").unlink()
        make(folder / "images" / f"{number}.jpg")
    with pytest.raises(UserError, match=r"0\.jpg is no regular file: replace it \(and 1 more\)$"):
        prepared(folder, document())
