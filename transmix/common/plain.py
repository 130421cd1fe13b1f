"""Dataclasses of settings as plain JSON values, and back. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from transmix.common.errors import unknown_name

T = TypeVar("T")


def plain(value: Any) -> Any:
    """A value as JSON gives it back: a dictionary for a dataclass, lists for tuples."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def built(kind: type[T], values: Mapping[str, Any]) -> T:
    """The dataclass that plain values describe; a field that they lack, as older files may, has its default.

    Raises:
        UserError: a value for which `kind` has no field.
    """
    types = {field.name: str(field.type) for field in fields(kind)}
    for name in values:
        if name not in types:
            raise unknown_name(f"setting of {kind.__name__}", name, types)
    return kind(**{n: _tuples(v) if types[n].startswith("tuple") else v for n, v in values.items()})


@cache
def defaults(kind: type) -> dict[str, Any]:
    """The plain defaults of a dataclass, by name; fields that must be given are left out."""
    found = {}
    for field in fields(kind):
        if field.default is not MISSING:
            found[field.name] = plain(field.default)
        elif field.default_factory is not MISSING:
            found[field.name] = plain(field.default_factory())
    return found


def differing(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those plain values that are not what they are by default; what has no default always counts."""
    usual = defaults(kind)
    return {name: value for name, value in values.items() if name not in usual or usual[name] != value}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
