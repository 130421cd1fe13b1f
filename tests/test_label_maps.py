"""Label maps and masks in all the ways that PNG has: read as what they hold, or refused in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.dense import label_maps
from experiments.dense.label_maps import check_label_maps, read_labels
from robustness.masks import Instances, LabelMaps, OwnMasks, check_masks
from transmix.common.errors import UserError
from transmix.data.opening import ORIENTATION, UnreadableImage

LABELS = np.array([[0, 1, 2, 3], [3, 2, 255, 0], [1, 1, 1, 1]], np.uint8)
SIZE = (4, 3)


def grey(depth: int) -> Callable[[Path], None]:
    """A grey PNG of few bits, by hand: Pillow writes none."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    def write(path: Path) -> None:
        values = LABELS % 2**depth
        width = -(-SIZE[0] * depth // 8)  # bytes a row
        rows = [sum(int(value) << 8 * width - depth * (place + 1) for place, value in enumerate(row)) for row in values]
        pixels = b"".join(b"\0" + row.to_bytes(width, "big") for row in rows)
        header = struct.pack(">IIBBBBB", *SIZE, depth, 0, 0, 0, 0)
        content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)

    return write


def saved(pixels: Any, mode: str | None = None, kind: str = "PNG", **options: Any) -> Callable[[Path], None]:
    image = Image.fromarray(pixels)
    return lambda path: (image.convert(mode) if mode else image).save(path, kind, **options)


def palette(path: Path) -> None:
    image = Image.fromarray(LABELS, "P")
    image.putpalette([255 - value for value in range(256) for _ in range(3)])
    image.save(path)


CHANNELS = np.repeat(LABELS[..., None], 3, 2)
COLOURS = np.stack([LABELS, LABELS, LABELS + 1], 2)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (saved(LABELS), LABELS),
        (palette, LABELS),
        (saved(CHANNELS), LABELS),
        (saved(CHANNELS, "RGBA"), LABELS),
        (saved(LABELS, "LA"), LABELS),
        (saved(LABELS.astype(np.uint16)), LABELS),
        (grey(2), LABELS % 4),
        (grey(4), LABELS % 16),
        (grey(1), LABELS % 2),
    ],
)
def test_class_numbers_are_read_in_every_form(tmp_path, write, expected):
    write(tmp_path / "map.png")
    found = read_labels(tmp_path / "map.png")
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)
    size, counts = label_maps.count_labels(tmp_path / "map.png")
    assert size == SIZE
    assert np.array_equal(counts, np.bincount(expected.ravel(), minlength=256))


def test_mmsegs_labels_are_the_same_in_every_form(tmp_path):
    from downstream.reading import ReadLabels

    for write in (saved(LABELS), saved(CHANNELS), saved(LABELS.astype(np.uint16))):
        write(tmp_path / "map.png")
        for zero_is_none, expected in ((False, LABELS), (True, np.where(LABELS % 255 == 0, 255, LABELS - 1))):
            given = {"seg_map_path": str(tmp_path / "map.png"), "reduce_zero_label": zero_is_none, "seg_fields": []}
            found = ReadLabels()(given)
            assert np.array_equal(found["gt_seg_map"], expected)
            assert (found["gt_seg_map"].dtype, found["seg_fields"]) == (np.uint8, ["gt_seg_map"])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (saved(COLOURS), "holds colours instead of class numbers: translate them by the data set's palette"),
        (saved(LABELS.astype(np.uint16) + 256), "has label 511, which eight bits do not hold"),
        (saved(np.dstack([CHANNELS, LABELS])), "is transparent in places"),
        (
            lambda path: Image.fromarray(LABELS).save(path, exif=turned(6)),
            "EXIF orientation, .*: save the class numbers",
        ),
        (saved(LABELS, None, "JPEG"), r"kind that its name says \(PNG\): save the class numbers as an 8-bit PNG"),
        (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "kind that its name says"),
        (lambda path: None, "is not there"),
    ],
)
def test_what_holds_no_class_numbers(tmp_path, write, message):
    write(tmp_path / "map.png")
    with pytest.raises(UnreadableImage, match=message):
        read_labels(tmp_path / "map.png")


