"""The trainer: it learns, keeps to its recipe, and what it writes can be used."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from recipes import small_recipe
from training_runs import ALONE, train, trainer

import transmix.training.epoch_sums
import transmix.training.loop
from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.data.sources.folders import read_folders
from transmix.models import create_model
from transmix.training.checkpoints import load_model, load_state, save_weights
from transmix.training.log import NAME as LOG
from transmix.training.loop import EMA_WEIGHTS, STATE, WEIGHTS, Trainer


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
