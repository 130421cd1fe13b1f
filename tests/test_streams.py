"""What commands print arrives whatever the terminal's encoding, and however Python was started."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMMANDS = ["list", "ledger", "plan --scale smoke", "plan --scale paper --rows deit_s", "plan --help"]


def experiments(command: str, **environment: str) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "experiments", *command.split()]
    return subprocess.run(words, capture_output=True, env=os.environ | environment)


@pytest.mark.parametrize("command", COMMANDS)
def test_output_without_unicode_or_docstrings_is_the_same_output(command):
    whole = experiments(command, PYTHONIOENCODING="utf-8")
    assert (whole.returncode, whole.stderr) == (0, b"")
    plain = experiments(command, PYTHONIOENCODING="ascii")
    assert (plain.returncode, plain.stderr) == (0, b"")
    assert plain.stdout == whole.stdout.decode().encode("ascii", "backslashreplace")
    bare = experiments(command, PYTHONOPTIMIZE="2")
    assert (bare.returncode, bare.stderr) == (0, b"")


def test_a_name_that_is_not_utf8_is_shown_escaped():
    done = experiments("plan --scale smoke --imagenet /nowhere/\udcff", PYTHONIOENCODING="utf-8")
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: no such data folder: /nowhere/\\udcff")
    assert done.stderr.count(b"\n") == 1


def test_output_that_cannot_be_written_is_one_line():
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "experiments", "plan", "--scale", "smoke"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "error: cannot write a file: no space left on device: mend that, then run the same command again\n"
    )
