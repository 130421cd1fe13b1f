"""The trainer: killed anywhere and started again, it ends with the same bytes; what it writes can be used."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from recipes import small_recipe

import transmix.training.loop
from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.data.sources.folders import read_folders
from transmix.models import create_model
from transmix.training.checkpoints import load_model, load_state, save_state, save_weights
from transmix.training.distributed import Processes
from transmix.training.log import NAME as LOG
from transmix.training.loop import EMA_WEIGHTS, STATE, WEIGHTS, Trainer

# a clean server with torch imported: children start in no time and may be killed like any process
spawn = multiprocessing.get_context("forkserver")
spawn.set_forkserver_preload(["transmix.training.loop"])

ALONE = Processes(0, 1, torch.device("cpu"))
RESIDENT = {"resident": True, "rand_augment": None, "crop_scale": (0.3, 1.0), "hflip": 0.5}
RIGHT = "right"  # written by `train`: which images the run reports to be right about


def trainer(root: Path, out: Path, checkpoint_seconds: float = 60.0, **settings) -> Trainer:
    runtime = Runtime(workers=0, checkpoint_seconds=checkpoint_seconds, progress=False)
    return Trainer(small_recipe(**settings), read_folders(root), out, 0, ALONE, runtime)


def train(root: Path, out: Path, **kwargs) -> None:
    torch.set_num_threads(1)
    trained = trainer(root, out, **kwargs).run()
    (out / RIGHT).write_text(str(trained.right.tolist()))


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


def in_child(target, *args) -> int:
    child = spawn.Process(target=target, args=args)
    child.start()
    child.join(120)
    return child.exitcode


def trained(out: Path, root: Path, target=train) -> Path:
    assert in_child(target, root, out) == 0
    return out


def assert_same_bytes(out: Path, whole: Path) -> None:
    for name in (WEIGHTS, EMA_WEIGHTS, LOG, RIGHT):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.fixture(scope="module")
def uninterrupted(shared_folders, tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("uninterrupted"), shared_folders)


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


def test_a_finished_run_knows_which_images_it_was_right_about(shared_folders, tmp_path):
    run = trainer(shared_folders, tmp_path, epochs=2, lr=2e-3, report_ema=False)
    trained = run.run()
    assert 0 < trained.right.sum() < 15
    assert 100 * int(trained.right.sum()) / 15 == trained.accuracy.top1
    run.save()
    again = trainer(shared_folders, tmp_path, epochs=2, lr=2e-3, report_ema=False).run()  # has nothing left to train
    assert torch.equal(again.right, trained.right)
    assert again.accuracy == trained.accuracy


def test_another_seed_gives_other_weights(shared_folders, uninterrupted, tmp_path):
    run = Trainer(small_recipe(), read_folders(shared_folders), tmp_path, 1, ALONE, Runtime(0, progress=False))
    run.run()
    assert (tmp_path / WEIGHTS).read_bytes() != (uninterrupted / WEIGHTS).read_bytes()


def test_it_learns_and_logs_every_epoch(shared_folders, tmp_path):
    run = trainer(shared_folders, tmp_path, epochs=6, lr=2e-3, report_ema=False, rand_augment=None)
    trained = run.run()
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(6))
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert trained.accuracy.top1 == rows[-1]["accuracy"]["top1"] >= 60  # three classes that differ in brightness
    assert trained.accuracy.images == 15
    assert any(row["label_shift"] > 0 for row in rows)


def test_it_evaluates_where_it_is_asked_to_and_at_the_end(shared_folders, tmp_path):
    often, seldom = (
        trainer(shared_folders, tmp_path / str(every), epochs=5, evaluate_every=every).run() for every in (1, 2)
    )
    rows = [json.loads(line) for line in (tmp_path / "2" / LOG).read_text().splitlines()]
    assert [row["epoch"] for row in rows if "accuracy" in row] == [1, 3, 4]
    assert [row["epoch"] for row in rows if "lambda" in row] == [1, 3, 4]
    assert seldom.accuracy == often.accuracy  # evaluating draws nothing
    assert (tmp_path / "2" / WEIGHTS).read_bytes() == (tmp_path / "1" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("name", [WEIGHTS, EMA_WEIGHTS])
def test_weights_load_into_plain_timm(uninterrupted, name):
    mine, about = load_model(uninterrupted / name)
    plain = timm.create_model("deit_micro_tiny_patch8_64", num_classes=3, checkpoint_path=str(uninterrupted / name))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(plain.eval()(images), mine(images))
    assert about["classes"] == ["class0", "class1", "class2"]


def test_the_moving_average_is_not_the_last_step(uninterrupted):
    raw, ema = (load_model(uninterrupted / name)[0].state_dict() for name in (WEIGHTS, EMA_WEIGHTS))
    assert all((raw[key] - ema[key]).abs().max() > 0 for key in raw)


def test_the_schedule_is_the_published_one(shared_folders, tmp_path):
    """After 20 warm-up epochs of 300 the rate is the cosine's at 20, .000989, not the peak (method facts, B8)."""
    run = trainer(shared_folders, tmp_path, epochs=300, cooldown_epochs=10, warmup_epochs=20, lr=1e-3)
    rates = []
    for epoch in (0, 10, 20, 299, 309):
        run.optimisation.scheduler.step(epoch)
        rates.append(run.optimisation.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-6, 5.005e-4, 9.89e-4, 1.0e-5, 1e-5], rel=1e-2)


