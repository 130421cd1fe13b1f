"""Several processes: the same result as one, a clear end when one dies, and a checkpoint when asked to stop."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from recipes import small_recipe

from transmix.common.errors import UserError, exit_on_user_error
from transmix.common.runtime import Runtime
from transmix.common.stopping import stop_when_asked
from transmix.data.sources.folders import read_folders
from transmix.training.checkpoints import load_state
from transmix.training.distributed import join_processes, slurm_step, world_size
from transmix.training.log import NAME as LOG
from transmix.training.loop import EMA_WEIGHTS, STATE, WEIGHTS, Trainer

spawn = multiprocessing.get_context("forkserver")
spawn.set_forkserver_preload(["transmix.training.loop"])

RIGHT = "right.json"  # written by `member`: which validation images the run reports to be right about
STEPS = "steps.pt"  # written by `watched`: the loss sums and all weights and buffers after each step


def watched(run: Trainer) -> Trainer:
    """`run`, keeping what each step left."""
    step, seen = run._train_step, []

    def remember(batches) -> None:
        step(batches)
        state = [tensor.flatten().double() for tensor in run.model.state_dict().values()]
        seen.append(torch.cat([run.processes.total(run.sums.total.clone()), *state]))
        if run.processes.leads:
            torch.save(torch.stack(seen), run.out / STEPS)

    run._train_step = remember
    return run


def dying(at: int, signum: int, victim: int) -> Callable[[Trainer], Trainer]:
    """A change to a trainer: process `victim` sends itself a signal after its `at`-th step."""

    def change(run: Trainer) -> Trainer:
        step, count = run._train_step, 0

        def maybe_signal(batches) -> None:
            nonlocal count
            step(batches)
            count += 1
            if count == at and run.processes.rank == victim:
                os.kill(os.getpid(), signum)

        run._train_step = maybe_signal
        return run

    return change


def without_room(at: int) -> Callable[[Trainer], Trainer]:
    """A change to a trainer: after the `at`-th step its first process may write no file larger than 4 KiB."""

    def change(run: Trainer) -> Trainer:
        step, count = run._train_step, 0

        def fill(batches) -> None:
            nonlocal count
            step(batches)
            count += 1
            if count == at and run.processes.leads:
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

        run._train_step = fill
        return run

    return change


def slow(seconds: float) -> Callable[[Trainer], Trainer]:
    """A change to a trainer: a step takes at least so long."""

    def change(run: Trainer) -> Trainer:
        step = run._train_step
        run._train_step = lambda batches: (time.sleep(seconds), step(batches))
        return run

    return change


def member(rank, world, port, root, out, change, seconds, settings) -> None:
    """What one process of a run does, as ``python -m experiments run`` would under torchrun."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    sys.stderr = open(out / f"stderr{rank}", "w")  # noqa: SIM115 (open until the process ends)

    def main() -> None:
        with join_processes("cpu") as processes:
            run = Trainer(
                small_recipe(**settings), read_folders(root), out, 0, processes, Runtime(0, seconds, progress=False)
            )
            trained = (change[0](*change[1:])(run) if change else run).run()
            if processes.leads:
                (out / RIGHT).write_text(json.dumps(trained.right.tolist()))

    exit_on_user_error(main)


def watch() -> Callable[[Trainer], Trainer]:
    return watched


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def run(world: int, root: Path, out: Path, change: tuple = (), seconds: float = 60.0, **settings) -> list[int]:
    """Exit statuses of a run on `world` processes."""
    out.mkdir(exist_ok=True)
    port = free_port()
    members = [
        spawn.Process(target=member, args=(rank, world, port, root, out, change, seconds, settings))
        for rank in range(world)
    ]
    for process in members:
        process.start()
    for process in members:
        process.join(60)
    statuses = [process.exitcode for process in members]
    for process in members:
        process.kill()
    return statuses


