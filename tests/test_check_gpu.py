"""The checks of a GPU, by the CPU against itself: they run, and a difference is reported."""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import replace

import pytest
import torch

from experiments import check_gpu, check_gpus
from robustness import check_gpu as sweep_check
from transmix.common.errors import UserError


def run(only: str | None, device: str = "cpu") -> None:
    check_gpu.run(argparse.Namespace(only=only, device=device))


def test_the_cpu_is_as_the_cpu(capsys):
    run("deit_t.fp32,deit_t.bf16,xcit_t.channels_last,sweep")
    out = capsys.readouterr().out
    assert "DeiT-T fp32" in out
    assert "fp32, channels last" in out
    assert "sweep: 100.0 %" in out
    assert "4 of 4 checks are as expected" in out


def test_a_step_that_is_off_is_reported(monkeypatch):
    right = check_gpu.step_on

    def wrong(recipe, device, compiled=False, last=False):
        step = right(recipe, device, compiled, last)
        return replace(step, gradient=step.gradient.roll(1)) if recipe.precision == "bf16" else step

    monkeypatch.setattr(check_gpu, "step_on", wrong)
    with pytest.raises(UserError, match=r"1 of 2 checks are not as expected: deit_t.bf16: .* gradient by "):
        run("deit_t.bf16,deit_t.fp32")


def test_answers_that_differ_are_reported(monkeypatch):
    right = sweep_check.answers
    calls = iter((True, False))
    monkeypatch.setattr(sweep_check, "answers", lambda *about: right(*about) ^ next(calls))
    with pytest.raises(UserError, match=r"0.0 % of a sweep's answers are the CPU's"):
        run("sweep")


def test_a_recipe_that_learns_nothing_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(check_gpu, "STEPS", 3)
    monkeypatch.setattr(check_gpu, "BATCH", 2)
    run("lab.deit_t.transmix")
    assert "lab.deit_t.transmix" in capsys.readouterr().out
    monkeypatch.setattr(check_gpu, "training_step", lambda *about: lambda step: (0, torch.tensor(2.0)))
    with pytest.raises(UserError, match=r"the loss goes from 2\.000 to 2\.000 in 3 steps on one batch"):
        run("lab.deit_t.transmix")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", "it said nothing"),
        ("  \n\n", "it said nothing"),
        ("Traceback\nKeyError: 1\n", "KeyError: 1"),
        ("error: no room: make some\nFailures:\n=====\n", "error: no room: make some"),
    ],
)
def test_a_run_of_two_processes_that_fails_is_one_line_whatever_it_said(tmp_path, monkeypatch, said, line):
    failed = subprocess.CompletedProcess([], 9, stdout="", stderr=said)
    monkeypatch.setattr(check_gpus.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError) as caught:
        check_gpus.losses(tmp_path, 2, torch.device("cpu"))
    assert str(caught.value) == f"a run with 2 processes failed: {line} (exit status 9)"


def test_without_a_gpu_it_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no GPU that torch can use: on one this compares"):
        run(None, "cuda")


def test_a_fine_tuning_step_runs_in_half_precision(capsys):
    run("ade20k/segmenter_linear_deit")
    assert "bf16" in capsys.readouterr().out