def test_tables_and_class_token_are_not_decayed(shared_folders, tmp_path):
    groups = trainer(shared_folders, tmp_path).optimisation.optimizer.param_groups
    free = [group for group in groups if group["weight_decay"] == 0]
    model = timm.create_model("deit_micro_tiny_patch8_64", num_classes=3)
    exempt = {n for n, p in model.named_parameters() if p.ndim <= 1 or n in ("pos_embed", "cls_token")}
    assert sum(len(group["params"]) for group in free) == len(exempt)


def test_a_state_of_another_recipe_is_refused(shared_folders, tmp_path):
    trainer(shared_folders, tmp_path).save()
    with pytest.raises(UserError, match="made by another recipe"):
        trainer(shared_folders, tmp_path, lr=5e-4)


def test_a_state_of_an_older_version_is_refused(shared_folders, tmp_path):
    """It lacks what the rest of the run must report."""
    trainer(shared_folders, tmp_path).save()
    torch.save(load_state(tmp_path / STATE) | {"format": 1}, tmp_path / STATE)
    with pytest.raises(UserError, match=r"state\.pt has another format: start this run afresh with --restart"):
        trainer(shared_folders, tmp_path)


@pytest.mark.parametrize("damage", [lambda data: data[:500], lambda data: b"", lambda data: b"text" * 99])
def test_a_corrupted_state_is_named(shared_folders, tmp_path, damage):
    trainer(shared_folders, tmp_path).save()
    (tmp_path / STATE).write_bytes(damage((tmp_path / STATE).read_bytes()))
    with pytest.raises(UserError, match=r"state\.pt is not readable: start this run afresh with --restart"):
        trainer(shared_folders, tmp_path)


@pytest.mark.parametrize("damage", [lambda data: data[:500], lambda data: b""])
def test_corrupted_weights_are_named(uninterrupted, tmp_path, damage):
    (tmp_path / WEIGHTS).write_bytes(damage((uninterrupted / WEIGHTS).read_bytes()))
    with pytest.raises(UserError, match=r"weights\.safetensors is not readable"):
        load_model(tmp_path / WEIGHTS)


def test_a_diverging_run_stops_in_one_line_and_keeps_its_last_good_state(shared_folders, tmp_path):
    run = trainer(shared_folders, tmp_path)
    run.save()
    run.sums.total[0] = float("nan")
    with pytest.raises(UserError, match="not finite in epoch 1"):
        run.save()
    assert torch.isfinite(load_state(tmp_path / STATE)["sums"]).all()


