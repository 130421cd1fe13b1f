"""``python -m downstream``: which tool of which library runs, on which configuration, and on data that was checked."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from downstream.__main__ import main
from downstream.reading import ReadLabels
from transmix.common.errors import UserError

SIZE = (40, 36)
BOX = {"bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]]}
OBJECT = {"id": 1, "image_id": 0, "category_id": 9, "area": 9, "iscrowd": 0} | BOX
UPERNET, MASK = "ade20k/upernet_deit", "coco/mask_rcnn_1x_pvt"


def picture(path: Path, kind: str, colour: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(kind, SIZE, colour).save(path)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder to stand in, with data sets where the configurations look for them."""
    monkeypatch.chdir(tmp_path)
    for number, split in enumerate(("training", "validation")):
        root = tmp_path / "data" / "ade" / "ADEChallengeData2016"
        picture(root / "images" / split / f"{number}.jpg", "RGB", (90 * number, 0, 0))
        picture(root / "annotations" / split / f"{number}.png", "L", 3)
    for number, split in enumerate(("train2017", "val2017")):
        root = tmp_path / "data" / "coco"
        picture(root / split / "0.jpg", "RGB", (0, 50 * number, 0))
        write_list(root / "annotations" / f"instances_{split}.json", OBJECT)
    return tmp_path


def write_list(path: Path, annotation: dict[str, Any], name: str = "cat") -> None:
    image = {"id": 0, "file_name": "0.jpg", "width": SIZE[0], "height": SIZE[1]}
    listed = {"images": [image], "annotations": [annotation], "categories": [{"id": 9, "name": name}]}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(listed))


def run(words: str, monkeypatch) -> tuple[Config, list[str], list[tuple[Path, str]]]:
    """The configuration that a tool is given, its other words, and which tools ran."""
    called: list[tuple[Path, str]] = []
    monkeypatch.setattr("yapf.yapflib.yapf_api.FormatCode", lambda text, **_: (text, True))  # it takes seconds
    monkeypatch.setattr(runpy, "run_path", lambda path, run_name: called.append((Path(path), run_name)))
    monkeypatch.setattr(sys, "argv", ["downstream", *words.split()])
    main()
    _, path, *others = sys.argv
    return Config.fromfile(path), others, called


@pytest.mark.parametrize(
    ("words", "library", "left"),
    [
        (f"train {UPERNET} --row deit_b --amp --resume", "mmseg", ["--amp", "--resume"]),
        (f"test {MASK} work_dirs/x/epoch_12.pth", "mmdet", ["work_dirs/x/epoch_12.pth"]),
    ],
)
def test_a_librarys_tool_runs_on_the_whole_configuration(place, monkeypatch, capsys, words, library, left):
    config, others, ((tool, name),) = run(words, monkeypatch)
    assert (name, tool.is_file(), tool.name) == ("__main__", True, f"{words.split()[0]}.py")
    assert library in tool.parts
    assert others == left
    assert config.default_scope == library
    assert config.work_dir == str(Path(sys.argv[1]).parent)
    assert config.model.backbone.model == {"mmseg": "deit_base_patch16_224", "mmdet": "pvt_small"}[library]
    assert capsys.readouterr().err == ""


