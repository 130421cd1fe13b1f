"""Fine-tuning by two processes: they stop and save together, continue to the same bytes, and count an image once.

Importing mmdet takes seconds, so that two processes go through all scenarios, one after the other.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from tunings import classifier_weights, detection, segmentation, small_scenes, view

from downstream.draws import SeedIteration
from downstream.fine_tune import WEIGHTS, _in_per_cent, _runnable, fine_tune
from downstream.openmmlab import prepare, quiet
from downstream.resume import STATE
from downstream.runner import DeviceRunner, synchronise_on_cpu
from transmix.common.errors import exit_on_user_error
from transmix.common.runtime import Runtime
from transmix.common.stopping import Stopped
from transmix.training.checkpoints import load_state, read_checkpoint
from transmix.training.distributed import Processes, join_processes

forkserver = multiprocessing.get_context("forkserver")
KINDS = {
    "segmentation": partial(segmentation, batch_size=4),
    "detection": partial(detection, family="xcit"),  # which has BatchNorm
}
STOP_AT = {"segmentation": 3, "detection": 5}  # the latter is the second iteration of the second epoch
ODD = (1, 3)  # images of the two processes, for BatchNorm


def signals_itself(signum: int, at: int, victim: int) -> None:
    """From now on process `victim` sends itself a signal before an iteration."""
    seed = SeedIteration.before_train_iter

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if (runner.iter, runner.rank) == (at, victim):
            os.kill(os.getpid(), signum)
        seed(self, runner, batch_idx, data_batch)

    SeedIteration.before_train_iter = before_train_iter


def one_kind(kind: str, scenes: Path, weights: Path, out: Path, processes: Processes) -> dict[str, Any]:
    """Run it whole; and again, stopped by a signal to the second process and continued."""

    def run(name: str) -> dict[str, float | None]:
        config = KINDS[kind](scenes)
        start = weights if kind == "segmentation" else None
        return fine_tune(config, start, view(scenes, config), out / name, 7, processes, Runtime(0)).metrics

    found: dict[str, Any] = {"metrics": run(f"{kind}-whole")}
    undisturbed = SeedIteration.before_train_iter
    signals_itself(signal.SIGUSR1, STOP_AT[kind], victim=1)
    try:
        run(f"{kind}-stopped")
    except Stopped as stopped:
        found |= {"status": stopped.status, "line": str(stopped)}
    SeedIteration.before_train_iter = undisturbed
    processes.wait()
    state = load_state(out / f"{kind}-stopped" / STATE)
    found |= {"epoch": state["epoch"], "iteration": state["iteration"]}
    processes.wait()
    return found | {"again": run(f"{kind}-stopped")}


def normalised(x: torch.Tensor, norm: nn.Module) -> list[torch.Tensor]:
    """Output, gradients and statistics of a BatchNorm that has seen `x`."""
    x = x.clone().requires_grad_()
    y = norm(x)
    (y.square() * torch.arange(3.0).view(1, 3, 1, 1)).cumsum(3).sum().backward()
    return [y.detach(), x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]


def batch() -> torch.Tensor:
    return torch.randn(sum(ODD), 3, 5, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1


def own_part(processes: Processes) -> list[torch.Tensor]:
    norm = nn.Sequential(nn.SyncBatchNorm(3))
    synchronise_on_cpu(norm)
    return normalised(batch().split(ODD)[processes.rank], norm[0])


def member(rank: int, port: int, scenes: Path, weights: Path, out: Path) -> None:
    """One of two processes, as torchrun would start it."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    os.environ["OMP_NUM_THREADS"] = "1"  # as torchrun sets it: mmengine warns where nobody did
    multiprocessing.set_start_method(None, force=True)
    os.chdir(out)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    sys.stderr = open(out / f"stderr{rank}", "w")  # noqa: SIM115 (open until the process ends)

    def main() -> None:
        with join_processes("cpu") as processes:
            found = {kind: one_kind(kind, scenes, weights, out, processes) for kind in KINDS}
            (out / f"found{rank}.json").write_text(json.dumps(found))
            torch.save(own_part(processes), out / f"norm{rank}.pt")
            signals_itself(signal.SIGKILL, 2, victim=1)
            config = KINDS["segmentation"](scenes)
            fine_tune(config, weights, view(scenes, config), out / "dies", 7, processes, Runtime(0))

    exit_on_user_error(main)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return small_scenes(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def two(scenes, tmp_path_factory) -> tuple[Path, list[int]]:
    """The folder in which two processes went through everything, and their exit statuses."""
    out = tmp_path_factory.mktemp("two")
    weights = classifier_weights(out)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    members = [forkserver.Process(target=member, args=(rank, port, scenes, weights, out)) for rank in range(2)]
    for process in members:
        process.start()
    for process in members:
        process.join(240)
    statuses = [process.exitcode for process in members]
    for process in members:
        process.kill()
    return out, statuses


def found(out: Path, rank: int, kind: str) -> dict[str, Any]:
    return json.loads((out / f"found{rank}.json").read_text())[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_to_one_stops_both_and_the_run_continues_to_the_same_bytes(two, kind):
    out, _ = two
    first, second = (found(out, rank, kind) for rank in range(2))
    done = STOP_AT[kind] + 1
    total, epoch = {"segmentation": (6, 0), "detection": (8, 1)}[kind]
    assert first["line"] == (
        f"{kind}-stopped stopped in iteration {done} of {total}: run the same command again to continue"
    )
    assert second["line"] == ""
    for one in (first, second):
        assert (one["status"], one["epoch"], one["iteration"]) == (75, epoch, done)
        assert one["again"] == one["metrics"] == first["metrics"]
    whole, stopped = (read_checkpoint(out / f"{kind}-{name}" / WEIGHTS).tensors for name in ("whole", "stopped"))
    assert whole.keys() == stopped.keys()
    assert all(torch.equal(tensor, stopped[key]) for key, tensor in whole.items())


@pytest.mark.parametrize("kind", KINDS)
def test_every_validation_image_counts_once(two, scenes, tmp_path, kind):
    """Two processes share three images; the model is asked again by one."""
    out, _ = two
    state = read_checkpoint(out / f"{kind}-whole" / WEIGHTS).tensors
    config, alone = KINDS[kind](scenes), Processes(0, 1, torch.device("cpu"))
    prepare(config.default_scope)
    with quiet():
        settings = _runnable(config, None, view(scenes, config), tmp_path, 7, alone, Runtime(0))
        runner = DeviceRunner.from_cfg(settings)
        runner.model.load_state_dict(state)
        assert _in_per_cent(runner.test(), config.default_scope) == found(out, 0, kind)["metrics"]
    assert not list(out.glob(".*"))  # mmengine could leave its exchange there


def test_batch_norm_is_that_of_the_whole_batch(two):
    out, _ = two
    parts = [torch.load(out / f"norm{rank}.pt", weights_only=True) for rank in range(2)]
    (y, x_grad, weight_grad, bias_grad, mean, var) = normalised(batch(), nn.BatchNorm2d(3))
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(torch.cat([part[0] for part in parts]), y, **close)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]), x_grad, **close)
    torch.testing.assert_close(parts[0][2] + parts[1][2], weight_grad, **close)
    torch.testing.assert_close(parts[0][3] + parts[1][3], bias_grad, **close)
    for part in parts:
        torch.testing.assert_close(part[4:], [mean, var], **close)


def test_one_dies_and_the_other_ends_with_one_line(two):
    out, statuses = two
    assert statuses == [1, -signal.SIGKILL]
    *continued, last = (out / "stderr0").read_text().splitlines()
    assert continued == [
        "segmentation-stopped: continues after iteration 4 of 6",
        "detection-stopped: continues after iteration 6 of 8",
    ]
    assert last == (
        "error: process 0 of 2 lost another one: see that one's message, then run the same command again; "
        "it continues from the last checkpoint"
    )
