"""Kinds of run, one file each, found by its name: there is no list to edit.

A file holds ``KIND``, which says what runs a study plans, what their settings are, which module carries them out and
what they cost, and the names of the files that they leave, for those who write and those who read them. A folder of
one's own adds kinds (``PLUGINS=/my/folder``, which holds ``kinds/*.py``).

Declarations import with the standard library alone: the plan and the reports read them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from experiments.scales import MEASURED, PUBLIC
from transmix.common.plugins import modules
from transmix.methods import methods

if TYPE_CHECKING:
    from experiments.estimate import Assumptions, Work
    from experiments.runs import Run
    from experiments.study import Study


@dataclass(frozen=True)
class Kind:
    """What is declared of a kind of run.

    Attributes:
        settings: the dataclass of its settings; their defaults decide what counts in a run's id.
        plan: ``(study, row, seed, trained)`` to its runs for a row and seed; `trained` are the trainings by method,
            which they may need. None are planned where the row is not for it.
        work: ``(run, assumptions)`` to how much a run has to do, to estimate its cost; None if that is not known.
        position: kinds are planned in this order, then by name; trainings come first.
        execute: the module with ``execute(run, source, processes, runtime) -> Outcome``; empty for the file itself.
        ready: whether a study has what its runs read beside the data; ``make report`` leaves them out otherwise.
        name: the module's; filled in when it is found.
    """

    settings: type
    plan: Callable[[Study, str, int, dict[str, Run]], Iterable[Run]]
    work: Callable[[Run, Assumptions], Work | None] = lambda run, given: None
    position: int = 100
    execute: str = ""
    ready: Callable[[Study], bool] = lambda study: True
    name: str = ""


@cache
def kinds() -> dict[str, Kind]:
    """Every kind of run by name, in the order in which they are planned."""
    found = []
    for module in modules(sys.modules[__name__], "KIND"):
        name = module.__name__.rpartition(".")[2].rstrip("_")  # lambda is no name for a module
        found.append(replace(module.KIND, name=name, execute=module.KIND.execute or module.__name__))
    return {kind.name: kind for kind in sorted(found, key=lambda kind: (kind.position, kind.name))}


def measured(trained: dict[str, Run], table: str) -> dict[str, Run]:
    """The trainings whose method appears in a table; public weights appear wherever trained models are measured."""
    shown = {name: method.tables for name, method in methods().items()} | {PUBLIC: MEASURED}
    return {method: run for method, run in trained.items() if table in shown[method]}
