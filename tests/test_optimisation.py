"""Gradient accumulation, gradient scaling, layer decay, BatchNorm under accumulation, memory formats."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from recipes import small_recipe
from timm.task import ClassificationTask
from torch import nn
from torch.utils.data import DataLoader

from transmix.common.runtime import Runtime
from transmix.common.stopping import outlive_a_stop
from transmix.data.sources.folders import read_folders
from transmix.models import create_model
from transmix.training.batchnorm import RunningStatistics
from transmix.training.checkpoints import load_state
from transmix.training.distributed import Processes
from transmix.training.loop import STATE, Trainer
from transmix.training.optimisation import Optimisation

ALONE = Processes(0, 1, torch.device("cpu"))
CALM = {"drop_path": 0.0, "random_erasing": 0.0, "mix_prob": 0.0, "ema_decay": None, "report_ema": False}


def trained(root: Path, out: Path, runtime: Runtime | None = None, **settings) -> Trainer:
    run = Trainer(
        small_recipe(**settings), read_folders(root), out, 0, ALONE, runtime or Runtime(0, 60.0, progress=False)
    )
    run.run()
    return run


def weights(run: Trainer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in run.model.parameters()])


def test_accumulated_gradients_are_those_of_the_whole_batch(shared_folders, tmp_path):
    """Nothing mixed and nothing random in the model, so only the order of summation differs."""
    whole = trained(shared_folders, tmp_path / "whole", epochs=1, **CALM)
    parts = trained(shared_folders, tmp_path / "parts", epochs=1, micro_batch=4, **CALM)
    assert len(parts.batches.mine) == 4
    # AdamW divides by the gradient's size: where that is all rounding error, the steps differ, by 3 x lr at most
    close = (weights(whole) - weights(parts)).abs() < 1e-5
    assert close.float().mean() > 0.99
    assert parts.history[0]["loss"] == pytest.approx(whole.history[0]["loss"], abs=1e-5)


def test_the_gradient_is_of_the_mean_over_micro_batches():
    images, gradients = torch.randn(8, 3), []
    for accumulated in (1, 4):
        model = nn.Linear(3, 1, bias=False)
        recipe = small_recipe(ema_decay=None, report_ema=False)
        optimisation = Optimisation(ClassificationTask(model, verbose=False), recipe, 1, accumulated)
        optimisation.begin_step(0, 0)
        for part in images.chunk(accumulated):
            optimisation.backward(model(part).mean())
        gradients.append(model.weight.grad)
    torch.testing.assert_close(gradients[0], images.mean(0, keepdim=True))
    torch.testing.assert_close(gradients[1], gradients[0])


def test_fp16_scales_gradients_and_resumes_its_scale(shared_folders, tmp_path):
    half = trained(shared_folders, tmp_path / "half", precision="fp16", epochs=2, **CALM)
    full = trained(shared_folders, tmp_path / "full", epochs=2, **CALM)
    assert half.history[-1]["loss"] == pytest.approx(full.history[-1]["loss"], rel=0.02)
    scaler = load_state(tmp_path / "half" / STATE)["optimisation"]["scaler"]
    assert scaler["scale"] == 65536.0
    assert scaler["_growth_tracker"] == 6
    again = Trainer(half.recipe, read_folders(shared_folders), tmp_path / "half", 0, ALONE, half.runtime)
    assert again.optimisation.scaler.state_dict() == scaler


def test_an_overflow_skips_the_step_and_lowers_the_scale():
    model = nn.Linear(3, 2)
    task = ClassificationTask(model, verbose=False)
    optimisation = Optimisation(task, small_recipe(precision="fp16", ema_decay=None, report_ema=False), 1, 1)
    before = model.weight.detach().clone()
    optimisation.begin_step(0, 0)
    optimisation.backward((model(torch.ones(1, 3)) * torch.tensor(float("inf"))).sum())
    optimisation.end_step(0)
    assert torch.equal(model.weight, before)
    assert optimisation.scaler.get_scale() == 32768.0


@pytest.mark.parametrize("name", ["deit", "xcit", "cait", "pvt"])
def test_layer_decay_falls_from_the_head_to_the_patches(name):
    names = {"deit": "deit_micro_tiny_patch8_64", "xcit": "xcit_micro_tiny_patch8_64"}
    names |= {"cait": "cait_micro_xxs_patch8_64", "pvt": "pvt_micro_tiny_patch2_64"}
    model = create_model(names[name], num_classes=3)
    task = ClassificationTask(model, verbose=False)
    recipe = small_recipe(layer_decay=0.5, ema_decay=None, report_ema=False, warmup_epochs=0, lr=1e-3)
    optimisation = Optimisation(task, recipe, 1, 1)
    optimisation.begin_step(0, 0)
    rates = {id(p): group["lr"] for group in optimisation.optimizer.param_groups for p in group["params"]}
    by_name = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert by_name["head.weight"] == optimisation.lr == pytest.approx(1e-3)
    first = min(by_name.values())
    assert first <= 1e-3 * 0.5**4
    assert all(rate == first for name, rate in by_name.items() if name.startswith(("patch_embed.", "patch_embed1.")))


def test_running_statistics_are_the_mean_of_what_each_micro_batch_makes_of_them():
    norm = nn.BatchNorm1d(1, momentum=0.25)
    statistics = RunningStatistics(norm, ALONE, micro_batches=2)
    statistics.begin_step()
    for values in ([1.0, 3.0], [5.0, 9.0]):  # means 2 and 7, unbiased variances 2 and 8
        normalised = norm(torch.tensor(values)[:, None])
        torch.testing.assert_close(normalised.flatten(), torch.tensor([-1.0, 1.0]), atol=1e-4, rtol=0)
        statistics.end_micro_batch()
    statistics.end_step()
    assert norm.running_mean.item() == pytest.approx(0.25 * 4.5)
    assert norm.running_var.item() == pytest.approx(0.75 + 0.25 * 5)
    assert norm.num_batches_tracked == 1


def test_channels_last_changes_rounding_only(shared_folders, tmp_path):
    xcit = {"model": "xcit_micro_tiny_patch8_64", "epochs": 1, **CALM}
    plain = trained(shared_folders, tmp_path / "plain", **xcit)
    other = trained(shared_folders, tmp_path / "other", Runtime(0, 60.0, channels_last=True, progress=False), **xcit)
    assert other.model.patch_embed.proj[2][0].weight.is_contiguous(memory_format=torch.channels_last)
    assert other.history[0]["loss"] == pytest.approx(plain.history[0]["loss"], abs=1e-4)


class _WorkersOwnNumber(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        if index == 1:
            for signum in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
                os.kill(os.getpid(), signum)
        return index


def test_a_loader_worker_outlives_the_signals_that_stop_a_job():
    loader = DataLoader(_WorkersOwnNumber(), num_workers=1, worker_init_fn=outlive_a_stop)
    assert [int(item) for item in loader] == [0, 1, 2, 3]
