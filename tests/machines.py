"""Machines for tests: a disk without room, a folder that another process uses, a make that runs are forked for."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLDER = """
import os, sys, time
from pathlib import Path
from transmix.common.locks import held
with held(Path(sys.argv[1])):
    if os.fork() == 0:  # as a loader process, which outlives a killed parent for a while
        time.sleep(60)
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """This process may make no file larger than so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen]:
    """A process that holds the lock of `folder`, and has a child."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder)], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert owner.stdout.readline() == b"held\n"
        yield owner
    finally:
        os.killpg(owner.pid, signal.SIGKILL)
        owner.wait()
        owner.stdout.close()


@contextmanager
def standing_for_make(temporary: Path | None = None, leaves: bool = False) -> Iterator[int]:
    """The id of a process that stands for make: while it lives, so do the servers that runs are forked from.

    Args:
        temporary: where the sockets lie, made here, if it is not the usual place.
        leaves: whether sockets are left over, as a server was killed.
    """
    if temporary is not None:
        temporary.mkdir()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1200)"])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()
    sockets = Path(temporary or tempfile.gettempdir(), f"transmix-{os.getuid()}-{process.pid}")
    end = time.monotonic() + 60
    while not leaves and sockets.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert leaves or not sockets.exists()  # the servers went with it, and took them along
