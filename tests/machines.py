"""Machines in trouble, for tests: a disk without room, a folder that another process uses."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
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
