"""Where a record comes from, in words: data, machine, code, time."""

from __future__ import annotations

from experiments.records import DataInfo, Environment
from reports.analysis.words import plural

COMMIT_DIGITS = 10


def data_set(data: DataInfo) -> str:
    """A record's data: ``imagenet (class folders): 1,000 classes, 1,281,167 training and 50,000 validation images``."""
    images = data.images
    return (
        f"{data.name} ({data.source}): {data.classes:,} classes, {images['train']:,} training and "
        f"{images['val']:,} validation images"
    )


def machine(environment: Environment) -> str:
    """A record's environment but its commit: device, processes, processor, threads, Python and packages."""
    versions = {"Python": environment.python, **environment.packages}
    parts = [
        machine_name(environment),
        *filter(None, [environment.processor]),
        f"{plural(environment.threads, 'thread')} a process",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        *([f"operators: {environment.operators}"] if environment.operators else []),
    ]
    return "; ".join(parts)


def machine_name(environment: Environment) -> str:
    """A record's device, and the number of processes if there were several: ``NVIDIA H100 × 8``."""
    return environment.device + (f" × {environment.processes}" if environment.processes > 1 else "")


def short_commit(commit: str) -> str:
    """The first digits of a commit, and its ``+``."""
    return commit.rstrip("+")[:COMMIT_DIGITS] + ("+" if commit.endswith("+") else "")


def duration(seconds: float) -> str:
    """A wall time for people: ``8.4 s``, ``12 min 05 s``, ``3 h 07 min``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
