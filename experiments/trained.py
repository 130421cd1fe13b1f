"""The trained model of a run, for those who measure or fine-tune it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from experiments.kinds import kinds
from experiments.runs import Run
from transmix.common.errors import UserError
from transmix.common.files import sha256
from transmix.common.plain import built
from transmix.data.loaders import Normalizer
from transmix.data.view import View
from transmix.recipe import Recipe
from transmix.training.checkpoints import load_model


@dataclass(frozen=True)
class TrainedModel:
    """A model with weights: what a training run left, or somebody's own.

    Attributes:
        name: the model's, as timm or this suite knows it.
        model: with the weights that its recipe reports, in eval mode, on the CPU.
        view: how it is shown images.
        normalise: pixels to what the model takes, as the view says.
        recipe: how this suite trained it; None for somebody's own.
        taken: which tensors of its file these are, where it is somebody's own (`read_checkpoint`).
    """

    name: str
    model: nn.Module
    view: View
    recipe: Recipe | None = None
    taken: str = ""
    normalise: Normalizer = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "normalise", Normalizer(self.view.mean, self.view.std).eval())


def weights_file(run: Run) -> Path:
    """The weights that a finished training run reports.

    Raises:
        UserError: no record, or weights that are missing or not those of the record; says how to redo that run.
    """
    record = run.record()
    path = run.folder / record.weights
    if not path.is_file() or sha256(path) != record.files.get(path.name):
        problem = "is not what its record describes" if path.is_file() else "does not exist"
        raise UserError(f"weights file {path} {problem}: redo just that run with '{run.command} --restart'")
    return path


def load_trained(run: Run) -> TrainedModel:
    """Load the model of a finished training run, or public weights that a run has evaluated.

    Raises:
        UserError: no record, or weights that are missing or corrupted; says how to redo that run.
    """
    record = run.record()
    try:
        model, about = load_model(run.folder / record.weights)
    except UserError as error:
        raise UserError(f"{error}: redo just that run with '{run.command} --restart'") from error
    settings = built(kinds()[run.kind].settings, record.settings)
    view = replace(settings.view, mean=tuple(about["mean"]), std=tuple(about["std"]))
    return TrainedModel(settings.model, model, view, settings if isinstance(settings, Recipe) else None)
