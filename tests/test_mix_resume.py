"""A training by one method of each kind, broken off and started again, ends with the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from recipes import small_recipe

from transmix.data.sources.folders import read_folders
from transmix.methods import methods
from transmix.models import create_model
from transmix.training.checkpoints import save_weights
from transmix.training.distributed import Processes
from transmix.training.log import NAME as LOG
from transmix.training.loop import WEIGHTS, Runtime, Trainer

KINDS = {
    "saliencymix": "a mask for each image",
    "attentivemix": "a teacher",
    "smmix": "a pass of the student, and a head",
    "mixpro": "a label after the pass",
    "transmix_ema": "the moving average",
}


class BrokenOff(Exception):
    """In the middle of a training."""


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> str:
    """The weights of another model of the suite's."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    name = "deit_micro_small_patch8_64"
    model = create_model(name, num_classes=3)
    cfg = model.pretrained_cfg
    about = {"model": name, "classes": ["a", "b", "c"], "image_size": 64, "mean": cfg["mean"], "std": cfg["std"]}
    save_weights(model, path, about | {"num_classes": 3})
    return str(path)


def trainer(name: str, folders: Path, out: Path, teacher: str) -> Trainer:
    settings = {"label_rule": "area", "epochs": 2, "report_ema": False, "ema_decay": 0.8, **methods()[name].settings}
    if "teacher" in methods()[name].reads:
        settings["teacher"] = teacher
    out.mkdir(exist_ok=True)
    runtime = Runtime(workers=0, checkpoint_seconds=0.0, progress=False)
    return Trainer(
        small_recipe(**settings), read_folders(folders), out, 0, Processes(0, 1, torch.device("cpu")), runtime
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_broken_off_training_ends_with_the_same_bytes(name, shared_folders, tmp_path, teacher):
    trainer(name, shared_folders, tmp_path / "whole", teacher).run()
    broken = trainer(name, shared_folders, tmp_path / "broken", teacher)
    step, count = broken._train_step, iter(range(100))

    def step_or_stop(*batch) -> None:
        if next(count) == 4:  # in the second epoch
            raise BrokenOff
        step(*batch)

    broken._train_step = step_or_stop
    with pytest.raises(BrokenOff):
        broken.run()
    trainer(name, shared_folders, tmp_path / "broken", teacher).run()
    for file in (WEIGHTS, LOG):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "broken" / file).read_bytes(), file
