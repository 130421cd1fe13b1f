"""Two processes, a GPU each, against one: a run of scale smoke ends with the same losses."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from experiments.check_paper import Part
from experiments.records import NAME, read_record
from transmix.common.errors import UserError

RUN, CLOSE = "table1.deit_t.transmix.seed0", 1e-3
HEADING = "\nTwo processes against one: how far the losses of a run of scale smoke are off."


def part(device: torch.device) -> Part:
    """One check; with one GPU it says so."""
    return Part(HEADING, {"two-processes": lambda: check(device)})


def check(device: torch.device) -> str:
    """Train twice; returns a line.

    Raises:
        UserError: a run fails, or the losses differ.
    """
    if device.type == "cuda" and torch.cuda.device_count() < 2:
        return "two-processes: there is one GPU, nothing to compare"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        one, two = (losses(Path(scratch), count, device) for count in (1, 2))
    off = max(abs(a - b) / b for a, b in zip(two, one, strict=True))
    if off > CLOSE:
        raise UserError(f"the losses of two processes are off by {off:.2g}, more than {CLOSE:g}")
    return f"two-processes: {off:.1e} ({time.monotonic() - began:.0f} s)"


def losses(scratch: Path, processes: int, device: torch.device) -> list[float]:
    """The loss of each epoch."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    results = scratch / f"results{processes}"
    options = ["--scale", "smoke", "--results", str(results), "--data", str(scratch / "data")]
    command = [*launch, "-m", "experiments", "run", RUN, *options, "--device", device.type]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"a run with {processes} processes failed: {_reason(done)}")
    (record,) = results.glob(f"smoke/{RUN}-*/{NAME}")
    return [epoch["loss"] for epoch in read_record(record.parent).history]


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """The run's own line, which torchrun's report follows; else the last that was said, and how it ended."""
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    own = [line for line in said if line.startswith(UserError.prefix)]
    return (own or said or ["it said nothing"])[-1] + f" (exit status {done.returncode})"