def test_files_are_read_as_by_a_run_and_a_mended_list_is_what_is_scored(place, monkeypatch, capsys):
    picture(place / "data/ade/ADEChallengeData2016/images/training/0.jpg", "RGB", (90, 0, 0))
    config, *_ = run(f"train {UPERNET} --cfg-options train_cfg.max_iters=7", monkeypatch)
    assert config.train_cfg.max_iters == 7
    for loader in (config.train_dataloader, config.val_dataloader):
        assert {"ReadFile", "ReadLabels"} <= {step.type for step in loader.dataset.pipeline}
    assert "downstream.reading" in config.custom_imports.imports
    assert "1 of 1 validation images are byte copies of training images" in capsys.readouterr().err
    write_list(place / "data/coco/annotations/instances_val2017.json", OBJECT | {"id": 0})
    config, *_ = run(f"test {MASK} x.pth", monkeypatch)
    assert config.test_dataloader.dataset.ann_file == config.test_evaluator.ann_file
    assert "COCO's tools take annotation 0 for none" in capsys.readouterr().err
    assert json.loads(Path(config.test_evaluator.ann_file).read_text())["annotations"][0]["id"] == 1


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (
            lambda data: picture(data / "ade/ADEChallengeData2016/annotations/training/0.png", "L", 200),
            f"train {UPERNET}",
            "has label 200 at 1,440 pixels",
        ),
        (
            lambda data: (data / "ade").rename(data / "elsewhere"),
            f"test {UPERNET} x.pth",
            "data of test_dataloader cannot be read (FileNotFoundError: ",
        ),
        (
            lambda data: write_list(data / "coco/annotations/instances_val2017.json", OBJECT | {"image_id": 5}),
            f"train {MASK}",
            "image_id 5 is no image of this list",
        ),
        (
            lambda data: write_list(data / "coco/annotations/instances_train2017.json", OBJECT, "spaceship"),
            f"train {MASK}",
            "none of its categories ('spaceship', ...) is a class of the configuration",
        ),
        (
            lambda data: None,
            f"train {MASK} --cfg-options train_dataloader.dataset.ann_file=none.json",
            "data/coco/none.json is not there: see to data_root and ann_file",
        ),
    ],
)
def test_data_is_checked_before_the_tool_starts(place, monkeypatch, spoil, words, message):
    spoil(place / "data")
    with pytest.raises(UserError) as error:
        run(words, monkeypatch)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_layout_that_is_not_known_is_said(place, monkeypatch, capsys):
    """Data sets inside of others are found."""
    own = f"""_base_ = {str(Path(sys.modules["downstream"].__file__).parent / "configs" / f"{UPERNET}.py")!r}
inner = dict(type="LoveDADataset", data_root="x", pipeline=[dict(type="LoadImageFromFile")])
train_dataloader = dict(dataset=dict(_delete_=True, type="RepeatDataset", times=2, dataset=inner))
"""
    (place / "own.py").write_text(own)
    run("train own.py", monkeypatch)
    assert capsys.readouterr().err == (
        "note: train_dataloader: data of LoveDADataset are of no layout that is known here: not checked\n"
    )


def test_labels_follow_the_classes_that_are_asked_for(tmp_path):
    Image.fromarray(np.array([[0, 1, 2, 255]], np.uint8)).save(tmp_path / "map.png")
    given = {"seg_map_path": str(tmp_path / "map.png"), "reduce_zero_label": False, "seg_fields": []}
    assert ReadLabels()(given | {"label_map": {0: 1, 1: 255, 2: 0}})["gt_seg_map"].tolist() == [[1, 255, 0, 255]]


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (b"a = (", "train own.py", "own.py cannot be used (SyntaxError: "),
        (b"", "train own.py", "own.py cannot be used (AttributeError: "),
        (b"default_scope = 'mmseg'", "test own.py x.pth", "no attribute 'test_dataloader'): see to that file"),
        (b"_base_ = 'mmseg::no/such.py'", "train own.py", "own.py cannot be used (FileNotFoundError: "),
        (b"_base_ = 'mmpretrain::a/b.py'", "train own.py", "own.py cannot be used ("),
        (b"\xff\xfe\0", "train own.py", "own.py cannot be used (UnicodeDecodeError: "),
        (b"default_scope = 'mmpose'", "train own.py", "unknown library 'mmpose'"),
        (b"", f"train {UPERNET} --cfg-options a.b", "--cfg-options a.b: write KEY=VALUE"),
        (b"", f"train {UPERNET} --cfg-options a=[(1,2]", "--cfg-options a=[(1,2]: write KEY=VALUE"),
        (b"", f"train {UPERNET} --cfg-options default_scope.x=1", "--cfg-options default_scope.x: cannot be set ("),
        (b"", f"train {UPERNET} --cfg-opt a=1", "--cfg-opt: write --cfg-options"),
    ],
)
def test_a_configuration_that_is_none_is_one_line(tmp_path, monkeypatch, content, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["downstream", *words.split()])
    with pytest.raises(UserError) as error:
        main()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
