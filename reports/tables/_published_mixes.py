"""What sources print of ways to mix, as columns of Table 2 that the page folds: every number with its sources."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from string import ascii_lowercase
from typing import Any

from experiments.published import PublishedMix, mixes, mixes_of
from reports.formats.table import Cell, Column, missing
from transmix.methods import methods

NOT_PUBLISHED = "not published"
IMAGENET = "published: ImageNet-1k, top-1 (%)"
CIFAR = "published: CIFAR-100 at 224 px, DeiT-S, top-1 (%)"
USUAL = ("", "300")  # epochs on ImageNet; another number is said beside the value
_MODELS = {
    f"published_{model.lower().replace('-', '_')}": model for model in ("DeiT-T", "DeiT-S", "DeiT-B", "PVT-T", "PVT-S")
}
_LENGTHS = {f"published_cifar100_{epochs}": epochs for epochs in ("200", "600")}
COLUMNS = (
    *(Column(key, model, IMAGENET, folded=True) for key, model in _MODELS.items()),
    *(Column(key, f"{epochs} epochs", CIFAR, folded=True) for key, epochs in _LENGTHS.items()),
)


def column_of(found: PublishedMix) -> str:
    """The key of the column that a published number belongs to; empty for none."""
    if found.dataset == "ImageNet-1k":
        return next((key for key, model in _MODELS.items() if model == found.model), "")
    if found.dataset in ("CIFAR-100 at 224 px", "CIFAR-100") and found.model == "DeiT-S":
        return next((key for key, epochs in _LENGTHS.items() if epochs == found.epochs), "")
    return ""


def cells(method: str) -> dict[str, Cell]:
    """What is published of a method: each number once, with the letters of the sources that print it."""
    given: dict[str, dict[tuple[float, str], list[PublishedMix]]] = {column.key: {} for column in COLUMNS}
    for found in mixes_of(method):
        if key := column_of(found):
            length = "" if found.epochs in USUAL or key in _LENGTHS else f" ({found.epochs} epochs)"
            given[key].setdefault((float(found.top1), length), []).append(found)
    return {key: _cell(values) for key, values in given.items()}


def _cell(values: dict[tuple[float, str], list[PublishedMix]]) -> Cell:
    """Numbers as the first source prints them."""
    if not values:
        return missing(NOT_PUBLISHED)
    by = {same: " ".join(dict.fromkeys(letters()[one.source] for one in found)) for same, found in values.items()}
    return Cell("; ".join(f"{found[0].top1}{same[1]} {by[same]}" for same, found in values.items()), "published")


@cache
def letters() -> dict[str, str]:
    """A letter for each source of these columns, in the order of the file."""
    ours = {name for method in methods().values() for name in method.published}
    sources = dict.fromkeys(found.source for found in mixes() if found.method in ours and column_of(found))
    return dict(zip(sources, ascii_lowercase, strict=False))


def source_note() -> str:
    """Which letter is which source."""
    listed = "; ".join(f"{letter} {source}" for source, letter in letters().items())
    return (
        "Published numbers are each source’s own, by its own recipe, and where sources differ all are shown: "
        f"{listed}. What they say of each is in table2_published.csv."
    )


def numbers(shown: Iterable[str]) -> list[dict[str, Any]]:
    """A line for each published number of some methods, those of other models and lengths, too."""
    return [
        {
            "method": name,
            "called": found.method,
            "dataset": found.dataset,
            "model": found.model,
            "epochs": int(found.epochs) if found.epochs else None,
            "top1": float(found.top1),
            "alpha": found.alpha,
            "source": found.source,
            "note": found.note,
        }
        for name in shown
        for found in mixes_of(name)
    ]
