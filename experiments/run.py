"""Carry out one run of a plan: prepare its data, call the module of its kind, write its record."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from experiments.dense import DenseSource, DenseSpec, embedded_source
from experiments.estimate import Assumptions, estimate
from experiments.kinds import kinds
from experiments.machine import processor_name, read_machine
from experiments.records import (
    NAME,
    DataInfo,
    Environment,
    Record,
    UnreadableRecord,
    digest_of,
    read_record,
    rehearse,
    write_record,
)
from experiments.runs import Data, Run
from experiments.study import Study
from transmix.common import plugins
from transmix.common.files import sha256
from transmix.common.locks import clear
from transmix.common.runtime import Runtime
from transmix.data.scenes import check_complete
from transmix.data.sources import ImageSource, read_source
from transmix.training.distributed import Processes, join_processes

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow")
MADE_BY = ("transmix", "experiments", "downstream", "robustness", "benchmarks", "requirements.lock")  # of this checkout


@dataclass(frozen=True)
class Outcome:
    """What a kind of run returns: its metrics, and the files it wrote into the run's folder."""

    metrics: dict[str, Any]
    files: tuple[str, ...] = ()
    wall_seconds: float | None = None  # where the run knows better than the clock of this session
    extra: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)  # versions beside those that every run has
    operators: str | None = None  # what computed mmcv's operators, where they were used


def run(study: Study, args: argparse.Namespace) -> None:
    """Carry out the run named on the command line; a run that is done is left alone.

    Raises:
        UserError: whatever is wrong with names, data, records or checkpoints, in one line.
    """
    task = study.find(args.name)
    with join_processes(args.device) as processes:
        workers = default_workers(processes) if args.workers is None else args.workers
        runtime = Runtime(workers, args.checkpoint_seconds, args.compile, args.channels_last)
        if not args.restart and is_done(task, processes):
            return
        for need in task.needs:
            need.record()
        check(task)
        source = prepare(task.data, processes)
        with processes.holding(task.folder):
            if args.restart:
                processes.lead(lambda: clear(task.folder))
            elif is_done(task, processes):  # by another command, between that look and the lock
                return
            record = carry_out(task, source, processes, runtime)
        if record is not None:
            planned = study.made(study.plan())
            done = sum((run.folder / NAME).exists() for run in planned)
            took = f"{record.wall_seconds:.0f} s; {done} of {len(planned)} runs done"
            print(f"{task.name}: {headline(record.metrics) or 'measured'} ({took})")


def check(task: Run) -> None:
    """Have the run's settings looked at by the module that carries it out, where that has a function ``check``."""
    module = importlib.import_module(kinds()[task.kind].execute)
    if hasattr(module, "check"):
        module.check(task)


def carry_out(task: Run, source: ImageSource | DenseSource, processes: Processes, runtime: Runtime) -> Record | None:
    """Run it and write its record, which is rehearsed before anything takes time; the leading process returns it."""
    clock, used, record = time.monotonic(), cpu_seconds(), blank_record(task, source, processes)
    processes.lead(lambda: rehearse(task.folder, record))
    if processes.leads:
        print(f"{task.name}: {task.folder}", file=sys.stderr)
    outcome = importlib.import_module(kinds()[task.kind].execute).execute(task, source, processes, runtime)
    if not processes.leads:
        return None
    session = time.monotonic() - clock
    seconds = session if outcome.wall_seconds is None else outcome.wall_seconds
    packages = record.environment.packages | outcome.packages
    record = replace(
        record,
        metrics=outcome.metrics,
        environment=replace(record.environment, packages=packages, operators=outcome.operators),
        files={name: sha256(task.folder / name) for name in outcome.files},
        wall_seconds=round(seconds, 1),
        extra=record.extra | outcome.extra | cost_of(task, processes, cpu_seconds() - used, seconds - session),
    )
    write_record(task.folder, record)
    return record


