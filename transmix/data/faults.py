"""What is wrong with a data set, in one line: the first fault is named, the others are counted. Standard library."""

from __future__ import annotations

from transmix.common.errors import UserError


class Faults:
    """Collects faults, so that a data set is read whole before it is refused.

    Attributes:
        first: the line of the first one; empty as long as there is none.
        count: how many there are.
    """

    def __init__(self) -> None:
        self.first, self.count = "", 0

    def add(self, line: str) -> None:
        """One more: what, where and the remedy."""
        self.first, self.count = self.first or line, self.count + 1

    def check(self) -> None:
        """Raise `UserError` if there is one."""
        if self.count:
            raise UserError(self.first + (f" (and {self.count - 1:,} more)" if self.count > 1 else ""))


class Notes:
    """What was mended or left out: one line a kind, with its first item and how many there are."""

    def __init__(self, where: str) -> None:
        self.where, self._found = where, {}

    def add(self, kind: str, item: str) -> None:
        """One more item of a kind."""
        first, count = self._found.get(kind, (item, 0))
        self._found[kind] = (first, count + 1)

    def lines(self) -> tuple[str, ...]:
        """All kinds, in the order in which they were met."""
        return tuple(
            f"{self.where}: {kind}: {first}" + (f" and {count - 1:,} more" if count > 1 else "")
            for kind, (first, count) in self._found.items()
        )
