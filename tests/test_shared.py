"""Runs of one make that are forked from one process: the same bits, statuses and signals as runs of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from machines import standing_for_make
from test_experiments import study

from experiments.shared import OWNER, run_forked
from transmix.common.errors import UserError

ROOT = Path(__file__).parent.parent
LONG = ("--set", "epochs=5000")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def owner():
    with standing_for_make() as process:
        yield process


def start(folder: Path, results: str, name: str, *options: str, owner: int | None = None) -> subprocess.Popen:
    given = ("--scale", "smoke", "--results", str(folder / results), "--data", str(folder / "data"), *options)
    environment = {key: value for key, value in os.environ.items() if key != OWNER}
    if owner is not None:
        environment[OWNER] = str(owner)
    return subprocess.Popen(
        [sys.executable, "-m", "experiments", "run", name, *given],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=150)
    return process.returncode, out, err


def made(folder: Path, results: str, name: str) -> tuple[dict, dict, bytes]:
    run = study("--scale", "smoke", "--results", str(folder / results)).find(name)
    record = json.loads((run.folder / "record.json").read_text())
    metrics = {key: value for key, value in record["metrics"].items() if key != "peak_memory_mib"}
    return metrics, record["environment"], (run.folder / "weights.safetensors").read_bytes()


def test_a_run_is_the_same_alone_and_after_another(folder, owner):
    names = ("table1.deit_t.baseline.seed0", "table1.deit_t.transmix.seed0")
    for name in names:
        status, out, err = finish(start(folder, "forked", name, owner=owner))
        assert (status, name in out) == (0, True), err
    assert finish(start(folder, "alone", names[1]))[0] == 0
    assert made(folder, "forked", names[1]) == made(folder, "alone", names[1])
    status, out, _ = finish(start(folder, "forked", names[1], owner=owner))
    assert (status, "done" in out) == (0, True)


def test_what_a_run_says_and_how_it_ends_reaches_who_asked(folder, owner):
    status, out, err = finish(start(folder, "forked", "occlusion.deit_t.transmix.seed0", *LONG, owner=owner))
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_to_the_command_is_one_to_the_run(folder, owner, signum, status):
    process = start(folder, f"stopped{status}", "table1.deit_t.baseline.seed0", *LONG, owner=owner)
    wait_for(folder / f"stopped{status}", process)
    process.send_signal(signum)
    found, _, err = finish(process)
    assert (found, "run the same command again to continue" in err) == (status, True)
    assert list((folder / f"stopped{status}").rglob("state.pt"))


def test_a_killed_command_takes_its_run_along(folder, owner):
    process = start(folder, "killed", "table1.deit_t.baseline.seed0", *LONG, owner=owner)
    wait_for(folder / "killed", process)
    process.kill()
    process.communicate()
    (lock,) = (folder / "killed").rglob(".lock")
    run = int(lock.read_text().split()[1])
    end = time.monotonic() + 60
    while Path(f"/proc/{run}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{run}").exists()


def wait_for(results: Path, process: subprocess.Popen) -> None:
    """Until the run has begun to train."""
    end = time.monotonic() + 120
    while not list(results.rglob("log.jsonl")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_folder_that_others_can_enter_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv(OWNER, "1")
    (tmp_path / f"transmix-{os.getuid()}-1").mkdir(mode=0o755)
    with pytest.raises(UserError, match="is not a folder of yours alone"):
        run_forked("train")
