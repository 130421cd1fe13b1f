"""Ways to mix images and labels, one file each, found by its name: there is no list to edit.

A file's docstring is the method's card: paper, source file and commit, what it mixes, how it labels, what it costs,
what is expected of it, and the command. Its ``METHOD`` declares the rest. A method that Mixup and CutMix as timm draws
them do not cover has functions of its own in its file, each of them only where it is needed:

    mix(step) -> Mix                         before the forward pass; by default `transmix.mixing.mix_batch`
    lam(step) -> Tensor (B,)                 after it, where something was pasted; by default the recipe's label rule
    targets(step) -> Tensor (B, K)           likewise; by default (1 - lam) of the own label and lam of the partner's
    loss(step) -> Tensor                     a scalar that is added to the soft cross-entropy
    head(model, num_classes) -> nn.Module    trained along, at hand as ``step.head``, not used in evaluation

All are given a `transmix.methods._step.Step`. What they read of the model while it computes is declared in ``reads``.

Declarations import with the standard library alone, for the plan and the reports read them: a file that computes gets
torch and NumPy from `transmix.common.lazy`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from transmix.common.errors import UserError
from transmix.common.files import sha256
from transmix.common.plugins import ended, modules
from transmix.common.ranges import Range

FUNCTIONS = ("mix", "lam", "targets", "loss", "head")


@dataclass(frozen=True)
class Method:
    """What is declared of a way to mix.

    Attributes:
        title: what tables and legends call it.
        settings: the recipe settings in which its runs differ from their row's. Where the file has functions of its
            own, ``mixer`` is filled in.
        tables: where it appears: ``table1`` (every row is trained with it), ``table2`` (one row is), and whichever of
            ``table3``, ``table4``, ``table5``, ``occlusion`` and ``lambda`` measure models trained with it; ``table7``:
            an ablation of TransMix.
        position: methods are shown in this order, then by name.
        colour: of lines and points, as ``#rrggbb``; empty for the next of the palette.
        options: the method's own settings and their defaults, changed by the recipe's ``mix_options``.
        choices: of options that are one of several words, these words.
        ranges: of options that are numbers, what they may be. One that is none by default is whole where its ends are.
            ``smallest`` and ``largest`` are the ends of one draw.
        passes: what a step costs beside CutMix's, in words; empty for nothing.
        extra_passes: the passes among that, counted in forward passes of a batch (a backward pass is two), on average.
        reads: what of the model its functions read: ``attention`` (the class attention of the mixed batch), ``blocks``
            (the attention of every block), ``tokens`` (what the final norm gives), ``teacher`` (a frozen model).
        published: what the sources of experiments/published/mix_methods.csv call it.
        name: the module's; filled in when it is found.
        card: the module's docstring; filled in when it is found.
        own: the module's functions by name, those of `FUNCTIONS` that it has; filled in when it is found.
        code: digest of the module's file, where that is a user's own with such functions; filled in when it is found.
    """

    title: str
    settings: dict[str, Any]
    tables: tuple[str, ...] = ("table2",)
    position: int = 100
    colour: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)
    passes: str = ""
    extra_passes: float = 0.0
    reads: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    name: str = ""
    card: str = ""
    own: dict[str, Callable[..., Any]] = field(default_factory=dict, repr=False)
    code: str | None = None


@cache
def methods() -> dict[str, Method]:
    """Every way to mix by name, in the order in which they are shown."""
    from transmix.recipe import check_settings  # which reads what is declared here

    found = []
    for module in modules(sys.modules[__name__], "METHOD"):
        name = module.__name__.rpartition(".")[2]
        own = {function: getattr(module, function) for function in FUNCTIONS if hasattr(module, function)}
        if not isinstance(changed := module.METHOD.settings, dict):
            raise ended(f"{module.__file__}: settings are no dictionary: give names with their values")
        file, code = Path(module.__file__), None
        if own and file.parent != Path(__file__).parent:  # the suite's own are in the commit that a record names
            code = sha256(file)[:8]
        if own:
            changed = {"mixer": name, **({"mixer_code": code} if code else {}), **changed}
        try:
            check_settings(changed)
        except UserError as error:
            raise ended(f"{module.__file__}: {error}") from None
        card = (module.__doc__ or "").strip()
        found.append(replace(module.METHOD, name=name, card=card, own=own, code=code, settings=changed))
    return {method.name: method for method in sorted(found, key=lambda method: (method.position, method.name))}


def of_table(table: str) -> tuple[str, ...]:
    """Names of the methods that appear in a table."""
    return tuple(name for name, method in methods().items() if table in method.tables)