def pair(root: Path, labels: Any, size: tuple[int, int] = SIZE, **options: Any) -> tuple[str, str]:
    Image.new("RGB", size).save(root / "image.jpg", **options)
    Image.fromarray(labels).save(root / "map.png")
    return str(root / "image.jpg"), str(root / "map.png")


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


@pytest.mark.parametrize(
    ("labels", "options", "zero_is_none", "message"),
    [
        (LABELS, {}, True, None),
        (LABELS, {}, False, "has label 3 at 2 pixels, but classes go from 0 to 2 (255 is no class)"),
        (
            LABELS + np.uint8(1),
            {},
            True,
            "classes go from 1 to 3 (0 and 255 are no class)",
        ),
        (np.full_like(LABELS, 200), {}, True, "has label 200 at 12 pixels"),
        (LABELS.T.copy(), {}, True, "image.jpg has 4 x 3 pixels (width x height), its label map has 3 x 4"),
        (LABELS, {"exif": turned(6)}, True, "has EXIF orientation 6"),
        (LABELS, {"exif": turned(3)}, True, "has EXIF orientation 3"),
        (LABELS.T.copy(), {"exif": turned(6)}, True, None),  # OpenCV turns the image
        (np.uint8(255) * (LABELS > 1), {}, True, "no pixel of the 1 label maps"),
    ],
)
def test_label_maps_are_checked_with_their_images(tmp_path, labels, options, zero_is_none, message):
    pairs = [pair(tmp_path, labels, **options)]
    if message is None:
        check_label_maps(pairs, 3, zero_is_none, tmp_path / "cache", "train")
        check_label_maps(pairs, 3, zero_is_none, tmp_path / "cache", "train")
        assert [path.name for path in (tmp_path / "cache").iterdir()] == ["checked-labels-train.json"]
        return
    with pytest.raises(UserError) as error:
        check_label_maps(pairs, 3, zero_is_none, tmp_path / "cache", "train")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def masks(root: Path, kind: type, content: Any) -> tuple[Any, list[str]]:
    """Masks of one image, ``cat/a.jpg`` of 4 x 3 pixels."""
    (root / "images" / "cat").mkdir(parents=True)
    Image.new("RGB", SIZE).save(root / "images" / "cat" / "a.jpg")
    path = root / {Instances: "list.json", LabelMaps: "maps", OwnMasks: "masks/cat"}[kind]
    if kind is Instances:
        path.write_text(json.dumps(content))
    else:
        path.mkdir(parents=True)
        if content is not None:
            content(path / "a.png")
    folder = root / "masks" if kind is OwnMasks else path
    return kind(folder, ["cat/a.jpg"], 32, 1.0), [str(root / "images" / "cat" / "a.jpg")]


def listed(segmentation: Any, **changes: Any) -> dict[str, Any]:
    image = {"id": 7, "file_name": "a.jpg", "width": 4, "height": 3} | changes
    return {"images": [image], "annotations": [{"id": 5, "image_id": 7, "segmentation": segmentation}]}


