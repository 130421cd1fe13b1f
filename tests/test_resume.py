"""A training run that is killed anywhere and started again ends with the same bytes."""

from __future__ import annotations

import io
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from training_runs import RIGHT, in_child, train, trained, trainer

import transmix.training.loop
from transmix.training.checkpoints import load_state
from transmix.training.log import NAME as LOG
from transmix.training.loop import EMA_WEIGHTS, STATE, WEIGHTS

RESIDENT = {"resident": True, "rand_augment": None, "crop_scale": (0.3, 1.0), "hflip": 0.5}


def train_and_die(root: Path, out: Path, moment: str, at: int, seconds: float = 0.0, resident: bool = False) -> None:
    """Run until the `at`-th time that `moment` comes, then die as by `kill -9`."""
    torch.set_num_threads(1)
    count = 0

    def maybe_die() -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    if moment == "loading":  # of what stays in memory
        keep = transmix.training.loop.ResidentLoader.epoch
        transmix.training.loop.ResidentLoader.epoch = lambda *about: (maybe_die(), keep(*about))[1]
    run = trainer(root, out, checkpoint_seconds=seconds, **(RESIDENT if resident else {}))
    if moment == "step":
        step = run._train_step
        run._train_step = lambda *batch: (step(*batch), maybe_die())
    elif moment == "evaluation":
        evaluate = run._evaluate
        run._evaluate = lambda: (maybe_die(), evaluate())[1]
    elif moment == "half a checkpoint":
        real = torch.save

        def torn(state, file):
            whole = io.BytesIO()
            real(state, whole)
            file.write(whole.getvalue()[:1000])
            maybe_die()
            file.write(whole.getvalue()[1000:])

        torch.save = torn
    elif moment == "weights":
        save = transmix.training.loop.save_weights
        transmix.training.loop.save_weights = lambda *args: (maybe_die(), save(*args))
    run.run()


def assert_same_bytes(out: Path, whole: Path) -> None:
    for name in (WEIGHTS, EMA_WEIGHTS, LOG, RIGHT):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize(
    ("moment", "at"),
    [("step", 1), ("step", 2), ("step", 5), ("half a checkpoint", 4), ("evaluation", 2), ("weights", 2)],
)
def test_killed_and_started_again_it_ends_with_the_same_bytes(shared_folders, uninterrupted, tmp_path, moment, at):
    assert in_child(train_and_die, shared_folders, tmp_path, moment, at) == -signal.SIGKILL
    assert not (tmp_path / EMA_WEIGHTS).exists()
    assert_same_bytes(trained(tmp_path, shared_folders), uninterrupted)


def test_a_run_says_where_it_continues(shared_folders, tmp_path, capsys):
    assert in_child(train_and_die, shared_folders, tmp_path, "step", 2) == -signal.SIGKILL
    run = trainer(shared_folders, tmp_path)
    where = f"in epoch {run.epoch + 1}, after step {run.batch} of {run.batches.steps}"
    assert (run.epoch, run.batch) != (0, 0)
    assert capsys.readouterr().err == f"{tmp_path.name}: continues {where}\n"


def train_resident(root: Path, out: Path) -> None:
    train(root, out, **RESIDENT)


@pytest.fixture(scope="module")
def uninterrupted_resident(shared_folders, tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("uninterrupted_resident"), shared_folders, train_resident)


@pytest.mark.parametrize(
    ("moment", "at", "seconds"),
    [
        ("loading", 1, 60.0),  # nothing is written yet
        ("step", 2, 60.0),  # nothing is saved yet
        ("step", 5, 60.0),  # between the saves before two evaluations
        ("step", 5, 0.0),
        ("half a checkpoint", 2, 60.0),
        ("evaluation", 3, 60.0),
    ],
)
def test_so_does_a_run_whose_images_stay_in_memory(
    shared_folders, uninterrupted_resident, tmp_path, moment, at, seconds
):
    """Also where it was killed twice at that moment, and images are cropped and mirrored."""
    first, _ = (in_child(train_and_die, shared_folders, tmp_path, moment, at, seconds, True) for _ in range(2))
    assert first == -signal.SIGKILL
    assert_same_bytes(trained(tmp_path, shared_folders, train_resident), uninterrupted_resident)


def test_a_log_that_was_lost_or_changed_is_written_again(shared_folders, uninterrupted, tmp_path):
    """Also where nothing is left to train: the record holds the log's sum."""
    whole = (uninterrupted / LOG).read_bytes()
    shutil.copy(uninterrupted / STATE, tmp_path)
    for content in (None, b"", whole[:-100], whole.replace(b'"epoch": 1', b'"epoch": 9'), b"\xff of another run"):
        (tmp_path / LOG).unlink(missing_ok=True)
        if content is not None:
            (tmp_path / LOG).write_bytes(content)
        trainer(shared_folders, tmp_path).run()
        assert (tmp_path / LOG).read_bytes() == whole
        assert (tmp_path / WEIGHTS).read_bytes() == (uninterrupted / WEIGHTS).read_bytes()


def test_killed_three_times_in_a_row(shared_folders, uninterrupted, tmp_path):
    for _ in range(3):
        assert in_child(train_and_die, shared_folders, tmp_path, "step", 3) == -signal.SIGKILL
    state = load_state(tmp_path / STATE)  # the third step of each session died with it, the first two were kept
    assert (state["epoch"], state["batch"]) == (1, 3)
    assert in_child(train, shared_folders, tmp_path) == 0
    assert (tmp_path / EMA_WEIGHTS).read_bytes() == (uninterrupted / EMA_WEIGHTS).read_bytes()
