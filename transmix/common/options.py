"""Numbers on a command line, each with its range: one line for what is out of it, before anything is loaded."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from transmix.common.errors import UserError
from transmix.common.ranges import Range

LARGEST = 2**63 - 1  # of a seed
LONGEST = 300  # characters of an error


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line as all others are, and that takes no shortened options.

    ``--seed 3`` would be read as ``--seeds 3``, which is something else.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise `UserError`, in moderate length."""
        shown = message if len(message) <= LONGEST else f"{message[:LONGEST]}..."
        raise UserError(f"{shown}: see {self.prog} --help")


def separated(option: str, text: str) -> list[str]:
    """What commas separate in an option's value, without the blanks around it.

    Raises:
        UserError: nothing stands before or after a comma.
    """
    found = [part.strip() for part in text.split(",")]
    if "" in found:
        raise UserError(f"{option} {text}: has an empty name beside a comma: remove that comma")
    return found


def within(allowed: Range, kind: type = int) -> type[argparse.Action]:
    """An action for `argparse.ArgumentParser.add_argument` that takes numbers of a range.

    Args:
        allowed: the range.
        kind: int or float.
    """

    class Within(argparse.Action):
        def __call__(self, parser: Any, namespace: argparse.Namespace, text: Any, option: str | None = None) -> None:
            try:
                value = kind(text)
            except ValueError:
                value = None
            if value is None or value not in allowed:
                what = "a whole number" if kind is int else "a number"
                shown = repr(text if len(text) <= 40 else f"{text[:40]}...") if value is None else text[:40]
                raise UserError(f"{option} {shown}: must be {what} {allowed}")
            setattr(namespace, self.dest, value)

    return Within
