"""Runs of one make that are forked from one process: the same bits, statuses and signals as runs of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from machines import standing_for_make
from studies import study

from experiments.shared import OWNER, Ended, run_forked
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


def start(
    folder: Path,
    results: str,
    name: str,
    *options: str,
    owner: int | str | None = None,
    environment: dict[str, str] | None = None,
) -> subprocess.Popen:
    given = ("--scale", "smoke", "--results", str(folder / results), "--data", str(folder / "data"), *options)
    environment = {key: value for key, value in os.environ.items() if key != OWNER} | (environment or {})
    if owner is not None:
        environment[OWNER] = str(owner)
    return subprocess.Popen(
        [sys.executable, "-m", "experiments", "run", name, *given],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background ignores it
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
    (tmp_path / f"transmix-{os.getuid()}-1").mkdir(mode=0o755)
    with pytest.raises(UserError, match="is not a folder of yours alone"):
        run_forked("train", 1)
    (tmp_path / f"transmix-{os.getuid()}-2").touch()
    with pytest.raises(UserError, match="is not a folder of yours alone"):
        run_forked("train", 2)


# without the trainings that it is about, which it says
REFUSED = "occlusion.deit_t.transmix.seed0"


def test_a_temporary_folder_may_have_a_long_name(folder, tmp_path):
    """A socket's path may have 107 bytes."""
    place = tmp_path / ("long" * 30)
    with standing_for_make(place) as owner:
        process = start(folder, "long", REFUSED, owner=owner, environment={"TMPDIR": str(place)})
        status, _, err = finish(process)
        assert (place / f"transmix-{os.getuid()}-{owner}" / "classified").is_socket()
    assert (status, "has no record yet" in err, err.count("\n")) == (2, True, 1)


def servers(owner: int) -> list[int]:
    """The ids of the servers of a make, which lead sessions; their runs look the same."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            named = b"experiments.shared" in words and str(owner).encode() in words
            found += [leader] if named and (leader := int(process.name)) == os.getsid(leader) else []
    return found


def kill_server(owner: int) -> None:
    end = time.monotonic() + 60
    while not (found := servers(owner)) and time.monotonic() < end:
        time.sleep(0.05)
    for process in found:
        os.kill(process, signal.SIGKILL)


def test_a_server_that_is_killed_while_it_loads_is_one_line_and_the_next_command_starts_another(folder):
    with standing_for_make() as owner:
        asking = [start(folder, f"loading{number}", REFUSED, owner=owner) for number in range(2)]
        kill_server(owner)
        ended = [finish(process) for process in asking]
        line = "error: the process that this make's runs are started from has ended: run make again\n"
        assert (2, "", line) in ended
        assert "has no record yet" in finish(start(folder, "loading", REFUSED, owner=owner))[2]


def test_a_server_that_is_killed_during_a_run_lets_it_write_its_state(folder):
    """And leaves a folder, which the next make's server removes."""
    sockets = Path(tempfile.gettempdir())
    with standing_for_make(leaves=True) as owner:
        process = start(folder, "lost", "table1.deit_t.baseline.seed0", *LONG, owner=owner)
        wait_for(folder / "lost", process)
        (lock,) = (folder / "lost").rglob(".lock")
        kill_server(owner)
        status, _, err = finish(process)
        assert (status, "run make again" in err) == (2, True)
        assert not lock.exists(), "the run has ended, too"
        assert list((folder / "lost").rglob("state.pt"))
    left = sockets / f"transmix-{os.getuid()}-{owner}"
    assert left.is_dir()
    with standing_for_make() as other:
        finish(start(folder, "lost", REFUSED, owner=other))
        assert not left.exists()


def test_a_command_that_is_killed_while_the_server_loads_does_not_take_the_server_along(folder):
    with standing_for_make() as owner:
        first = start(folder, "gone", REFUSED, owner=owner)
        while not servers(owner):
            time.sleep(0.05)
        second = start(folder, "stays", REFUSED, owner=owner)
        time.sleep(1)
        first.kill()
        finish(first)
        assert "has no record yet" in finish(second)[2]


EARLY = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (75, "stopped"), signal.SIGUSR1: (75, "stopped")}
AGAIN = "run the same command again to continue"


@pytest.mark.parametrize("signum", EARLY)
def test_a_signal_that_comes_right_after_the_fork_is_the_runs(folder, owner, monkeypatch, capfd, signum):
    given = ["--scale", "smoke", "--results", str(folder / f"early{signum}"), "--data", str(folder / "data")]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["experiments", "run", "table1.deit_t.baseline.seed0", *given])
    # it comes as soon as the command can pass it on
    monkeypatch.setattr(signal, "signal", lambda number, pass_on: number == signum and pass_on(number, None))
    with pytest.raises(Ended) as ended:
        run_forked("train", owner)
    status, word = EARLY[signum]
    assert (ended.value.status, capfd.readouterr().err) == (status, f"{word}: {AGAIN}\n")


def test_a_signal_that_comes_while_the_server_loads_ends_the_command(folder):
    with standing_for_make() as owner:
        started = [start(folder, "early", "table1.deit_t.baseline.seed0", owner=owner) for _ in EARLY]
        end = time.monotonic() + 60
        while not ((found := servers(owner)) and all(map(has_socket, started))) and time.monotonic() < end:
            time.sleep(0.05)
        (server,) = found
        os.kill(server, signal.SIGSTOP)  # it loads for as long as this takes
        try:
            time.sleep(1)  # they have asked, and wait
            for process, signum in zip(started, EARLY, strict=True):
                process.send_signal(signum)
            statuses = [process.wait(timeout=30) for process in started]
        finally:
            os.kill(server, signal.SIGCONT)
        said = [finish(process)[2] for process in started]
    assert list(zip(statuses, said, strict=True)) == [(status, f"{word}: {AGAIN}\n") for status, word in EARLY.values()]


def has_socket(process: subprocess.Popen) -> bool:
    links = []
    with suppress(OSError):
        links = [os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()]
    return any(link.startswith("socket:") for link in links)


@pytest.mark.parametrize("owner", ["", "make", "-1", "999999999"])
def test_a_run_that_no_living_make_asked_for_is_not_shared(folder, owner):
    status, _, err = finish(start(folder, "none", REFUSED, owner=owner))
    assert (status, "has no record yet" in err, err.count("\n")) == (2, True, 1)
