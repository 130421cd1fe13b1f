"""What a record holds, with types that are checked when one is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

DEPTH = 24  # of lists and objects in one another; what runs write has 6
LARGEST = 2**63  # whole numbers below it are numbers to every program that reads a record


@dataclass(frozen=True)
class RunInfo:
    """Which run a record is of; the attributes mean what those of `experiments.runs.Run` mean.

    Attributes:
        needs: ids of the runs that it was made from.
        part: empty where the table has one run of a row, method and seed.
    """

    id: str
    name: str
    table: str
    kind: str
    scale: str
    row: str
    part: str = field(default="", kw_only=True)
    method: str
    seed: int
    command: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class DataInfo:
    """What a run ran on.

    Attributes:
        name: part of the run's identity.
        embedded: whether the suite makes it.
        source: how its files are laid out, for people.
        classes: how many.
        images: how many, by split.
        fingerprint: of its content or its listing.
    """

    name: str
    embedded: bool
    source: str
    classes: int
    images: dict[str, int]
    fingerprint: str

    @property
    def identity(self) -> str:
        """What tells it from other data: of a set that the suite makes its name, which its settings determine.

        Its fingerprint may hold the rounding of the CPU that drew it: of a few pixels in one image of a hundred.
        """
        return self.name if self.embedded else self.fingerprint


@dataclass(frozen=True)
class Environment:
    """What a run ran with.

    Attributes:
        commit: of this code, with ``+`` where it was changed since; ``unknown`` outside a checkout.
        python: version.
        packages: versions by name.
        device: name of the accelerator, or ``CPU (x86_64)``.
        processor: the CPU's model name, beside an accelerator too; None in older records and where no name is known.
        threads: of a process.
        processes: that shared the work.
        operators: what computed mmcv's operators, where they were used.
    """

    commit: str
    python: str
    packages: dict[str, str]
    device: str
    threads: int
    processes: int
    operators: str | None = None
    processor: str | None = None

    @property
    def computed_on(self) -> str:
        """What its numbers were computed on: ``NVIDIA H100``, ``CPU (x86_64) AMD EPYC 9554 64-Core Processor``."""
        return f"{self.device} {self.processor}" if self.device.startswith("CPU") and self.processor else self.device


@dataclass(frozen=True)
class Record:
    """A record; the attributes are the keys of the file.

    Attributes:
        extra: what a kind of run adds, by key, in the file's order.
    """

    run: RunInfo
    settings: dict[str, Any]
    data: DataInfo
    metrics: dict[str, Any]
    environment: Environment
    files: dict[str, str]
    started: str
    wall_seconds: float
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def history(self) -> list[dict[str, Any]]:
        """Epochs of a training; empty for other kinds."""
        return self.extra.get("history", [])

    @property
    def evaluated(self) -> list[dict[str, Any]]:
        """Those of them that ended with an evaluation."""
        return [epoch for epoch in self.history if "accuracy" in epoch]

    @property
    def weights(self) -> str:
        """File of the weights that a training reports, in its folder; for a user's own model, the path of its own."""
        found = self.extra.get("weights", "")
        return found if isinstance(found, str) else found["path"]

    @property
    def right(self) -> str:
        """Which validation images these weights are right about (see `experiments.correctness`)."""
        return self.extra.get("right", "")

    @property
    def cost(self) -> dict[str, float]:
        """CPU seconds that were ``estimated``, and ``cpu_seconds`` that it took; empty where nobody estimated."""
        return self.extra.get("cost", {})

    @property
    def classes(self) -> list[str]:
        """Names of the classes of a lambda study's images."""
        return self.extra.get("classes", [])

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """Folders besides the data that it was measured on, by what they are to it."""
        return self.extra.get("inputs", {})

    @property
    def made_from(self) -> dict[str, str]:
        """Digests of the records of the runs that it needed, by their ids; empty in older records."""
        return self.extra.get("made_from", {})

    @property
    def data_identity(self) -> str:
        """What tells its images from others: those of its data set, and what else it was measured on."""
        return " ".join([self.data.identity, *(found["fingerprint"] for found in self.inputs.values())])

    def content(self) -> dict[str, Any]:
        """The keys of the file but `format` and `digest`, in its order."""
        parts = {one.name: getattr(self, one.name) for one in fields(Record) if one.name != "extra"}
        parts |= {name: _without_defaults(parts[name]) for name in _PARTS}
        return parts | self.extra


_PARTS: dict[str, type] = {"run": RunInfo, "data": DataInfo, "environment": Environment}


def _without_defaults(part: RunInfo | DataInfo | Environment) -> dict[str, Any]:
    return {name: value for name, value in asdict(part).items() if value is not None}


def unsound(value: Any) -> str:
    """The first thing in `value` that a record cannot hold, after its keys; empty if there is none."""
    return "" if _is_sound(value, DEPTH) else _unsound(value, "", DEPTH)