WHITE = np.uint8(255) * (LABELS == 1)
CORNER = [[0, 0, 2, 0, 2, 2, 0, 2]]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (OwnMasks, saved(WHITE), None),
        (OwnMasks, saved(WHITE, "1"), None),
        (OwnMasks, saved(np.repeat(WHITE[..., None], 3, 2)), None),
        (OwnMasks, None, "a.png is not there: give every image a PNG of its size that is white"),
        (OwnMasks, saved(WHITE.T.copy()), "has 4 x 3 pixels (width x height), its mask in"),
        (OwnMasks, saved(LABELS % 255), "has values up to 3: give every image a PNG"),
        (OwnMasks, palette, "is of Pillow's mode P"),
        (OwnMasks, saved(WHITE.astype(np.uint16)), "is of Pillow's mode I;16"),
        (OwnMasks, saved(WHITE, None, "JPEG"), "holds no image of the kind that its name says (PNG)"),
        (LabelMaps, saved(LABELS), None),
        (LabelMaps, None, "is not there"),
        (LabelMaps, saved(COLOURS), "holds colours instead of class numbers"),
        (LabelMaps, saved(np.zeros((3, 4), np.uint8)), "no mask of the 1 images has an object: give others"),
        (Instances, listed(CORNER), None),
        (Instances, listed(CORNER, width=3, height=4), "has 4 x 3 pixels (width x height), its mask in"),
        (Instances, listed(CORNER, width="4"), "has no usable width and height"),
        (Instances, listed(CORNER, width=10**6, height=10**6), "has no usable width and height"),
        (Instances, listed(CORNER, file_name="b.jpg"), "does not list image cat/a.jpg"),
        (Instances, listed([]), "annotation 5: its segmentation is empty"),
        (Instances, listed([[1, 2, 3, 2]]), "annotation 5: its polygon has 2 points"),
        (Instances, listed([[1, 2]]), "annotation 5: its polygon has 1 points"),
        (Instances, listed(CORNER[0]), "annotation 5: its segmentation is no list of polygons"),
        (Instances, listed([[1e9, 0, 2, 0, 2, 2]]), "far outside an image of 4 pixels"),
        (Instances, listed([[1e300, 0, 2, 0, 2, 2]]), "far outside an image of 4 pixels"),
        (Instances, listed({"size": [10**6, 10**6], "counts": [10**12]}), "its image is [3, 4]"),
        (Instances, listed({"size": [3, 4], "counts": [0, 10**9]}), "its run lengths cover 1,000,000,000 pixels of 12"),
    ],
)
def test_masks_lie_on_their_images(tmp_path, kind, content, message):
    found, files = masks(tmp_path, kind, content)
    if message is None:
        check_masks(found, files)
        assert 0 < torch.as_tensor(np.asarray(found.picture(0)) > 127).sum() < 12
        return
    with pytest.raises(UserError) as error:
        check_masks(found, files)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("orientation", "fine"), [(6, True), (3, False)])
def test_masks_of_images_that_others_would_turn(tmp_path, orientation, fine):
    found, files = masks(tmp_path, OwnMasks, saved(WHITE))
    Image.new("RGB", SIZE).save(files[0], exif=turned(orientation))
    if fine:  # the mask has the size as stored, and timm turns nothing
        check_masks(found, files)
        return
    with pytest.raises(UserError, match="EXIF orientation 3"):
        check_masks(found, files)


def test_images_of_one_name_are_told_by_their_folder(tmp_path):
    document = {
        "images": [{"id": n, "file_name": f"{n}/a.jpg", "width": 4, "height": 3} for n in range(2)],
        "annotations": [{"id": 1, "image_id": 1, "segmentation": CORNER}],
    }
    (tmp_path / "list.json").write_text(json.dumps(document))
    found = Instances(tmp_path / "list.json", ["0/a.jpg", "1/a.jpg", "cat/a.jpg"], 32, 1.0)
    assert [np.asarray(found.picture(index)).any() for index in range(2)] == [False, True]
    with pytest.raises(UserError, match="several images are called a: list them as <class>/<name>"):
        found.picture(2)


@pytest.mark.parametrize("option", ["--masks", "--dino"])
def test_files_that_are_not_there_are_named_even_if_nothing_needs_them(monkeypatch, tmp_path, option):
    from robustness.__main__ import main

    given = ["MODEL", "--weights", "w", "--data", str(tmp_path), "--sweep", "random", option, str(tmp_path / "no")]
    monkeypatch.setattr(sys, "argv", ["robustness", *given])
    with pytest.raises(UserError, match=f"{option} .*no: there is no such file"):
        main()
