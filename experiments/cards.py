"""Cards of the ways to mix: what is written and declared of each, as the command and the page show it."""

from __future__ import annotations

from dataclasses import dataclass

from transmix.methods import methods


@dataclass(frozen=True)
class Card:
    """One method's.

    Attributes:
        name: what ``METHODS=`` takes.
        title: what tables call it.
        text: its file's docstring.
        declared: its tables, settings, options and cost, a line each.
    """

    name: str
    title: str
    text: str
    declared: tuple[str, ...]


def card(name: str) -> Card:
    """The card of a method."""
    method = methods()[name]
    declared = {
        "tables": ", ".join(method.tables),
        "settings": _listed(method.settings),
        "options": _listed({key: method.choices.get(key, value) for key, value in method.options.items()}),
        "cost beside CutMix": method.passes or "no pass",
    }
    lines = tuple(f"{what}: {values}" for what, values in declared.items() if values)
    return Card(name, method.title, method.card, lines)


def cards() -> tuple[Card, ...]:
    """All of them, in the order in which methods are shown."""
    return tuple(map(card, methods()))


def _listed(values: dict[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())
