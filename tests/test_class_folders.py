"""Class folders as people have them: one order in every process, and what is no image is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from robustness.classes import classes_of
from transmix.common.errors import UserError
from transmix.data import copies, opening, remembered
from transmix.data.opening import UnreadableImage, read_header, read_pixels, to_rgb
from transmix.data.sources.folders import FolderImages, read_folders
from transmix.data.sources.listing import class_images, list_folders
from transmix.data.sources.source import note_on_classes

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n/x { x } def x\n"


def picture(path: Path, kind: str | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), "red").save(path, kind, **options)
    return path


def folders(root: Path, *names: str) -> Path:
    for split in ("train", "val"):
        for name in names:
            picture(root / split / name / "0.png")
    return root


def refused(root: Path, *parts: str) -> None:
    with pytest.raises(UserError) as error:
        read_folders(root)
    for part in parts:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


NAMES = ("b", "A", "a", "B", "1", "01", "001")


def test_names_that_sort_alike_have_one_order_everywhere(tmp_path):
    root = folders(tmp_path, *NAMES)
    for name in ("x.png", "X.PNG", "01.png", "1.png"):
        picture(root / "train" / "A" / name, "PNG")
    script = (
        "import sys; from pathlib import Path; from transmix.data.sources.listing import labelled_files, list_folders\n"
        "print(list_folders(Path(sys.argv[1])).classes)\n"
        "print(labelled_files(Path(sys.argv[1], 'train')))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(root)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "3")
    ]
    first, second = (process.communicate()[0] for process in processes)
    assert first == second
    classes = ("001", "01", "1", "A", "a", "B", "b")
    assert str(classes) in first
    assert classes == tuple(class_images(root / "val")) == list_folders(root).classes  # as robustness and records
    images = FolderImages(root / "train")
    files = [(images.filename(index), images[index][1]) for index in range(len(images))]
    assert str(files) in first
    assert all(classes[images[index][1]] == images.filename(index).split("/")[0] for index in range(len(images)))
    assert [images.filename(index) for index in range(len(images)) if "A/" in images.filename(index)] == [
        "A/0.png",
        "A/01.png",
        "A/1.png",
        "A/X.PNG",
        "A/x.png",
    ]


def test_torchvisions_kinds_are_read_and_others_counted(tmp_path):
    root = folders(tmp_path, "a", "b")
    for suffix in ("webp", "bmp", "tif", "jpg", "ppm"):
        picture(root / "train" / "a" / f"1.{suffix}")
    for name in ("1.gif", "2.gif", "notes", "._1.jpg"):
        (root / "train" / "b" / name).write_bytes(b"?")
    source = read_folders(root)
    assert source.counts == {"train": 7, "val": 2}
    assert (
        source.notes[0]
        == f"{root / 'train'}: left out, because they are read as no images: 1 ._*, 1 without suffix, 2 .gif"
    )
    assert {np.asarray(image).shape for image, _ in source.open("train")} == {(6, 8, 3)}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.write_bytes(POSTSCRIPT), "holds no image of the kind that its name says"),
        (lambda file: file.write_bytes(b""), "holds no image of the kind"),
        (lambda file: file.write_bytes(file.read_bytes()[:-30]), "is damaged or cut off"),
        (lambda file: (file.unlink(), os.mkfifo(file)), "is no regular file"),
        (lambda file: (file.unlink(), file.symlink_to("/dev/zero")), "is no regular file"),
        (lambda file: (file.unlink(), file.symlink_to("nowhere")), "is no regular file, or a link to none"),
        (
            lambda file: Image.fromarray(np.full((4, 4), 9, np.uint16)).save(file),
            "has 16 bits a pixel and values up to 9",
        ),
        (lambda file: Image.fromarray(np.ones((4, 4), np.float32)).save(file, "TIFF"), "holds no image of the kind"),
    ],
)
def test_what_is_no_image_is_named_at_the_start(tmp_path, spoil, message):
    root = folders(tmp_path, "a", "b")
    spoil(root / "val" / "b" / "0.png")
    refused(root, str(root / "val" / "b" / "0.png"), message)


def test_faults_are_counted(tmp_path):
    root = folders(tmp_path, "a", "b", "c")
    for name in "abc":
        (root / "val" / name / "0.png").write_bytes(POSTSCRIPT)
    refused(root, "val/a/0.png holds no image", "replace it or remove it (and 2 more)")


@pytest.mark.parametrize("name", [unicodedata.normalize("NFD", "é"), "line\nend", "latin-\udce9", "bell\a"])
def test_names_of_classes_that_cannot_be_told_or_written(tmp_path, name):
    root = folders(tmp_path, "é", os.fsencode(name).decode("utf-8", "surrogateescape"))
    refused(root, "merge them" if name.startswith("e") else "rename it in UTF-8")


def test_two_spellings_in_two_splits(tmp_path):
    folders(tmp_path, "a")
    picture(tmp_path / "train" / "é" / "0.png")
    picture(tmp_path / "val" / unicodedata.normalize("NFD", "é") / "0.png")
    refused(tmp_path, "is spelled in two ways in Unicode, one in train and one in val: give both the same name")


def test_other_alphabets_and_file_names_that_are_no_utf8(tmp_path):
    root = folders(tmp_path, "²", "a²", "١٢", "٣", "क्‍ष", "mit Leerzeichen")
    os.rename(picture(tmp_path / "latin.png"), os.fsencode(root) + b"/train/a\xc2\xb2/caf\xe9.png")
    source = read_folders(root)
    assert source.num_classes == 6
    assert source.counts["train"] == 7
    assert source.fingerprint == read_folders(root).fingerprint
    assert all(image.size == (8, 6) for image, _ in source.open("train"))


def test_sixteen_bits_of_grey_become_eight(tmp_path):
    grey = np.array([[0, 255, 256, 4095], [32768, 65535, 300, 51400]], np.uint16)
    for name in ("grey.png", "grey.tif"):
        Image.fromarray(grey).save(tmp_path / name)
        pixels = np.asarray(to_rgb(read_pixels(tmp_path / name)))
        assert np.array_equal(pixels, np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, 2))
    Image.fromarray(grey.astype(np.int32)).save(tmp_path / "deep.tif")
    for read in (read_header, lambda path: to_rgb(read_pixels(path))):
        with pytest.raises(UnreadableImage, match="32 bits a pixel"):
            read(tmp_path / "deep.tif")


def test_pillows_limit_stays(tmp_path, monkeypatch):
    picture(tmp_path / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    for read in (read_header, read_pixels):
        with pytest.raises(UnreadableImage, match="has more than 40 pixels, Pillow's limit"):
            read(tmp_path / "big.png")


def test_quick_headers_are_pillows(tmp_path):
    exif = Image.Exif()
    exif[opening.ORIENTATION] = 6
    noise = Image.effect_noise((31, 17), 60)
    saved = {
        "a.jpg": (noise.convert("RGB"), {}),
        "b.jpg": (noise, {"progressive": True}),
        "c.jpg": (noise.convert("CMYK"), {}),
        "d.jpg": (noise.convert("RGB"), {"exif": exif}),
        "e.png": (noise.convert("RGBA"), {}),
        "f.png": (noise.convert("P"), {}),
        "g.png": (noise.convert("1"), {}),
        "h.png": (noise, {"exif": exif}),
        "i.png": (noise.convert("LA"), {"pnginfo": _text()}),
        "j.webp": (noise.convert("RGB"), {"exif": exif}),
    }
    for name, (image, options) in saved.items():
        image.save(tmp_path / name, **options)
        with Image.open(tmp_path / name) as whole:
            expected = (whole.size, whole.mode, whole.format, whole.getexif().get(opening.ORIENTATION, 1))
        found = read_header(tmp_path / name)
        assert (found.size, found.mode, found.kind, found.orientation) == expected, name
    assert opening.quick_header((tmp_path / "a.jpg").read_bytes()[: opening.HEAD])
    assert opening.quick_header((tmp_path / "d.jpg").read_bytes()[: opening.HEAD]) is None
    assert read_header(tmp_path / "d.jpg").upright_size == (17, 31)
    (tmp_path / "e.png").rename(tmp_path / "e.JPEG")  # as ImageNet has it
    assert read_header(tmp_path / "e.JPEG").kind == "PNG"
    with pytest.raises(UnreadableImage, match=r"\(PNG\)"):
        read_header(tmp_path / "a.jpg", opening.PNG)


def _text() -> PngImagePlugin.PngInfo:
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", "x" * 9000)
    return about


def test_a_check_is_done_once_and_again_where_it_must_be(tmp_path, monkeypatch):
    calls = []

    def found(key: str) -> dict:
        return remembered.remembered(tmp_path, "x", key, lambda: calls.append(key) or {"notes": ["one"]})

    assert found("a") == found("a") == {"notes": ["one"]}
    assert calls == ["a"]
    found("b")
    path = tmp_path / "checked-x.json"
    for damage in ("", "[]", "[" * 9999, path.read_text().replace("one", "two"), '{"about": [1, "b"]}'):
        path.write_text(damage)
        found("b")
    assert len(calls) == 7
    monkeypatch.setattr(remembered, "VERSION", remembered.VERSION + 1)
    found("b")
    assert len(calls) == 8
    (tmp_path / "file").write_text("")
    assert remembered.remembered(tmp_path / "file" / "no", "x", "k", lambda: {"a": 1}) == {"a": 1}  # cannot be kept


def test_changed_images_are_looked_at_again(tmp_path):
    root = folders(tmp_path / "images", "a", "b")
    read_folders(root, tmp_path)
    (root / "val" / "a" / "0.png").write_bytes(POSTSCRIPT)
    with pytest.raises(UserError, match="holds no image"):
        read_folders(root, tmp_path)


def test_a_thousand_classes_that_are_not_called_as_imagenets(tmp_path):
    names = [f"class {number:04}" for number in range(1000)]
    for name in names:
        (tmp_path / "human" / name).mkdir(parents=True)
        (tmp_path / "human" / name / "0.png").touch()
        (tmp_path / "numbers" / name[-3:]).mkdir(parents=True)
        (tmp_path / "numbers" / name[-3:] / "0.png").touch()
    with pytest.raises(UserError, match=r"rename them to ids, or say --own-classes for a model that was trained on"):
        classes_of(1000, tmp_path / "human")
    assert classes_of(1000, tmp_path / "human", own=True) == tuple(names)
    assert classes_of(1000, tmp_path / "numbers")[999] == "999"
    assert "their labels are not ImageNet's" in note_on_classes("here", names)[0]
    assert note_on_classes("here", names[1:]) == note_on_classes("here", ["n01440764", *names[1:]]) == ()


def test_images_that_are_there_twice_are_said(class_folders, tmp_path, monkeypatch):
    train, val = class_folders / "train", class_folders / "val"
    assert read_folders(class_folders, tmp_path).notes == ()
    shutil.copy(train / "class0" / "003.png", val / "class0" / "renamed.png")
    os.link(train / "class2" / "004.png", val / "class2" / "linked.png")
    (said,) = read_folders(class_folders, tmp_path).notes
    assert said == (
        f"2 of 17 validation images are byte copies of training images, {val}/class0/renamed.png of "
        f"{train}/class0/003.png first: accuracy is in part that on the images of the training"
    )
    monkeypatch.setattr(copies, "MOST", 40)  # too many of one size: only those that share a name, too, are read
    assert read_folders(class_folders).notes == ()
    (val / "class2" / "linked.png").rename(val / "class2" / "004.png")
    (said,) = read_folders(class_folders).notes
    assert said.startswith("1 of 16 validation images")


def test_images_in_two_classes_are_said(class_folders):
    for split in ("train", "val"):
        (class_folders / split / "again").symlink_to("class1")
    (said,) = read_folders(class_folders).notes
    assert said.startswith("21 images lie in several classes as byte copies")
    assert "class1/" in said
    assert "again/" in said


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", ".git"])
def test_what_programs_leave_in_a_data_set_is_no_class(class_folders, name):
    for split in ("train", "val"):
        shutil.copytree(class_folders / split / "class0", class_folders / split / name)
    with pytest.raises(UserError, match=r"is no class, some program has left it there: remove it$"):
        list_folders(class_folders)


def test_one_class_is_refused_and_training_images_for_validation_are_said(class_folders):
    shutil.rmtree(class_folders / "val")
    (class_folders / "val").symlink_to("train")
    assert "48 of 48 validation images are byte copies of training images" in read_folders(class_folders).notes[0]
    for name in ("class1", "class2"):
        shutil.rmtree(class_folders / "train" / name)
    with pytest.raises(UserError, match=r"has one class only, 'class0'"):
        list_folders(class_folders)


def test_training_on_names_that_sort_alike_is_the_same_in_every_process(tmp_path):
    """Ids, weights and accuracy: a set's order, which PYTHONHASHSEED decides, is in none of them."""
    for split in ("train", "val"):
        for number, name in enumerate(("A", "a", "1", "01")):
            for index in range(4):
                path = picture(tmp_path / "images" / split / name / f"{index}.png")
                Image.new("RGB", (16, 16), (60 * number, 255 - 60 * number, 20 * index + 9 * (split == "val"))).save(
                    path
                )
    command = [sys.executable, "-m", "experiments", "run", "table1.deit_t.transmix.seed0", "--scale", "smoke"]
    command += ["--imagenet", str(tmp_path / "images"), "--workers", "0", "--data", str(tmp_path / "data"), "--results"]
    processes = [
        subprocess.Popen([*command, str(tmp_path / seed)], env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("0", "3")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    records = [json.loads(next((tmp_path / seed).rglob("record.json")).read_text()) for seed in ("0", "3")]
    first, second = (
        [record["run"]["id"], record["files"]["weights.safetensors"], record["data"], record["metrics"]["top1"]]
        for record in records
    )
    assert first == second
    assert len(first[1]) == 64


@pytest.mark.parametrize(("kind", "transparency"), [("PNG", bytes(range(256))), ("PNG", 3), ("GIF", 3), ("PNG", None)])
def test_an_image_with_a_transparent_palette_is_read_as_by_torchvision_and_without_a_word(tmp_path, kind, transparency):
    """Colours as they are stored, whatever shines through."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / f"a.{kind.lower()}"
    given = {} if transparency is None else {"transparency": transparency}
    Image.fromarray(noise).quantize(256).save(path, kind, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = to_rgb(read_pixels(path))
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")
        expected = image.convert("RGB")
    assert found.mode == "RGB"
    assert np.array_equal(np.asarray(found), np.asarray(expected))
