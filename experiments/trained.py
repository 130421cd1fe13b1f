"""The trained model of a run, for those who measure or fine-tune it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from experiments.runs import Run
from transmix.common.errors import UserError
from transmix.common.files import sha256
from transmix.common.plain import built
from transmix.data.loaders import Normalizer
from transmix.recipe import Recipe
from transmix.training.checkpoints import load_model


@dataclass(frozen=True)
class TrainedModel:
    """What a training run left.

    Attributes:
        model: with the weights that its recipe reports, in eval mode, on the CPU.
        normalise: pixels to what the model takes.
        recipe: how it was trained, and so how images are resized and cropped for it.
        crop_mode: timm's, how images that are not square become so: cropped at the centre, as this suite does.
        taken: which tensors of its file these are, where it is somebody's own (`read_checkpoint`).
    """

    model: nn.Module
    normalise: Normalizer
    recipe: Recipe
    crop_mode: str = "center"
    taken: str = ""


def weights_file(run: Run) -> Path:
    """The weights that a finished training run reports.

    Raises:
        UserError: no record, or weights that are missing or not those of the record; says how to redo that run.
    """
    record = run.record()
    path = run.folder / record["weights"]
    if not path.is_file() or sha256(path) != record["files"][path.name]:
        problem = "is not what its record describes" if path.is_file() else "does not exist"
        raise UserError(f"weights file {path} {problem}: redo just that run with '{run.command} --restart'")
    return path


def load_trained(run: Run) -> TrainedModel:
    """Load the model of a finished training run.

    Raises:
        UserError: no record, or weights that are missing or corrupted; says how to redo that run.
    """
    record = run.record()
    try:
        model, about = load_model(run.folder / record["weights"])
    except UserError as error:
        raise UserError(f"{error}: redo just that run with '{run.command} --restart'") from error
    return TrainedModel(model, Normalizer(about["mean"], about["std"]).eval(), built(Recipe, record["settings"]))
