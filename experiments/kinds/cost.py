"""How long a training step takes by each way to mix, all of them in one run, in turn: a column of Table 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from experiments.estimate import Assumptions, Work, cost_of
from experiments.kinds import Kind
from experiments.runs import Run
from experiments.study import Study
from experiments.teachers import by_content
from transmix.common.plain import differing, plain
from transmix.common.ranges import check, number, text
from transmix.methods import of_table
from transmix.recipe import Mixing, Recipe

CUTMIX = "cutmix"  # what the others are compared with
STEP = (  # what of a recipe decides how long a step takes, beside how it mixes
    "model",
    "image_size",
    "drop_path",
    "precision",
    "clip_grad",
    "ema_decay",
    "ema_warmup",
    "interpolation",
    "eval_crop",
)


@dataclass(frozen=True)
class StepCost:
    """A stopwatch over training steps.

    Attributes:
        model: that is trained.
        image_size: in pixels.
        drop_path: of the recipe.
        precision: of the recipe, as are the next three.
        clip_grad: None for gradients as they are.
        ema_decay: of the moving average; None for none.
        ema_warmup: of the moving average.
        interpolation: by which images are read.
        eval_crop: by which images are read.
        batch: images of a step, all in one forward pass.
        methods: by method the settings of `transmix.recipe.Mixing` that are not at their defaults.
        rounds: how often each has its turn.
        steps: of each turn.
    """

    model: str = text()
    image_size: int = number(least=1)
    drop_path: float = number(least=0, below=1)
    precision: str = text()
    clip_grad: float | None = number(above=0)
    ema_decay: float | None = number(least=0, below=1)
    ema_warmup: bool
    interpolation: str = text()
    eval_crop: float = number(least=0.1, most=1)
    batch: int = number(least=1)
    methods: dict[str, dict[str, Any]]
    rounds: int = number(5, least=1, most=1000)
    steps: int = number(8, least=1, most=1000)

    def __post_init__(self) -> None:
        check(self)


def _plan(study: Study, row: str, seed: int, trained: dict[str, Run]) -> Iterator[Run]:
    if row != study.mixed_row or seed:
        return
    names = [name for name in of_table("table2") if name in trained or name == CUTMIX]
    found = {name: by_content(plain(study.recipe(row, name))) for name in names}
    recipes = {name: recipe for name, (recipe, _) in found.items()}
    usual = recipes[CUTMIX]
    settings = StepCost(
        **{name: usual[name] for name in STEP},
        batch=usual["micro_batch"] or usual["batch_size"],
        methods={name: _mixing(recipe) for name, recipe in recipes.items()},
        rounds=study.scale.cost_rounds,
    )
    inputs = {name: file for _, files in found.values() for name, file in files.items()}
    yield replace(study.run("cost", "table2", row, CUTMIX, seed, plain(settings), inputs=inputs), part="cost")


def _mixing(recipe: dict[str, Any]) -> dict[str, Any]:
    """How a recipe mixes: what is not as it is by default."""
    names = {field.name for field in fields(Mixing)}
    return {name: value for name, value in differing(Recipe, recipe).items() if name in names}


def _work(run: Run, given: Assumptions) -> Work | None:
    settings = run.settings
    cost = cost_of(settings["model"], settings["image_size"], given)
    steps = len(settings["methods"]) * settings["rounds"] * settings["steps"]
    return cost and Work(cost.macs, steps * settings["batch"], 0, settings["precision"], disk=0)


KIND = Kind(StepCost, _plan, _work, position=90, execute="experiments.step_costs")