@pytest.fixture(scope="module")
def uninterrupted(shared_folders, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("two")
    assert run(2, shared_folders, out, (watch,)) == [0, 0]
    return out


def same_bytes(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in (WEIGHTS, EMA_WEIGHTS, LOG, RIGHT))


def counted(out: Path) -> tuple[list[bool], list[dict[str, list[int]]], list[dict[str, float]]]:
    """What must not depend on processes at all: which images a run was right about; lambdas and accuracy by epoch."""
    history = [json.loads(line) for line in (out / LOG).read_text().splitlines()]
    return json.loads((out / RIGHT).read_text()), *([row[key] for row in history] for key in ("lambda", "accuracy"))


@pytest.mark.parametrize(
    "settings", [{}, {"model": "xcit_micro_tiny_patch8_64"}, {"mixer": "smmix"}], ids=["deit", "xcit", "smmix"]
)
def test_two_processes_take_the_steps_of_one(shared_folders, tmp_path, settings):
    """Loss, weights, BatchNorm statistics (XCiT), step by step; drop path, erasing, clipping, all mixes, a head."""
    settings = settings | {"micro_batch": 4, "epochs": 2}
    for world in (1, 2):
        assert run(world, shared_folders, tmp_path / str(world), (watch,), **settings) == [0] * world
    one, two = (torch.load(tmp_path / str(world) / STEPS, weights_only=True) for world in (1, 2))
    assert len(one) == 6
    assert (one[1:] - one[:-1]).abs().amax(1).min() > 1e-4  # each step does change something
    assert (one - two).abs().max() < 1e-5
    right, lambdas, accuracies = counted(tmp_path / "1")
    assert counted(tmp_path / "2") == (right, lambdas, accuracies)
    assert len(right) == accuracies[-1]["images"] == 15
    assert sum(lambdas[0]["label"] + lambdas[1]["label"]) in range(4, 97, 4)  # whole micro-batches of 6 steps


def test_without_a_micro_batch_each_process_mixes_its_own_part(shared_folders, uninterrupted, tmp_path):
    assert run(1, shared_folders, tmp_path / "one", (watch,), micro_batch=8) == [0]
    one, two = (torch.load(folder / STEPS, weights_only=True) for folder in (tmp_path / "one", uninterrupted))
    assert (one - two).abs().max() < 1e-5


@pytest.mark.parametrize("victim", [0, 1])
def test_one_dies_all_end_and_the_run_continues_to_the_same_bytes(shared_folders, uninterrupted, tmp_path, victim):
    start = time.monotonic()
    statuses = run(2, shared_folders, tmp_path, (dying, 4, signal.SIGKILL, victim), seconds=0.0)
    assert time.monotonic() - start < 60
    assert statuses[victim] == -signal.SIGKILL
    assert statuses[1 - victim] == 1
    line = (tmp_path / f"stderr{1 - victim}").read_text()
    assert line.startswith(f"error: process {1 - victim} of 2 lost another one")
    assert line.count("\n") == 1
    assert run(2, shared_folders, tmp_path) == [0, 0]
    assert same_bytes(tmp_path, uninterrupted)


def test_a_full_disk_ends_all_in_one_line_and_the_run_continues_to_the_same_bytes(
    shared_folders, uninterrupted, tmp_path
):
    assert run(2, shared_folders, tmp_path, (without_room, 4), seconds=0.0) == [2, 2]
    path, before = tmp_path / STATE, load_state(tmp_path / STATE)
    line = rf"error: cannot write {path}: file too large, [\d,]+ bytes are needed: make room, then run the same .*\n"
    assert re.fullmatch(line, (tmp_path / "stderr0").read_text())
    assert (tmp_path / "stderr1").read_text() == ""
    assert (before["epoch"], before["batch"]) == (0, 3)  # that of the end of the first epoch's training
    assert not list(tmp_path.glob(".*.tmp"))
    assert run(2, shared_folders, tmp_path) == [0, 0]
    assert same_bytes(tmp_path, uninterrupted)


def launcher(port, root, out) -> None:
    """As torchrun: starts the processes and waits."""
    fork = multiprocessing.get_context("fork")
    members = [fork.Process(target=member, args=(rank, 2, port, root, out, (slow, 1.0), 0.0, {})) for rank in range(2)]
    for process in members:
        process.start()
    (out / "pids").write_text(" ".join(str(process.pid) for process in members))
    for process in members:
        process.join()


def runs(pid: str) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_processes_whose_launcher_was_killed_save_and_end(shared_folders, uninterrupted, tmp_path):
    starter = spawn.Process(target=launcher, args=(free_port(), shared_folders, tmp_path))
    starter.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / STATE).exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    starter.kill()
    starter.join()
    killed, pids = time.monotonic(), (tmp_path / "pids").read_text().split()
    while any(map(runs, pids)):
        assert time.monotonic() < killed + 30
        time.sleep(0.1)
    assert "run the same command again to continue\n" in (tmp_path / "stderr0").read_text()
    assert load_state(tmp_path / STATE)["epoch"] == 0 or load_state(tmp_path / STATE)["batch"] < 3
    assert run(2, shared_folders, tmp_path) == [0, 0]
    assert same_bytes(tmp_path, uninterrupted)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1])