def cost_of(task: Run, processes: Processes, used: float, before: float) -> dict[str, Any]:
    """What the plan expected of a run in CPU seconds, and what it took, for its record.

    Nothing where no rate of this machine is kept, on a GPU or with several processes, and where the run was continued:
    the processes that began it are gone. What was used until now, to load the libraries, is part of both.
    """
    machine = read_machine(task.results)
    found = estimate(task, Assumptions(machine=machine)) if machine else None
    if not found or not found.cpu_seconds or processes.device.type == "cuda" or processes.world > 1 or before > 5:
        return {}
    return {"cost": {"estimated": round(found.cpu_seconds, 1), "cpu_seconds": round(machine.start + used, 1)}}


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended."""
    every = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in every)


def blank_record(task: Run, source: ImageSource | DenseSource, processes: Processes) -> Record:
    """All that a run's record says before anything is measured."""
    return Record(
        run=task.info,
        settings=task.settings,
        data=describe_data(task.data, source),
        metrics={},
        environment=environment(processes),
        files={},
        started=now(),
        wall_seconds=0.0,
        extra={"made_from": {need.id: digest_of(need.record()) for need in task.needs}} if task.needs else {},
    )


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def is_done(task: Run, processes: Processes) -> bool:
    """Whether the run has a record, which is said; an unreadable one is an error that says how to redo it."""
    done = []

    def look() -> None:
        try:
            done.append(read_record(task.folder) is not None)
        except UnreadableRecord:
            task.record()  # raises with the remedy
            raise
        if done[0]:
            print(f"{task.name}: done, {task.folder}")

    processes.lead(look)
    return bool(processes.largest(int(any(done))))


def prepare(data: Data, processes: Processes) -> ImageSource | DenseSource:
    """Make sure that the data is there and whole."""
    data.check_given()
    if data.scenes is not None:
        from transmix.data.scenes.write import write_scenes

        if processes.leads:
            write_scenes(data.scenes, data.folder)
        processes.wait()
        manifest = check_complete(data.folder, data.scenes)
        if isinstance(data.source, DenseSpec):
            return embedded_source(manifest)
    reader = data.source.read if isinstance(data.source, DenseSpec) else partial(read_source, data.source)
    source = reader(data.folder) if processes.leads else None
    for note in source.notes if source else ():
        print(f"note: {note}", file=sys.stderr)
    processes.wait()  # what the first process has looked at and indexed, the others find
    return source or reader(data.folder)


def default_workers(processes: Processes) -> int:
    """Loader processes: none where the model computes on the same cores, else this process's share of them."""
    cores = os.cpu_count() or 1
    return 0 if processes.device.type == "cpu" else max(1, min(12, cores // processes.world))


def describe_data(data: Data, source: ImageSource | DenseSource) -> DataInfo:
    """The data of a run in its record: name, source, sizes and fingerprint."""
    return DataInfo(
        name=data.name,
        embedded=data.scenes is not None,
        source=data.source.title,
        classes=source.num_classes,
        images=source.counts,
        fingerprint=source.fingerprint,
    )


def environment(processes: Processes) -> Environment:
    """What it runs with; a kind of run adds the packages that only it uses."""
    cuda = processes.device.type == "cuda"
    return Environment(
        commit=commit(),
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES},
        device=torch.cuda.get_device_name() if cuda else f"CPU ({platform.machine()})",
        threads=torch.get_num_threads(),
        processes=processes.world,
        processor=processor_name() or None,
    )


def commit() -> str:
    """The git commit of this code; ``unknown`` outside a checkout.

    With ``+`` where what can make a number was changed since, or where plug-ins, which are in no commit, were loaded.
    """
    git = ["git", "-C", str(Path(__file__).resolve().parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        status = [*git, "status", "--porcelain", "--", *(f":(top){name}" for name in MADE_BY)]
        changed = subprocess.run(status, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() or os.environ.get(plugins.VARIABLE) else "")


def headline(metrics: dict[str, Any]) -> str:
    """The metrics that are single numbers, in one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items() if isinstance(value, int | float))
