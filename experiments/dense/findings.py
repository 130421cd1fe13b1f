"""What is found in a list of COCO's format: faults, which are counted, and what was mended, with a note."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.dense.ordinary import LIMIT
from transmix.data.faults import Faults, Notes


class Findings:
    """Those of one list, and what is asked of all of its entries.

    Attributes:
        path: the list's file, with which all lines begin.
        faults: what cannot be put right.
        notes: what was mended or left out.
        mended: whether the entries differ from the file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.faults, self.notes, self.mended = path, Faults(), Notes(str(path)), False

    def fault(self, item: str, line: str) -> None:
        """What is wrong with an item, and the remedy."""
        self.faults.add(f"{self.path}: {item}: {line}")

    def mend(self, kind: str, item: str) -> None:
        """A kind of change that was made to an item."""
        self.mended = True
        self.notes.add(kind, item)

    def whole(self, item: str, entry: dict[str, Any], key: str, low: int = 0) -> int | None:
        """A whole number in an entry, where 3.0 becomes 3; None, and a fault, for all else."""
        value = entry.get(key)
        if type(value) is float and value.is_integer() and abs(value) < LIMIT:
            entry[key] = value = int(value)
            self.mend("whole numbers written with a point are read as whole", f"{item}, {key}")
        if type(value) is not int or not low <= value < LIMIT:
            shown = "is missing" if key not in entry else f"is {brief(value)}"
            self.fault(item, f"{key} {shown}: write a whole number from {low} on")
            return None
        return value

    def unique(self, what: str, number: int, identity: int | None, seen: dict[int, int]) -> None:
        """See that an id comes once; `seen` has the number of the entry of each."""
        if identity is not None and seen.setdefault(identity, number) != number:
            self.fault(f"{what} {identity}", "comes more than once: number them anew, and remove what is there twice")


def brief(value: Any) -> str:
    """A value for a message: short, and text in quotes."""
    if isinstance(value, int) and abs(value) > 10**18:
        return "more than 18 digits"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