def _is_sound(value: Any, depth: int) -> bool:
    """Whether `_unsound` surely finds nothing: quick, as records are long and seldom wrong."""
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return True
    if kind is int or kind is float:
        return abs(value) < LARGEST
    if kind is dict:
        return depth > 0 and all(type(key) is str and _is_sound(item, depth - 1) for key, item in value.items())
    return kind in (list, tuple) and depth > 0 and (_are_numbers(value) or all(_is_sound(x, depth - 1) for x in value))


def _unsound(value: Any, where: str, depth: int) -> str:
    if value is None or isinstance(value, str | bool):
        return ""
    if isinstance(value, int):
        return "" if abs(value) < LARGEST else f"{where} is a whole number of more than 64 bits"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{where} is {value}, which JSON has no number for"
    if not isinstance(value, dict | list | tuple):
        return f"{where} is of type {type(value).__name__}, which JSON does not have"
    if not depth:
        return f"{where} lies more than {DEPTH} levels deep"
    if not isinstance(value, dict):
        items = ((f"{where}[{place}]", item) for place, item in enumerate(value))
    elif all(isinstance(key, str) for key in value):
        items = ((f"{where}.{key}" if where else key, item) for key, item in value.items())
    else:
        return f"{where} has a key that is no text"
    return next(filter(None, (_unsound(item, name, depth - 1) for name, item in items)), "")


def _are_numbers(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether all are numbers that a record can hold: most of a record is lists of them, so this is quick."""
    kinds = set(map(type, values))
    if not kinds <= {int, float} or (float in kinds and not all(map(math.isfinite, values))):
        return False
    return not values or -LARGEST < min(values) <= max(values) < LARGEST


def parse(content: dict[str, Any]) -> Record:
    """A record of the types that it says.

    Raises:
        KeyError: what it lacks.
        ValueError: what is of another type.
    """
    known = {one.name: content[one.name] for one in fields(Record) if one.name != "extra"}
    parts = {name: _object(name, kind, known[name]) for name, kind in _PARTS.items()}
    for one in fields(Record):
        if one.name not in parts and one.name != "extra":
            _need(one.type, known[one.name], one.name)
    extra = {key: value for key, value in content.items() if key not in (*known, "format", "digest")}
    for name, holds in _EXTRAS.items():
        if name in extra and not holds(extra[name]):
            raise ValueError(f"unexpected value of {name}")
    return Record(**known | parts, extra=extra)


def _object(part: str, kind: type, values: Any) -> Any:
    _need("dict[str, Any]", values, part)
    types = {one.name: one for one in fields(kind)}
    for name, value in values.items():
        if name not in types:
            raise ValueError(f"{part}.{name} is unknown to this version")
        _need(types[name].type, value, f"{part}.{name}")
    for name, one in types.items():
        if name not in values and one.default is MISSING:
            raise KeyError(f"{part}.{name}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _need(kind: str, value: Any, name: str) -> None:
    if not _TYPES[kind](value):
        raise ValueError(f"unexpected value of {name}")


def is_number(value: Any) -> bool:
    """Whether it is a finite number; truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: Any) -> bool:
    """Whether it is a whole number, zero or more."""
    return type(value) is int and value >= 0


def are_counts(values: list[Any]) -> bool:
    """Whether all are whole numbers, zero or more."""
    return {int}.issuperset(map(type, values)) and min(values, default=0) >= 0


def _texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


_TYPES: dict[str, Callable[[Any], bool]] = {  # by the annotations of the classes above
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: value is None or isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: type(value) is int,
    "float": is_number,
    "tuple[str, ...]": lambda value: isinstance(value, list) and _texts(value),
    "dict[str, str]": lambda value: isinstance(value, dict) and _texts(value.values()),
    "dict[str, int]": lambda value: isinstance(value, dict) and all(map(is_count, value.values())),
    "dict[str, Any]": lambda value: isinstance(value, dict),
}
_COST = {"estimated", "cpu_seconds"}
_EXTRAS: dict[str, Callable[[Any], bool]] = {  # keys of single kinds that others read
    "history": lambda value: isinstance(value, list) and all(isinstance(epoch, dict) for epoch in value),
    "made_from": lambda value: isinstance(value, dict) and _texts(value.values()),
    "right": lambda value: isinstance(value, str),
    "cost": lambda value: isinstance(value, dict) and {*map(type, value.values())} <= {float} and set(value) == _COST,
    "classes": lambda value: isinstance(value, list) and _texts(value),
    "weights": lambda value: isinstance(value, str) or _has_texts(value, "path", "sha256"),
    "inputs": lambda value: (
        isinstance(value, dict) and all(_has_texts(found, "fingerprint") for found in value.values())
    ),
}


def _has_texts(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and _texts(value.get(name) for name in names)
