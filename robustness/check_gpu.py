"""A sweep on a GPU against the same on the CPU: the same answers, but for ties that rounding breaks."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.data import resolve_data_config

from experiments.check_paper import Part
from experiments.protocols import CURVES, Sweep
from experiments.trained import TrainedModel
from robustness.answers import Answers
from robustness.saliency import find_saliency
from robustness.settings import settings_of
from robustness.sweep import Subject, choose_images, grid_of, measure
from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.data.sources.folders import FolderImages
from transmix.data.view import View
from transmix.models import create_model
from transmix.training.distributed import join_processes

MODEL, IMAGES, SAME = "deit_micro_tiny_patch8_64", 32, 0.98
SWEEP = Sweep(CURVES, tenths=(3, 7), cells=((2, 2),), severities=(3,), draws=1)
HEADING = "\nA sweep: the share of answers that are the CPU's."


def part(device: torch.device) -> Part:
    """The sweep on the GPU against the CPU, as one check of ``make check-gpu``."""
    return Part(HEADING, {"sweep": lambda: check(device)})


def check(device: torch.device) -> str:
    """Sweep twice; returns a line.

    Raises:
        UserError: too many answers differ.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        images = FolderImages(_write_images(Path(scratch) / "images"))
        found, expected = (answers(images, Path(scratch) / name, name) for name in (device.type, "cpu"))
    same = float((found == expected).mean())
    if same < SAME:
        raise UserError(f"{100 * same:.1f} % of a sweep's answers are the CPU's, fewer than {100 * SAME:g} %")
    return f"sweep: {100 * same:.1f} % of {found.size:,} ({time.monotonic() - began:.0f} s)"


def answers(images: FolderImages, folder: Path, device: str) -> np.ndarray:
    """Which images a model with random weights is right about, under each setting."""
    torch.manual_seed(0)
    model = create_model(MODEL, num_classes=4).eval()
    trained = TrainedModel(MODEL, model, View.of_timm(resolve_data_config(model=model)))
    grid = grid_of(SWEEP, trained)
    settings = settings_of(SWEEP, grid)
    with join_processes(device) as processes:
        saliency = find_saliency(SWEEP, trained, images, grid, None)
        subject = Subject(MODEL, trained, Answers(folder / "run", settings, choose_images(SWEEP, len(images))))
        measure([subject], images, SWEEP, settings, saliency, processes, Runtime(0, progress=False))
    return subject.answers.right


def _write_images(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        path = folder / f"class{index % 4}" / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    return folder
