"""NumPy and torch, loaded when something of them is first used.

For modules whose declarations are read where neither is installed: the plan, and the reports.

>>> from transmix.common.lazy import np, torch
"""

from __future__ import annotations

import importlib
from typing import Any


class _Lazy:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, found)  # found at once from now on
        return found


np, torch = _Lazy("numpy"), _Lazy("torch")