def test_preempted_it_writes_its_state_and_asks_to_be_started_again(shared_folders, uninterrupted, tmp_path, signum):
    """The signal reaches one process only; both stop at that step."""
    assert run(2, shared_folders, tmp_path, (dying, 5, signum, 1)) == [75, 75]
    state = load_state(tmp_path / STATE)
    assert (state["epoch"], state["batch"]) == (1, 2)
    line = (tmp_path / "stderr0").read_text()
    assert "stopped in epoch 2, step 2 of 3: run the same command again to continue\n" in line
    assert run(2, shared_folders, tmp_path) == [0, 0]
    assert same_bytes(tmp_path, uninterrupted)


def signal_myself(signum: int) -> None:
    stop_when_asked()
    os.kill(os.getpid(), signum)
    time.sleep(10)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1])
def test_a_command_that_has_nothing_to_save_ends_with_the_same_status(signum):
    child = spawn.Process(target=signal_myself, args=(signum,))
    child.start()
    child.join(60)
    assert child.exitcode == 75


def test_control_c_keeps_the_work_too(shared_folders, tmp_path):
    assert run(1, shared_folders, tmp_path, (dying, 2, signal.SIGINT, 0)) == [130]
    assert load_state(tmp_path / STATE)["batch"] == 2


def test_a_run_may_continue_on_fewer_processes(shared_folders, uninterrupted, tmp_path):
    assert run(2, shared_folders, tmp_path, (dying, 5, signal.SIGTERM, 0), micro_batch=8) == [75, 75]
    assert run(1, shared_folders, tmp_path, (watch,), micro_batch=8) == [0]
    rest, whole = (torch.load(folder / STEPS, weights_only=True) for folder in (tmp_path, uninterrupted))
    assert (rest - whole[5:]).abs().max() < 1e-5
    assert counted(tmp_path) == counted(uninterrupted)


TORCHRUN = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
SRUN = {
    "SLURM_JOB_ID": "123456",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NUM_TASKS": "16",
    "SLURM_PROCID": "9",
    "SLURM_LOCALID": "1",
    "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.7",
}


def test_sruns_environment_is_read_as_torchruns():
    assert slurm_step(SRUN) == {
        "RANK": "9",
        "WORLD_SIZE": "16",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "10.0.0.7",
        "MASTER_PORT": str(20_000 + 123458 % 40_000),
    }
    assert slurm_step(SRUN | {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"})["MASTER_ADDR"] == "node1"


def test_outside_srun_and_under_torchrun_slurm_is_left_alone():
    batch_script = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "16", "SLURM_PROCID": "0"}
    assert slurm_step({}) == slurm_step(batch_script) == slurm_step(SRUN | {"WORLD_SIZE": "8"}) == {}


@pytest.mark.parametrize(
    "left",
    [
        {"WORLD_SIZE": "2"},
        {"WORLD_SIZE": "many"},
        {"WORLD_SIZE": ""},
        {"WORLD_SIZE": "-1"},
        TORCHRUN | {"RANK": "2"},
        TORCHRUN | {"MASTER_PORT": "http"},
        TORCHRUN | {"MASTER_ADDR": ""},
    ],
)
def test_variables_of_a_launcher_that_are_left_over_are_one_line(monkeypatch, left):
    for name in (*TORCHRUN, "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(UserError, match=r"is set, RANK, .* do not go with it: .* or unset WORLD_SIZE"),
        join_processes("cpu"),
    ):
        pass


@pytest.mark.parametrize("left", [{"SLURM_STEP_NUM_TASKS": "16"}, SRUN | {"SLURM_JOB_ID": "x"}])
def test_variables_of_srun_that_are_left_over_are_one_line(left):
    with pytest.raises(UserError, match=r"^SLURM_STEP_NUM_TASKS=16 is set, .*: start the run by srun, or unset"):
        slurm_step(left)


def test_torchruns_variables_are_read_and_a_world_of_one_needs_none():
    assert world_size(TORCHRUN) == 2
    assert world_size({}) == world_size({"WORLD_SIZE": "1"}) == 1
