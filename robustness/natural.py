"""Runs of kind ``natural``: images chosen to mislead, of known classes (ImageNet-A) and of unknown ones (ImageNet-O).

Source: "Natural Adversarial Examples" (Hendrycks et al., 2021), eval.py of hendrycks/natural-adv-examples @0777070.
A model's logits are restricted to the classes that the benchmark's folders name, before softmax and argmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.run import Outcome
from experiments.runs import Run
from experiments.trained import TrainedModel, load_trained
from robustness.classes import check_imagenet_a, class_names, imagenet_classes, positions
from robustness.metrics import BIN, aupr, aurra, rms_calibration_error
from robustness.sweep import batches, for_device
from transmix.data import Samples, eval_loader, eval_transform
from transmix.distributed import Processes
from transmix.errors import UserError
from transmix.files import replacing
from transmix.folders import ImageFolders
from transmix.precision import allow_tf32, autocast
from transmix.progress import progress_bar
from transmix.scenes.stand_ins import STAND_INS, write_stand_in
from transmix.train import Runtime

SCORES = "scores.npz"


@dataclass(frozen=True)
class Scores:
    """What a model says about N images: the largest probability, and whether that class is the right one."""

    confidence: np.ndarray
    correct: np.ndarray


def execute(run: Run, folders: ImageFolders, processes: Processes, runtime: Runtime) -> Outcome:
    """Score one trained model on both benchmarks; each image's score lies beside the record."""
    for name, variable in (("natural", "IMAGENET_A"), ("outliers", "IMAGENET_O")):
        if name not in run.inputs:
            option = variable.lower().replace("_", "-")
            raise UserError(f"there is no embedded {run.settings[name]}: give {variable}=/path (--{option} PATH)")
        if run.settings[name] in STAND_INS and processes.leads:
            write_stand_in(run.data.scenes, run.data.folder, run.settings[name])
    processes.wait()
    trained = load_trained(run.needs[0])
    natural, outliers, familiar = measure(
        trained,
        folders.classes,
        run.inputs["natural"],
        run.inputs["outliers"],
        folders.split("val"),
        processes,
        runtime,
    )
    if processes.leads:
        save_scores(run.folder / SCORES, natural, outliers, familiar)
    return Outcome(metrics_of(natural, outliers, familiar), (SCORES,))


def measure(
    trained: TrainedModel,
    known: Sequence[str],
    natural: Path,
    outliers: Path,
    val: Path,
    processes: Processes,
    runtime: Runtime,
) -> tuple[Scores, Scores, Scores]:
    """Scores on hard images of known classes, on images of unknown ones, and on validation images to tell from those.

    Args:
        trained: the model.
        known: its classes.
        natural: class folders of the first.
        outliers: class folders of the second, named for known classes that they may be taken for.
        val: class folders of ordinary images; those of the outliers' classes are used.
        processes: those that share the work.
        runtime: loader processes, memory format.

    Raises:
        UserError: a class folder that the model does not know, or one of ImageNet-A's that is missing.
    """
    names = class_names(natural), class_names(outliers)
    if tuple(known) == imagenet_classes():
        check_imagenet_a(names[0], natural)
    subsets = [positions(some, known, folder) for some, folder in zip(names, (natural, outliers), strict=True)]
    trained.model.to(processes.device)
    trained.normalise.to(processes.device)
    familiar = [index for index, name in enumerate(paths(val, trained)) if Path(name).parts[0] in names[1]]
    missing = set(names[1]).difference(class_names(val))
    if missing:
        raise UserError(f"no class folder {min(missing)} in {val}, which the outliers of that name are compared with")
    return (
        score(trained, natural, subsets[0], range(len(subsets[0])), None, processes, runtime),
        score(trained, outliers, subsets[1], range(len(subsets[1])), None, processes, runtime),
        score(trained, val, subsets[1], labels_in(class_names(val), names[1]), familiar, processes, runtime),
    )


def labels_in(names: Sequence[str], subset: Sequence[str]) -> list[int]:
    """Of each class folder, its place in a subset of the classes; -1 outside of it."""
    place = {name: index for index, name in enumerate(subset)}
    return [place.get(name, -1) for name in names]


def paths(folder: Path, trained: TrainedModel) -> list[str]:
    """All images of class folders, in the order of their indices."""
    return Samples(folder, eval_transform(trained.recipe)).names()


@torch.inference_mode()
def score(
    trained: TrainedModel,
    folder: Path,
    subset: Sequence[int],
    labels_are: Sequence[int],
    chosen: Sequence[int] | None,
    processes: Processes,
    runtime: Runtime,
) -> Scores:
    """Score images of class folders, with the logits restricted to a subset of the model's classes.

    Args:
        trained: the model, on its device.
        folder: ``<class>/<image>``.
        subset: the model's classes that count.
        labels_are: of each class folder, the place of its class in `subset`.
        chosen: indices of the images; None for all.
        processes: those that share the work.
        runtime: loader processes.
    """
    device, recipe = processes.device, for_device(trained.recipe, processes.device)
    allow_tf32(recipe.precision)
    indices = range(len(paths(folder, trained))) if chosen is None else chosen
    mine = batches(len(indices), recipe.eval_batch_size)[processes.rank :: processes.world]
    order = [indices[column] for batch in mine for column in batch]
    loader = eval_loader(recipe, folder, runtime.workers, pin_memory=device.type == "cuda", chosen=order)
    classes, targets = torch.tensor(subset, device=device), torch.tensor(labels_are, device=device)
    found = torch.zeros(2, len(indices), dtype=torch.float64, device=device)
    with progress_bar(runtime.progress and processes.leads) as bar:
        line = bar.add_task(folder.name, total=len(mine), note="")
        for batch, (images, labels) in zip(mine, loader, strict=True):
            images = images.to(device, non_blocking=True)
            with autocast(device, recipe.precision):
                logits = trained.model(trained.normalise(images))
            confidence, predicted = logits[:, classes].double().softmax(1).max(1)
            right = predicted == targets[labels.to(device)]
            found[:, batch.start : batch.stop] = torch.stack([confidence, right.double()])
            bar.advance(line)
    confidence, correct = processes.total(found).cpu().numpy()
    return Scores(confidence, correct > 0)


def metrics_of(natural: Scores, outliers: Scores, familiar: Scores) -> dict[str, Any]:
    """The benchmarks' numbers; top-1 in percent, the others from 0 to 1.

    As published, the calibration error leaves out the most confident bin; with fewer than two bins nothing is left.
    """
    enough = len(natural.confidence) >= 2 * BIN
    published = rms_calibration_error(natural.confidence, natural.correct) if enough else None
    return {
        "natural_images": len(natural.confidence),
        "natural_top1": 100 * float(natural.correct.mean()),
        "rms_calibration_error": rms_calibration_error(natural.confidence, natural.correct, all_bins=True),
        "rms_calibration_error_published": published,
        "aurra": aurra(natural.confidence, natural.correct),
        "outlier_images": len(outliers.confidence),
        "familiar_images": len(familiar.confidence),
        "aupr": aupr(-familiar.confidence, -outliers.confidence),
    }


def save_scores(path: Path, natural: Scores, outliers: Scores, familiar: Scores) -> None:
    """Each image's score, in the order of the files' names."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            natural_confidence=natural.confidence,
            natural_correct=natural.correct,
            outlier_confidence=outliers.confidence,
            familiar_confidence=familiar.confidence,
        )
