"""The processes of a run: one, or as many as torchrun or Slurm's srun started."""

from __future__ import annotations

import gc
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from transmix.common.errors import CommandEnd, UserError
from transmix.common.locks import held

_LOOK_SECONDS, _GRACE_SECONDS = 2.0, 30.0  # between looks at the launcher; to write a checkpoint once it is gone


class LostProcess(CommandEnd):
    """Another process of the run died, so this one cannot go on."""

    prefix = "error: "
    at_once = True  # the GPU may still wait for the other one


@dataclass(frozen=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: 0 is the one that writes files and prints.
        world: how many there are.
        device: what this one computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def largest(self, number: int) -> int:
        """The largest of all processes' numbers; every process waits here for the others, whatever their GPUs do."""
        if self.world == 1:
            return number
        numbers = torch.tensor(number)
        dist.all_reduce(numbers, dist.ReduceOp.MAX)
        return int(numbers)

    def wait(self) -> None:
        """Until every process is here."""
        self.largest(0)

    def lead(self, action: Callable[[], None]) -> None:
        """Let the first process do something for all; where it meets a `UserError`, all end, and it alone speaks."""
        error = None
        if self.leads:
            try:
                action()
            except UserError as met:
                error = met
        if self.largest(int(error is not None)):
            raise error or UserError("")

    @contextmanager
    def holding(self, *folders: Path) -> Iterator[None]:
        """The folders of runs, held for these processes alone (see `transmix.common.locks.held`)."""
        with ExitStack() as stack:
            self.lead(lambda: [stack.enter_context(held(folder)) for folder in folders])
            yield

    def peak_memory_mib(self) -> float:
        """The most memory that this process has used: of its GPU, or of the machine where it computes on the CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


@contextmanager
def join_processes(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that torchrun or srun describes in the environment; alone where there is neither.

    Args:
        device: ``auto`` (CUDA if there is any), ``cpu`` or ``cuda``.

    Raises:
        UserError: there is no GPU, or the environment describes no process among several.
        LostProcess: when a process that this one talks to is gone.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here: give --device cpu, or leave it out")
    os.environ.update(slurm_step(os.environ))
    world = world_size(os.environ)
    if "WORLD_SIZE" in os.environ:
        end_with_the_launcher()
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    if world == 1:
        yield Processes(0, 1, torch.device(device))
        return
    # small numbers travel between the hosts, gradients between the GPUs
    dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    rank = dist.get_rank()
    try:
        yield Processes(rank, world, torch.device(device))
    except RuntimeError as error:
        if not _lost_connection(error):
            raise
        raise LostProcess(
            f"process {rank} of {world} lost another one: see that one's message, then run the same command again; "
            "it continues from the last checkpoint"
        ) from error
    # DDP must not be the last to hold the process group: its destructor would join a thread of gloo's that may be
    # waiting for the interpreter's lock, which the destructor holds (seen with torch 2.11). So whoever used DDP lets go
    # of it, and what is left in reference cycles goes now.
    gc.collect()
    dist.destroy_process_group()  # not after an error: it would wait for processes that may be gone


def end_with_the_launcher() -> None:
    """From now on this process ends soon after its parent, be that torchrun or srun's: none trains on unseen.

    First as if it were asked to stop, so that a training writes its state; it has half a minute for that. (A launcher
    that starts a script which starts Python is not seen: there the parent is the script.)
    """
    parent = os.getppid()

    def watch() -> None:
        pause = threading.Event().wait
        while os.getppid() == parent:
            pause(_LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        pause(_GRACE_SECONDS)
        os.write(2, b"error: what started this process is gone: run the same command again, it continues\n")
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def world_size(environment: Mapping[str, str]) -> int:
    """How many processes torchrun's variables describe; 1 where there are none.

    Raises:
        UserError: they are not all there, or no numbers: left over from something else.
    """
    world = environment.get("WORLD_SIZE", "1")
    if world == "1":
        return 1
    numbers = [environment.get(name, "") for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")]
    known = environment.get("MASTER_ADDR") and all(number.isdecimal() for number in numbers)
    if not known or not int(numbers[0]) < int(world):
        raise UserError(
            f"WORLD_SIZE={world} is set, RANK, MASTER_ADDR and MASTER_PORT do not go with it: start the run by "
            "torchrun or srun, or unset WORLD_SIZE"
        )
    return int(world)


def slurm_step(environment: Mapping[str, str]) -> dict[str, str]:
    """What torchrun would have set, from what srun sets; nothing under torchrun, and nothing outside srun.

    Rank 0 is taken to run where srun was called from, as in a batch script; elsewhere set ``MASTER_ADDR``.

    Raises:
        UserError: they are not all there, or no numbers: left over from something else.
    """
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "1")
    if "WORLD_SIZE" in environment or tasks == "1":
        return {}
    try:
        number = int(environment["SLURM_JOB_ID"]) + int(environment["SLURM_STEP_ID"])
        here = {"MASTER_ADDR": environment["SLURM_LAUNCH_NODE_IPADDR"], "MASTER_PORT": str(20_000 + number % 40_000)}
        return {
            **{name: environment.get(name, value) for name, value in here.items()},
            "WORLD_SIZE": tasks,
            "RANK": environment["SLURM_PROCID"],
            "LOCAL_RANK": environment["SLURM_LOCALID"],
        }
    except (KeyError, ValueError):
        raise UserError(
            f"SLURM_STEP_NUM_TASKS={tasks} is set, what srun sets beside it is not: start the run by srun, or unset "
            "SLURM_STEP_NUM_TASKS"
        ) from None


def _lost_connection(error: RuntimeError) -> bool:
    # gloo raises a bare RuntimeError that begins with the line of its source
    return isinstance(error, dist.DistError) or "gloo" in str(error)
