"""One pass over the images for all settings of a sweep, beside one pass a setting, which is how others do it.

Both run in this one process, with the same model, on JPEGs of 224 px that are written here, and give the same answers.
What a sweep saves is reading and decoding: where they are a share d of a pass, it is at most 1 / (1 - d) times faster.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.data import resolve_data_config

from benchmarks.rows import Row, clock_for, ratio, turns
from experiments.protocols import Sweep
from experiments.run import default_workers
from experiments.trained import TrainedModel
from robustness.answers import Answers
from robustness.settings import Setting, settings_of
from robustness.sweep import Subject, choose_images, grid_of, measure
from transmix.common.runtime import Runtime
from transmix.data.sources.folders import FolderImages
from transmix.data.view import View
from transmix.models import create_model
from transmix.training.distributed import Processes

SWEEP = Sweep(curves=("random", "shuffle"), tenths=tuple(range(1, 10)), cells=((4, 4),), draws=3)  # 30 settings
FASTER, NEVER_SLOWER = 5.0, 1.0  # goals: where reading dominates, and where computing does


def rows(
    model: str, settings: dict[str, int], images: int, sweep: Sweep, rounds: int, goal: float, processes: Processes
) -> list[Row]:
    """How many times as fast one pass is.

    Args:
        model: with random weights: what it answers does not matter for its speed.
        settings: of the model.
        images: JPEGs to write.
        sweep: what is done to them.
        rounds: how often each way takes its turn.
        goal: to reach.
        processes: this one.

    Raises:
        AssertionError: the two ways give different answers.
    """
    cuda = processes.device.type == "cuda"
    trained = random_model(model, "bf16" if cuda else "fp32", settings)
    sweep = replace(sweep, grid=grid_of(sweep, trained)[0])
    every = settings_of(sweep, grid_of(sweep, trained))[1:]  # without the clean images
    runtime = Runtime(default_workers(processes), channels_last=cuda, progress=False)
    right: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as scratch:
        read = FolderImages(write_images(Path(scratch) / "images", images))

        def answers(some: list[Setting]) -> np.ndarray:
            folder = Path(tempfile.mkdtemp(dir=scratch))
            subject = Subject(folder.name, trained, Answers(folder, some, choose_images(sweep, len(read))))
            measure([subject], read, sweep, some, None, processes, runtime)
            return subject.answers.right

        def apart() -> None:
            right["apart"] = np.concatenate([answers([setting]) for setting in every])

        def together() -> None:
            right["together"] = answers(every)

        answers(every[:1])  # what is allocated or chosen once
        taken = turns({"apart": apart, "together": together}, rounds, clock_for(processes.device), warm=False)
    assert np.array_equal(right["apart"], right["together"]), "both ways give the same answers"
    where = f"{trained.name}, {trained.view.image_size} px, {images} JPEGs"
    name = f"{len(every)} passes / sweep of {len(every)} settings"
    return [ratio(name, where, taken["apart"], taken["together"], goal, most=False)]


def random_model(name: str, precision: str, settings: dict[str, int]) -> TrainedModel:
    """A model that nobody trained."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=10, **settings).eval()
    return TrainedModel(name, model, View.of_timm(resolve_data_config(model=model), precision=precision))


def write_images(folder: Path, count: int, size: int = 224) -> Path:
    """Smooth noise, which compresses about as photographs do, in ten class folders."""
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / f"class{index % 10}" / f"{index:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = Image.fromarray(rng.integers(0, 256, (56, 56, 3), dtype=np.uint8))
        noise.resize((size, size), Image.Resampling.BICUBIC).save(path, quality=90)
    return folder
