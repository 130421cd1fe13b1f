"""Small training runs on one CPU, here or in a process of their own."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
from recipes import small_recipe

from transmix.common.runtime import Runtime
from transmix.data.sources.folders import read_folders
from transmix.training.distributed import Processes
from transmix.training.loop import Trainer

# a clean server with torch imported: children start in no time and may be killed like any process
spawn = multiprocessing.get_context("forkserver")
spawn.set_forkserver_preload(["transmix.training.loop"])

ALONE = Processes(0, 1, torch.device("cpu"))
RIGHT = "right"  # written by `train`: which images the run reports to be right about


def trainer(root: Path, out: Path, checkpoint_seconds: float = 60.0, **settings) -> Trainer:
    runtime = Runtime(workers=0, checkpoint_seconds=checkpoint_seconds, progress=False)
    return Trainer(small_recipe(**settings), read_folders(root), out, 0, ALONE, runtime)


def train(root: Path, out: Path, **kwargs) -> None:
    torch.set_num_threads(1)
    trained = trainer(root, out, **kwargs).run()
    (out / RIGHT).write_text(str(trained.right.tolist()))


def in_child(target, *args) -> int:
    child = spawn.Process(target=target, args=args)
    child.start()
    child.join(120)
    return child.exitcode


def trained(out: Path, root: Path, target=train) -> Path:
    assert in_child(target, root, out) == 0
    return out
