"""Options declared once, in the fields of a dataclass: for argparse, as a command line again, and as make's variables.

``python -m experiments options`` writes make's part, ``experiments/options.mk``. Standard library only.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from transmix.common.errors import unknown_name
from transmix.common.options import within
from transmix.common.ranges import Range

FRAGMENT = Path(__file__).parent / "options.mk"
# A variable as the shell takes it, whatever is in it. `STUDY` is expanded where it is used, when all variables are set.
_STUDY = """quoted = '$(subst ','\\'',$($1))'
STUDY ="""
_HEADER = "# Written by 'python -m experiments options' from the fields of experiments.study.Study; a test compares."


@dataclass(frozen=True)
class Option:
    """An option: ``--imagenet-a PATH`` on the command line, ``IMAGENET_A=PATH`` for make.

    Attributes:
        help: what it is, in a few words.
        metavar: what its value is called.
        parse: text to value.
        default: where it is not given; None for none.
        whole: the range of a value that is a whole number.
        choices: what the value must be one of, if anything.
        known: names that the help lists beside.
        repeated: whether it is given once for each value; make's variable then holds several.
        name: with underscores, where it is not the field's.
    """

    help: str
    metavar: str
    parse: Callable[[str], Any] = str
    default: Any = None
    whole: Range | None = None
    choices: Callable[[], Iterable[str]] | None = None
    known: Callable[[], Iterable[str]] | None = None
    repeated: bool = False
    name: str = ""

    @property
    def flag(self) -> str:
        """On the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """What make calls it."""
        return self.name.upper()


def option(help: str, metavar: str, parse: Callable[[str], Any] = str, **about: Any) -> Any:
    """A dataclass field that is an option; the arguments are attributes of `Option`."""
    return field(metadata={"option": Option(help, metavar, parse, **about)})


def options_of(kind: type) -> list[Option]:
    """The options among a dataclass's fields, in their order."""
    declared = [(found.name, found.metadata["option"]) for found in fields(kind) if "option" in found.metadata]
    return [replace(one, name=one.name or name) for name, one in declared]


def add_options(parser: argparse.ArgumentParser, kind: type) -> None:
    """Add them to a parser."""
    for one in options_of(kind):
        names = one.choices or one.known
        text = f"{one.help}: {', '.join(names())}" if names else one.help
        if one.default is not None:
            text += f" (default: {one.default})"
        if one.repeated:
            how = {"action": "append", "default": []}
        elif one.whole:
            how = {"action": within(one.whole), "default": one.default}
        else:
            how = {"type": one.parse, "default": one.default}
        parser.add_argument(one.flag, dest=one.name, metavar=one.metavar, help=text, **how)


def check_choices(args: argparse.Namespace, kind: type) -> None:
    """Raise `UserError` for a value that is none of its option's choices, naming the nearest."""
    for one in options_of(kind):
        value = getattr(args, one.name)
        if one.choices and value is not None and value not in one.choices():
            raise unknown_name(one.name, value, one.choices())


def spelled(args: argparse.Namespace, kind: type) -> tuple[str, ...]:
    """The command line that gives parsed options again: those that are not at their default, and always the first."""
    found: list[str] = []
    for one in options_of(kind):
        value = getattr(args, one.name)
        if one.repeated or value != one.default or not found:
            for each in value if one.repeated else [value]:
                found += [one.flag, str(each)]
    return tuple(found)


def as_variables(options: Iterable[str]) -> list[str]:
    """Command-line options as make's variables: ``["SCALE=tiny", "SET=epochs=30 lr=1e-3"]``."""
    values: dict[str, list[str]] = {}
    listed = list(options)
    for flag, value in zip(listed[::2], listed[1::2], strict=True):
        values.setdefault(flag[2:].replace("-", "_").upper(), []).append(value)
    return [f"{variable}={' '.join(each)}" for variable, each in values.items()]


def fragment(kind: type) -> str:
    """Makefile text: ``STUDY``, the options that make's variables give, and a line of help for each variable."""
    options = options_of(kind)
    values = ["|".join(one.choices()) if one.choices else one.metavar for one in options]
    helps = [f"## {one.variable}={value}  {one.help}" for one, value in zip(options, values, strict=True)]
    parts = [_STUDY, *map(_passed, options)]
    return "\n".join(
        [_HEADER, *helps, f"VARIABLES := {' '.join(one.variable for one in options)}", " \\\n".join(parts), ""]
    )


def _passed(one: Option) -> str:
    if one.repeated:
        return f"  $(foreach one,$({one.variable}),{one.flag} $(call quoted,one))"
    given = f"$(filter-out {one.default},$({one.variable}))" if one.default is not None else f"$({one.variable})"
    return f"  $(if {given},{one.flag} $(call quoted,{one.variable}))"
