"""Ways to mix images and labels, one file each, found by its name: there is no list to edit.

A file's docstring is the method's card: paper, source file and commit, what it mixes, how it labels, what it costs,
what is expected of it, and the command. Its ``METHOD`` declares the rest. A method that Mixup and CutMix as timm draws
them do not cover has its own ``mix(step)``, and where it needs them ``lam(step)``, ``loss(step)`` and
``head(model, num_classes)``; see `transmix.methods._step`.

Declarations import with the standard library alone, for the plan and the reports read them: a file that computes gets
torch and NumPy from `transmix.common.lazy`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from transmix.common.plugins import modules


@dataclass(frozen=True)
class Method:
    """What is declared of a way to mix.

    Attributes:
        title: what tables and legends call it.
        settings: the recipe settings in which its runs differ from their row's.
        tables: where it appears: ``table1`` (every row is trained with it), ``table2`` (one row is), and whichever of
            ``table3``, ``table4``, ``table5``, ``occlusion`` and ``lambda`` measure models trained with it.
        position: methods are shown in this order, then by name.
        colour: of lines and points, as ``#rrggbb``; empty for the next of the palette.
        options: the method's own settings and their defaults, changed by the recipe's ``mix_options``.
        passes: what a step costs beside CutMix's, in words; empty for nothing.
        name: the module's; filled in when it is found.
        card: the module's docstring; filled in when it is found.
    """

    title: str
    settings: dict[str, Any]
    tables: tuple[str, ...] = ("table2",)
    position: int = 100
    colour: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    passes: str = ""
    name: str = ""
    card: str = ""


@cache
def methods() -> dict[str, Method]:
    """Every way to mix by name, in the order in which they are shown."""
    found = []
    for module in modules(sys.modules[__name__]):
        name = module.__name__.rpartition(".")[2]
        found.append(replace(module.METHOD, name=name, card=(module.__doc__ or "").strip()))
    return {method.name: method for method in sorted(found, key=lambda method: (method.position, method.name))}


def of_table(table: str) -> tuple[str, ...]:
    """Names of the methods that appear in a table."""
    return tuple(name for name, method in methods().items() if table in method.tables)
