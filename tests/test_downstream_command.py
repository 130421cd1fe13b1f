"""``python -m downstream``: which tool of which library runs, on which configuration."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from downstream.__main__ import main
from transmix.common.errors import UserError


@pytest.mark.parametrize(
    ("words", "library", "left"),
    [
        ("train ade20k/upernet_deit --row deit_b --amp --resume", "mmseg", ["--amp", "--resume"]),
        ("test coco/mask_rcnn_1x_pvt work_dirs/x/epoch_12.pth", "mmdet", ["work_dirs/x/epoch_12.pth"]),
    ],
)
def test_a_librarys_tool_runs_on_the_whole_configuration(tmp_path, monkeypatch, words, library, left):
    monkeypatch.chdir(tmp_path)
    called = []
    monkeypatch.setattr(runpy, "run_path", lambda path, run_name: called.append((Path(path), run_name)))
    monkeypatch.setattr(sys, "argv", ["downstream", *words.split()])
    main()
    ((tool, name),) = called
    assert (name, tool.is_file(), tool.name) == ("__main__", True, f"{words.split()[0]}.py")
    assert library in tool.parts
    _, path, *others = sys.argv
    assert others == left
    config = Config.fromfile(path)
    assert config.default_scope == library
    assert config.work_dir == str(Path(path).parent)
    assert config.model.backbone.model == {"mmseg": "deit_base_patch16_224", "mmdet": "pvt_small"}[library]


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
        (b"", "train ade20k/upernet_deit --cfg-options a.b", "--cfg-options a.b: write KEY=VALUE"),
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
