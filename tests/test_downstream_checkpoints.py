"""What mmengine's runner, hooks and tools read is data, and their own checkpoints continue."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model.weight_init import PretrainedInit
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import _load_checkpoint, load_checkpoint
from torch import nn

from downstream.__main__ import main
from downstream.openmmlab import prepare
from transmix.common.errors import UserError, exit_on_user_error


@pytest.fixture(autouse=True)
def prepared() -> None:
    prepare("mmseg")


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("place", ["meta", "state_dict", "optimizer", "message_hub"])
def test_no_way_into_the_libraries_runs_a_pickle(place, tmp_path):
    path, touched = tmp_path / "epoch_1.pth", tmp_path / "touched"
    torch.save({"state_dict": {"weight": torch.ones(1, 1)}, "meta": {}} | {place: Harmful(touched)}, path)
    for read in (
        lambda: _load_checkpoint(str(path), "cpu"),
        lambda: CheckpointLoader.load_checkpoint(str(path), "cpu"),
        lambda: load_checkpoint(nn.Linear(1, 1), str(path)),
        lambda: PretrainedInit(str(path))(nn.Linear(1, 1)),
    ):
        with pytest.raises(UserError, match=r"without running code \(it holds .*mkdir"):
            read()
    with pytest.raises(Exception, match="mkdir"):
        torch.load(path, weights_only=False)  # whoever asks for it, and whatever hook
    assert not touched.exists()


@pytest.mark.parametrize("scheme", ["http://localhost/x.pth", "torchvision://resnet50", "open-mmlab://x", "s3://x/y"])
def test_nothing_is_fetched(scheme):
    with pytest.raises(UserError, match="is not on this machine, and nothing is downloaded"):
        _load_checkpoint(scheme, "cpu")


def test_mmengines_own_checkpoint_is_read_whole_and_again(tmp_path):
    hub = MessageHub.get_instance("written")
    for value in (1.5, 2.5):
        hub.update_scalar("train/loss", value)
    hub.update_info("best", np.float64(3))
    held = {"meta": {"epoch": 2, "rate": np.float32(0.5)}, "state_dict": {"w": torch.ones(2)}}
    for name in ("first.pth", "second.pth"):
        torch.save(held | {"message_hub": hub.state_dict(), "array": np.arange(6).reshape(2, 3)}, tmp_path / name)
        found = _load_checkpoint(str(tmp_path / name), "cpu")
        assert found["meta"] == {"epoch": 2, "rate": 0.5}
        assert found["array"].tolist() == [[0, 1, 2], [3, 4, 5]]
        hub = MessageHub.get_instance(f"read from {name}")
        hub.load_state_dict(found["message_hub"])
        assert type(hub.get_scalar("train/loss")) is HistoryBuffer
        assert hub.get_scalar("train/loss").mean() == 2
        assert hub.get_info("best") == 3


def test_weights_that_are_no_numbers_are_not_tested(tmp_path):
    torch.save({"state_dict": {"w": torch.tensor([torch.nan])}, "meta": {}}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="holds NaN"):
        _load_checkpoint(str(tmp_path / "x.pth"), "cpu")


def test_the_command_refuses_in_one_line(tmp_path, monkeypatch, capsys):
    """The library's tool, which takes a minute to get there, is left out: it reads by the function called here."""
    torch.save({"state_dict": Harmful(tmp_path / "touched")}, tmp_path / "x.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["downstream", "test", "ade20k/segmenter_linear_deit", "x.pth"])
    monkeypatch.setattr("downstream.__main__.check_tools_data", lambda *_: ())  # there are none
    monkeypatch.setattr(runpy, "run_path", lambda path, run_name: _load_checkpoint(sys.argv[-1], "cpu"))
    with pytest.raises(SystemExit) as ended:
        exit_on_user_error(main)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: weights file x.pth is not readable without running code")
    assert not (tmp_path / "touched").exists()
