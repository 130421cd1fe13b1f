"""Evaluate public weights of a row's model, not trained here: the baseline of Table 1 as its authors left it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from experiments.estimate import FLOAT_BYTES, Assumptions, Work, measurement, model_cost
from experiments.kinds import Kind
from experiments.rows import rows
from experiments.runs import Run
from experiments.scales import PUBLIC
from experiments.study import Study
from transmix.common.plain import plain
from transmix.common.ranges import check, number, text
from transmix.data.view import View


@dataclass(frozen=True)
class PublicModel:
    """Which weights, and how their authors show them images.

    Attributes:
        model: the architecture, as timm or this suite knows it.
        weights: what identifies them (`experiments.public.Weights`).
        variant: what tells them from the model of the paper's table, e.g. ``distilled``; empty where nothing does.
        image_size: pixels, square.
        crop: share of the resized image that is evaluated.
    """

    model: str = text()
    weights: str = text()
    variant: str = text("", form="|distilled")
    image_size: int = number(224, least=1, most=4096)
    crop: float = number(0.875, above=0, most=1)

    def __post_init__(self) -> None:
        check(self)

    @property
    def view(self) -> View:
        """How images are read; the normalisation is the model's."""
        return View(self.image_size, crop=self.crop)


def _plan(study: Study, row: str, seed: int, trained: dict[str, Run]) -> Iterator[Run]:
    """One run a row, whatever the seeds: weights that are there are drawn by nobody."""
    found = study.weights.of(row) if study.weights is not None and seed == 0 else None
    if found is None:
        return
    recipe, public = rows()[row].recipe(), rows()[row].public
    crop = public.crop if public else recipe.eval_crop
    settings = plain(PublicModel(recipe.model, found.name, found.variant, recipe.image_size, crop))
    inputs = {"weights": found.path.absolute()} if found.path else {}
    yield study.run(PUBLIC, "table1", row, PUBLIC, seed, settings, inputs=inputs)


def _work(run: Run, given: Assumptions) -> Work | None:
    cost = model_cost(run, given)
    return cost and measurement(run, given.val_images, disk=cost.parameters * FLOAT_BYTES, given=given)


KIND = Kind(PublicModel, _plan, _work, position=5, execute="experiments.public_evaluation")
