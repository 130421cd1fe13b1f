"""What an entry of the discrepancy ledger (`experiments.ledger`) is, and what the recipes hold on it.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from experiments.rows import rows, table1
from experiments.rows.deit import deit_original
from experiments.scales import SCALES
from transmix.common.plain import plain


@dataclass(frozen=True)
class Alternative:
    """Another reading of the sources.

    Attributes:
        settings: what ``SET=`` takes for it, e.g. ``"batch_size=1024"``.
        reading: whose it is.
        rows: rows of Table 1 whose recipe it changes.
    """

    settings: str
    reading: str
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One question on which the sources disagree or are silent.

    Attributes:
        title: the question, in a few words.
        says: what each source says; a key begins with a name in `experiments.ledger.SOURCES`.
        choice: what this suite does and why, beside the values that the recipes hold.
        rows: rows of Table 1 that it concerns.
        settings: the recipe settings that hold the choice; none where it is not a setting.
        alternatives: the other readings that a user can set.
    """

    title: str
    says: dict[str, str]
    choice: str
    rows: tuple[str, ...] = tuple(table1())
    settings: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


def chosen(entry: Entry) -> dict[str, list[str]]:
    """What this suite does at paper scale: the entry's settings as ``SET=`` takes them, and the rows that have them."""
    return by_value(entry, {row: _paper_recipe(row) for row in entry.rows})


@cache
def _paper_recipe(row: str) -> Mapping[str, Any]:
    """A row's recipe, made and checked once for all entries."""
    return plain(SCALES["paper"].recipe(row, "transmix"))


def by_value(entry: Entry, recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The rows among `recipes` that the entry concerns, grouped by what their recipes hold on it."""
    rows: dict[str, list[str]] = {}
    for row in entry.rows:
        if entry.settings and row in recipes:
            rows.setdefault(spelled(recipes[row], entry.settings), []).append(row)
    return rows


def spelled(recipe: Mapping[str, Any], names: Iterable[str]) -> str:
    """Settings of a recipe as ``SET=`` takes them: ``"lr=0.001 ema_decay=none"``."""
    parts = []
    for name in names:
        options = {f"{name}.{key}": value for key, value in recipe[name].items()} if name == "mix_options" else {}
        one_by_one = options if name == "mix_options" else {name: recipe[name]}
        parts += [f"{key}={setting_text(value)}" for key, value in one_by_one.items()]
    return " ".join(parts)


def setting_text(value: Any) -> str:
    """A setting as ``SET=`` takes it."""
    if isinstance(value, list):
        return ",".join(map(setting_text, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def listed(some: Collection[str], name: Callable[[str], str] = str) -> str:
    """Rows in words, each by its `name`: ``"deit_t, deit_s"``, ``"all rows but cait_xxs"`` where that is shorter."""
    others = [row for row in table1() if row not in some]
    if not others and len(some) == len(table1()):
        return "all rows"
    short, prefix = (some, "") if len(some) <= len(others) or not others else (others, "all rows but ")
    return prefix + ", ".join(map(name, short))


def as_deit_itself(names: Iterable[str]) -> str:
    """The settings that turn the paper recipes of some rows into DeiT's own, their models aside."""
    original = plain(deit_original())
    recipes = [plain(rows()[row].recipe()) for row in names]
    differing = [name for name in original if any(recipe[name] != original[name] for recipe in recipes)]
    return spelled(original, (name for name in differing if name != "model"))
