"""Rows of Table 1: models and how each is trained, one file a family, found by its name: there is no list to edit.

A file holds recipes, each with its card as docstring, and ``ROWS``, a tuple of `Row`. A folder of one's own adds rows
(``PLUGINS=/my/folder``, which holds ``rows/*.py``): ``make table1 ROWS=swin_t PLUGINS=/my/folder``.

Standard library only.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from transmix.common.errors import UserError
from transmix.common.plugins import modules
from transmix.recipe import Recipe

PUBLISHED = Path(__file__).parents[1] / "published" / "table1_imagenet.csv"


@dataclass(frozen=True)
class PublishedRow:
    """What the paper's Table 1 (ImageNet-1k) says of a row, as text: printed exactly as its source prints it.

    Attributes:
        row: our key, e.g. ``deit_t``.
        model: its name in the paper.
        params: millions of parameters.
        flops: giga-FLOPs.
        baseline: top-1 in percent without TransMix.
        transmix: top-1 in percent with it.
        source: where the numbers were read.
    """

    row: str
    model: str
    params: str
    flops: str
    baseline: str
    transmix: str
    source: str

    @property
    def gain(self) -> float:
        """Published difference in points, to the published digit."""
        return round(float(self.transmix) - float(self.baseline), 1)


@dataclass(frozen=True)
class Public:
    """A row's weights as their authors published them, and how these evaluate them.

    Attributes:
        file: the authors' name of the file, without its hash and suffix.
        crop: share of the resized image that they evaluate.
        tag: timm's name of the same weights; empty where timm has none.
        variant: what tells them from the model of the paper's table, e.g. ``distilled``; empty where nothing does.
    """

    file: str
    crop: float
    tag: str = ""
    variant: str = ""


@dataclass(frozen=True)
class Row:
    """A model, and how it is trained.

    Attributes:
        name: what ``ROWS=`` takes, e.g. ``deit_t``.
        family: of models, e.g. ``deit``; configurations of segmentation and detection serve a family.
        title: what people call it, ``DeiT-T``.
        recipe: makes the recipe at paper scale, the baseline's.
        published: what the paper says of it; None for a model that it does not have.
        models: what stands in for the model at smaller scales, by `experiments.scales.Scale.models`; a row without a
            stand-in is not run at that scale.
        attention: whether its class attention can be read; otherwise only methods that label by area train it.
        self_attention: whether the attention of its patches on each other can be read, too (`tl_align`).
        public: its public weights (`WEIGHTS=`); None where there are none of it.
    """

    name: str
    family: str
    title: str
    recipe: Callable[[], Recipe]
    published: PublishedRow | None = None
    models: dict[str, str] = field(default_factory=dict)
    attention: bool = True
    self_attention: bool = True
    public: Public | None = None


@cache
def table1() -> dict[str, PublishedRow]:
    """What the paper's Table 1 says, by row, in its order."""
    with open(PUBLISHED, encoding="utf-8", newline="") as file:
        lines = [
            PublishedRow(
                row=line["row"],
                model=line["model"],
                params=line["params_m"],
                flops=line["flops_g"],
                baseline=line["top1_baseline"],
                transmix=line["top1_transmix"],
                source=line["source"],
            )
            for line in csv.DictReader(file)
        ]
    return {line.row: line for line in lines}


def of_paper(
    recipe: Callable[[], Recipe], family: str, public: Public, *, self_attention: bool = True, **models: str
) -> Row:
    """A row that the paper has: its key is the recipe's name, its title the paper's."""
    published = table1()[recipe.__name__]
    own = (published.row, family, published.model, recipe, published, models)
    return Row(*own, self_attention=self_attention, public=public)


@cache
def rows() -> dict[str, Row]:
    """Every row by name: the paper's in its order, then others as they are found.

    Raises:
        UserError: a name that comes twice.
    """
    found: dict[str, Row] = {}
    for row in _declared():
        if row.name in found:
            raise UserError(f"row {row.name} is declared twice: rename one")
        found[row.name] = row
    return {name: found[name] for name in dict.fromkeys((*table1(), *found))}


def family(name: str) -> tuple[str, ...]:
    """The paper's rows of a family."""
    return tuple(row for row in table1() if rows()[row].family == name)


def model_name(row: str) -> str:
    """What people call a row: the paper's name, or the row's own; a row that is no longer there keeps its key."""
    return rows()[row].title if row in rows() else row


def _declared() -> Iterator[Row]:
    for module in modules(sys.modules[__name__], "ROWS"):
        yield from module.ROWS
