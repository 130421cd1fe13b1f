"""Runs of kind ``occlusion``: one trained model under every setting of a sweep."""

from __future__ import annotations

import time

from experiments.kinds.occlusion import ANSWERS, SHEET
from experiments.protocols import Sweep
from experiments.run import Outcome
from experiments.runs import Run
from experiments.trained import load_trained
from robustness.answers import Answers
from robustness.models import load_dino
from robustness.saliency import find_saliency, foreground_from
from robustness.settings import settings_of
from robustness.sheet import write_sheet
from robustness.sweep import Subject, choose_images, grid_of, measure, metrics_of
from transmix.common.files import sha256
from transmix.common.plain import built
from transmix.common.runtime import Runtime
from transmix.data.sources import ImageSource
from transmix.training.distributed import Processes


def execute(run: Run, source: ImageSource, processes: Processes, runtime: Runtime) -> Outcome:
    """Sweep, or go on with a sweep; the record comes with all answers and a contact sheet."""
    began = time.monotonic()
    sweep, trained, images = built(Sweep, run.settings), load_trained(run.needs[0]), source.open("val")
    grid = grid_of(sweep, trained)
    settings = settings_of(sweep, grid)
    dino, extra = None, {}
    if foreground_from(sweep, "dino"):
        weights = run.inputs["dino"]
        dino = load_dino(weights, trained.view.image_size).to(processes.device)
        extra = {"dino_sha256": sha256(weights)}
    saliency = find_saliency(sweep, trained, images, grid, dino)
    answers = Answers(run.folder, settings, choose_images(sweep, len(images)))
    subject = Subject(run.name, trained, answers)
    measure([subject], images, sweep, settings, saliency, processes, runtime)
    if processes.leads:
        write_sheet(run.folder / SHEET, subject, images, sweep, settings, saliency)
    seconds = answers.seconds + time.monotonic() - began
    return Outcome(metrics_of(sweep, settings, answers, grid), (ANSWERS, SHEET), seconds, extra)
