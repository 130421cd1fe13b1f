"""How fast this machine trains and evaluates the small models on one core: measured once, kept, read by the plan.

Reading needs the standard library alone; `experiments.measure_rates` measures.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from experiments.costs import ModelCost
from transmix.common.errors import UserError
from transmix.common.files import check_writable, write_text

NAME = "rates.json"  # in the folder of all results
FORMAT = 1
_MOST = 10**18  # multiply-accumulates of an image
_MOST_SECONDS = 3600.0  # for an image, or to load libraries: a core that is as slow measures nothing
PYTHON = Path(".venv", "bin", "python")
COMPLETE = Path(".venv", "requirements.lock")  # written last, when the environment is made


@dataclass(frozen=True)
class Rate:
    """What one core does with a model.

    Attributes:
        cost: the model's size and multiply-accumulates.
        train: CPU seconds of a training step, an image.
        evaluate: CPU seconds of a forward pass, an image.
    """

    cost: ModelCost
    train: float
    evaluate: float


@dataclass(frozen=True)
class Machine:
    """What was measured on this machine.

    Attributes:
        processor: its name.
        date: UTC, ISO 8601.
        start: CPU seconds until a run's libraries are loaded.
        rates: by model and image size.
    """

    processor: str
    date: str
    start: float
    rates: dict[tuple[str, int], Rate]

    def size_of(self, model: str) -> int | None:
        """An image size at which a model was measured."""
        return next((size for name, size in self.rates if name == model), None)


def processor() -> str:
    """The processor's name where the system says it, else its architecture."""
    return processor_name() or platform.machine()


def processor_name() -> str:
    """The processor's model name; empty where the system says no more than its architecture."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    found = next(names, "") or platform.processor()  # which starts a program
    return found if found != platform.machine() else ""


def read_machine(results: Path) -> Machine | None:
    """What is kept in a folder of results of this very processor; None where nothing is, or nothing readable."""
    try:
        content = json.loads((results / NAME).read_text(encoding="utf-8"))
        if content["format"] != FORMAT or content["processor"] != processor():
            return None
        rates = [
            Rate(_cost(one["cost"]), _seconds(one["train"]), _seconds(one["evaluate"])) for one in content["rates"]
        ]
        by_model = {(rate.cost.model, rate.cost.image_size): rate for rate in rates}
        date = datetime.fromisoformat(content["date"]).isoformat()
        return Machine(content["processor"], date, _seconds(content["start"]), by_model)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # it is measured anew


def _cost(given: dict[str, Any]) -> ModelCost:
    cost = ModelCost(**given)
    numbers = (cost.image_size, cost.parameters, cost.macs)
    if not isinstance(cost.model, str) or not all(type(number) is int and 0 < number < _MOST for number in numbers):
        raise ValueError(f"no cost of a model: {given}")
    if type(cost.reading_macs) is not int or not 0 <= cost.reading_macs < _MOST:
        raise ValueError(f"reading_macs is {cost.reading_macs}")
    return cost


def _seconds(given: Any) -> float:
    if type(given) not in (int, float) or not 0 < given < _MOST_SECONDS:  # nor is NaN
        raise ValueError(f"no time that was measured: {given}")
    return float(given)


def write_machine(results: Path, machine: Machine) -> None:
    """Keep what was measured beside the results, whole or not at all."""
    content: dict[str, Any] = {"format": FORMAT, "processor": machine.processor, "date": machine.date}
    content |= {"start": machine.start, "rates": [asdict(rate) for rate in machine.rates.values()]}
    write_text(results / NAME, json.dumps(content, indent=1) + "\n")


def measured_machine(results: Path, wanted: set[tuple[str, int]], options: tuple[str, ...]) -> Machine | None:
    """The same, measured now where a model's rate is not kept and the environment is there (half a minute)."""
    machine = read_machine(results)
    if not wanted - (machine.rates.keys() if machine else set()) or not COMPLETE.is_file():
        return machine
    try:
        check_writable(results / NAME)
    except UserError as error:
        print(f"this machine is not measured: {error}", file=sys.stderr)
        return machine
    print(f"measuring how fast this machine is: half a minute, kept in {results / NAME}", file=sys.stderr)
    command = [str(PYTHON), "-m", "experiments", "rates", *options]
    subprocess.run(command, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return read_machine(results)
