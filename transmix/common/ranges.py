"""What a setting may be, declared where it is: in the field of a dataclass. Standard library only.

>>> @dataclass(frozen=True)
... class Settings:
...     lr: float = number(1e-3, above=0, most=10)
...     precision: str = choice("fp32", of=("fp32", "bf16"))
...
...     def __post_init__(self) -> None:
...         check(self)
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator
from dataclasses import MISSING, Field, dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any

from transmix.common.errors import UserError, unknown_name

_NUMBERS = (int, float)  # known at once; others, such as NumPy's, by what they are
_LONGEST = 60  # characters of a value that a message shows
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "none"}


@dataclass(frozen=True)
class Range:
    """Finite numbers between two ends.

    Attributes:
        low: the lower end.
        high: the upper end; None: there is none.
        without: the ends that are not in it, ``low``, ``high``.
    """

    low: float
    high: float | None = None
    without: tuple[str, ...] = ()

    def __contains__(self, value: float) -> bool:
        if not _finite(value):
            return False
        above = value > self.low if "low" in self.without else value >= self.low
        if self.high is None:
            return above
        return above and (value < self.high if "high" in self.without else value <= self.high)

    def __str__(self) -> str:
        """As a message says it: ``above 0``, ``from 0 to 1``, ``from 0 to below 1``, ``above 0 and at most 10``."""
        low, high = (None if end is None else f"{end:,}" for end in (self.low, self.high))
        if "low" in self.without:
            return f"above {low}" + (f" and {'below' if 'high' in self.without else 'at most'} {high}" if high else "")
        return f"from {low} to {'below ' if 'high' in self.without else ''}{high}" if high else f"{low} or more"


def _finite(value: Real) -> bool:
    # a whole number may be too large for a float
    return math.isfinite(value) if type(value) is float else isinstance(value, Integral) or math.isfinite(value)


def number(
    default: Any = MISSING,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> Any:
    """A field for a number, or for tuples of numbers, all of them within a range (`least` or `above` is needed)."""
    without = tuple(end for end, given in (("low", above), ("high", below)) if given is not None)
    low, high = least if above is None else above, most if below is None else below
    return dataclasses.field(default=default, metadata={"range": Range(low, high, without)})


def choice(default: Any = MISSING, *, of: Collection[str], called: str | None = None) -> Any:
    """A field for one of some names, or for a tuple of them, each of which is `called` so (default: as the field)."""
    return dataclasses.field(default=default, metadata={"names": tuple(of), "called": called})


def text(default: Any = MISSING, *, form: str = ".+", like: str = "a name") -> Any:
    """A field for a text that has the form of a regular expression and is, in words, `like` something."""
    return dataclasses.field(default=default, metadata={"form": form, "like": like})


def check(settings: Any) -> None:
    """Check every field of a dataclass that has just been made.

    Raises:
        UserError: names the first setting that is of another type or out of range, with what it may be.
    """
    for field in dataclasses.fields(settings):
        check_field(type(settings), field.name, getattr(settings, field.name))


def check_field(owner: type, name: str, value: Any) -> None:
    """Check a value for the field `name` of a dataclass; errors as `check`."""
    fits, hint = _types(owner)[name]
    if not fits(value):
        raise UserError(f"{said(name, value)}: must be {_words(hint)}")
    for leaf in _leaves(value):
        _check_leaf(name, owner.__dataclass_fields__[name], leaf)


def _check_leaf(name: str, field: Field, value: Any) -> None:
    allowed = field.metadata
    if isinstance(value, str):
        if "names" in allowed and value not in allowed["names"]:
            raise unknown_name(allowed["called"] or name, value, allowed["names"])
        if "form" in allowed and not re.fullmatch(allowed["form"], value):
            raise UserError(f"{said(name, value)}: must be {allowed['like']}")
    elif type(value) in _NUMBERS or (isinstance(value, Real) and not isinstance(value, bool)):
        if "range" in allowed and value not in allowed["range"]:
            raise UserError(f"{said(name, value)}: must be {allowed['range']}")
        if not _finite(value):
            raise UserError(f"{said(name, value)}: must be finite")


@cache
def _types(owner: type) -> dict[str, tuple[Callable[[Any], bool], Any]]:
    """By field, what tells whether a value has its type, and the type as annotations write it."""
    return {name: (_test(hint), hint) for name, hint in typing.get_type_hints(owner).items()}


def _test(hint: Any) -> Callable[[Any], bool]:
    """What tells whether a value has a type; looked up once, for a study checks its settings a thousand times."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        tests = [_test(one) for one in inner]
        return lambda value: any(test(value) for test in tests)
    if origin is tuple:
        tests = [_test(one) for one in inner if one is not Ellipsis]
        if Ellipsis in inner:
            return lambda value: isinstance(value, tuple) and all(map(tests[0], value))
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(tests)
            and all(test(item) for test, item in zip(tests, value, strict=True))
        )
    if hint is Any:
        return lambda value: True
    if hint is float or hint is int:
        kind = Real if hint is float else Integral
        return lambda value: type(value) is hint or (isinstance(value, kind) and not isinstance(value, bool))
    return lambda value: isinstance(value, origin or hint)


def _words(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_words, inner))
    if origin is tuple:
        several = f"{len(inner)} of" if inner[-1] is not Ellipsis else "several of"
        return f"{several} '{_words(inner[0])}'"
    return KINDS.get(hint, getattr(hint, "__name__", str(hint)))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def said(name: str, value: Any) -> str:
    """A setting as it could have been written, ``lr=-1``, in moderate length."""
    written = f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else repr(value)
    shown = written if written.isprintable() and written else repr(written)
    return f"{name}={shown if len(shown) <= _LONGEST else shown[:_LONGEST] + '...'}"
