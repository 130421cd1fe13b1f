"""The default of every setting and method's option that a run's id may leave out, kept in ``golden/defaults.txt``.

A default never changes once a record was published with it. ``python -m tests.frozen_defaults`` adds settings that are
new to the list, and refuses a default that changed.
"""

from __future__ import annotations

import json
from pathlib import Path

from experiments.kinds import kinds
from transmix.common.files import write_text
from transmix.common.plain import defaults
from transmix.methods import methods

PATH = Path(__file__).parent / "golden" / "defaults.txt"


def defaults_now() -> dict[str, str]:
    """``{"Recipe.drop_path": "0.1", ...}`` of the code as it is."""
    every = {settings.__name__: defaults(settings) for settings in (kind.settings for kind in kinds().values())}
    every |= {f"mix_options of {name}": method.options for name, method in methods().items()}
    return {f"{of}.{name}": json.dumps(value) for of, values in every.items() for name, value in values.items()}


def frozen() -> dict[str, str]:
    """The same as the list has it."""
    lines = PATH.read_text(encoding="utf-8").splitlines() if PATH.exists() else []
    return dict(line.split(" = ", 1) for line in lines)


def broken_promises() -> list[str]:
    """A line for each frozen default that the code does not keep."""
    now = defaults_now()
    return [
        f"{name} was {value} by default, now it is {now.get(name, 'gone')}: ids of published runs rest on it. "
        "Put it back; a new meaning is a new setting"
        for name, value in frozen().items()
        if now.get(name) != value
    ]


if __name__ == "__main__":
    if broken_promises():
        raise SystemExit("\n".join(broken_promises()))
    write_text(PATH, "".join(f"{name} = {value}\n" for name, value in defaults_now().items()))
    print(f"{PATH}: {len(defaults_now())} defaults")
