"""Libraries that take long to load, loaded when something of them is first used.

For modules whose declarations are read where NumPy and torch are not installed (the plan, the reports), and for what
most commands do without.

>>> from transmix.common.lazy import np, torch
"""

from __future__ import annotations

import importlib
from typing import Any


class Lazy:
    """A module that is imported when one of its attributes is first asked for.

    Args:
        name: the module's, in full.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, found)  # found at once from now on
        return found

    def __reduce__(self) -> tuple[type[Lazy], tuple[str]]:
        """By name alone, to other processes."""
        return Lazy, (self._name,)


np, torch = Lazy("numpy"), Lazy("torch")
