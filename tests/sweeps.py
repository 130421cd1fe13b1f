"""A model that changes its mind when an image changes, and a small sweep of it."""

from __future__ import annotations

from pathlib import Path

import torch

from experiments.protocols import CURVES, Sweep
from experiments.trained import TrainedModel
from robustness.answers import Answers
from robustness.saliency import find_saliency
from robustness.settings import settings_of
from robustness.sweep import Subject, choose_images, grid_of, measure
from transmix.common.runtime import Runtime
from transmix.data.loaders import Normalizer
from transmix.data.sources.folders import FolderImages
from transmix.data.view import View
from transmix.models import create_model
from transmix.training.distributed import Processes

ALONE = Processes(0, 1, torch.device("cpu"))
SWEEP = Sweep(CURVES, tenths=(3, 7), cells=((2, 2),), severities=(3,), draws=2, saliency="attention")


def model(seed: int = 0) -> TrainedModel:
    """A model with random weights that sees all three classes, and changes its mind when an image changes."""
    torch.manual_seed(seed)
    made = create_model("deit_micro_tiny_patch8_64", num_classes=3)
    normalise = Normalizer((0.5,) * 3, (0.25,) * 3).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" not in name:  # what does not depend on the image is small
                parameter.copy_(torch.randn(parameter.shape) * (0.3 if name.endswith("weight") else 0.03))
        noise = (torch.rand(15, 3, 64, 64) + torch.arange(15).view(-1, 1, 1, 1) / 15) / 2
        made.head.bias -= made.eval()(normalise(noise)).mean(0)
    return TrainedModel("deit_micro_tiny_patch8_64", made, View(64, mean=(0.5,) * 3, std=(0.25,) * 3, batch_size=4))


def swept(
    out: Path, root: Path, trained: list[TrainedModel], sweep: Sweep = SWEEP, processes: Processes = ALONE, **runtime
) -> list[Subject]:
    images, grid = FolderImages(root / "val"), grid_of(sweep, trained[0])
    settings = settings_of(sweep, grid)
    indices = choose_images(sweep, len(images))
    subjects = [Subject(str(i), one, Answers(out / str(i), settings, indices)) for i, one in enumerate(trained)]
    saliency = find_saliency(sweep, trained[0], images, grid)
    measure(subjects, images, sweep, settings, saliency, processes, Runtime(0, progress=False, **runtime))
    return subjects