def test_it_saves_before_an_evaluation_else_by_the_clock(shared_folders, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(transmix.training.loop, "save_state", lambda path, state: saved.append(state["epoch"]))
    train(shared_folders, tmp_path / "seldom", evaluate_every=2)
    assert saved == [1, 2]
    saved.clear()
    train(shared_folders, tmp_path / "always", evaluate_every=2, checkpoint_seconds=0)
    assert saved == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_run_that_diverges_between_evaluations_stops_at_once(shared_folders, tmp_path, monkeypatch):
    run = trainer(shared_folders, tmp_path, evaluate_every=3)
    sums = transmix.training.epoch_sums.micro_batch_sums
    monkeypatch.setattr(transmix.training.epoch_sums, "micro_batch_sums", lambda *given: sums(*given) * float("inf"))
    with pytest.raises(UserError, match="not finite in epoch 1"):
        run.run()
    assert run.history == []


def test_weights_of_another_model_are_refused(tmp_path):
    model = create_model("deit_micro_small_patch8_64", num_classes=3)
    about = {"model": "deit_micro_tiny_patch8_64", "num_classes": 3, "model_args": {}}
    save_weights(model, tmp_path / WEIGHTS, about)
    with pytest.raises(UserError, match=r"weights\.safetensors does not fit deit_micro_tiny_patch8_64"):
        load_model(tmp_path / WEIGHTS)
    save_weights(model, tmp_path / WEIGHTS, {})
    with pytest.raises(UserError, match="does not say which model it holds"):
        load_model(tmp_path / WEIGHTS)


def test_one_flipped_bit_of_a_state_is_noticed(shared_folders, tmp_path):
    """At 200 places all over the file; where nothing lies but padding, the state is the one that was written."""
    trainer(shared_folders, tmp_path).save()
    path = tmp_path / STATE
    whole, data = load_state(path), path.read_bytes()
    noticed, rng = 0, np.random.default_rng(0)
    for place in [*rng.integers(len(data), size=150), *range(len(data) - 500, len(data), 10)]:
        path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        try:
            found = load_state(path)
        except UserError:
            noticed += 1
            continue
        assert equal(found, whole)
    assert noticed > 150


def equal(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": -5}, "epoch is -5, the run has 3"),
        ({"epoch": 99}, "epoch is 99, the run has 3"),
        ({"batch": 99}, "batch is 99, the run has 3"),
        ({"batch": "1"}, "batch is '1'"),
        ({"seconds": float("nan")}, "nan seconds"),
        ({"history": [{}]}, "history is 1, the run has 0"),
        ({"history": None}, "has no len"),
        ({"epoch": 1, "history": [{"epoch": 7}]}, "1 lines of history"),
        ({"epoch": 3, "history": [{"epoch": number} for number in range(3)]}, "the last epoch was not evaluated"),
        ({"model": {}}, "Missing key"),
        ({"optimisation": {}}, "optimizer"),
        ({"sums": torch.zeros(1, 2)}, "does not fit this run"),
        ({"sums": 3}, "does not fit this run"),
    ],
)
def test_a_state_that_does_not_fit_is_one_line(shared_folders, tmp_path, change, message):
    trainer(shared_folders, tmp_path).save()
    save_state(tmp_path / STATE, load_state(tmp_path / STATE) | change)
    with pytest.raises(UserError) as caught:
        trainer(shared_folders, tmp_path)
    assert message in str(caught.value)
    assert str(caught.value).endswith("start this run afresh with --restart")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["identity", "epoch", "batch", "model", "optimisation", "sums", "history", "seconds"])
def test_a_state_that_lacks_something_is_one_line(shared_folders, tmp_path, name):
    trainer(shared_folders, tmp_path).save()
    state = load_state(tmp_path / STATE)
    del state[name]
    save_state(tmp_path / STATE, state)
    with pytest.raises(UserError, match="start this run afresh with --restart"):
        trainer(shared_folders, tmp_path)


def test_moments_of_other_shapes_are_one_line(shared_folders, tmp_path):
    run = trainer(shared_folders, tmp_path)
    for group in run.optimisation.optimizer.param_groups:
        for parameter in group["params"]:
            zero = torch.zeros_like(parameter)
            run.optimisation.optimizer.state[parameter] = {
                "step": torch.tensor(1.0),
                "exp_avg": zero,
                "exp_avg_sq": zero,
            }
    run.save()
    state = load_state(tmp_path / STATE)
    state["optimisation"]["optimizer"]["state"][0]["exp_avg"] = torch.zeros(3)
    save_state(tmp_path / STATE, state)
    with pytest.raises(UserError, match=r"exp_avg has shape \(3,\), its parameter"):
        trainer(shared_folders, tmp_path)
