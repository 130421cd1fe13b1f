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

from experiments.kinds.natural import SCORES
from experiments.run import Outcome
from experiments.runs import Run
from experiments.trained import TrainedModel, load_trained
from robustness.classes import check_folder, check_imagenet_a, class_names, describe_folder, imagenet_classes, positions
from robustness.metrics import BIN, aupr, aurra, rms_calibration_error
from robustness.sweep import batches, for_device
from transmix.common.errors import UserError
from transmix.common.files import replacing
from transmix.common.progress import progress_bar
from transmix.common.runtime import Runtime
from transmix.data.loaders import eval_loader
from transmix.data.scenes.stand_ins import STAND_INS, write_stand_in
from transmix.data.sources import Images, ImageSource
from transmix.data.sources.folders import FolderImages
from transmix.training.distributed import Processes
from transmix.training.evaluate import check_finite
from transmix.training.precision import allow_tf32, autocast

NONE = -1


@dataclass(frozen=True)
class Scores:
    """What a model says about N images: the largest probability, and whether that class is the right one."""

    confidence: np.ndarray
    correct: np.ndarray


def execute(run: Run, source: ImageSource, processes: Processes, runtime: Runtime) -> Outcome:
    """Score one trained model on both benchmarks; each image's score lies beside the record."""
    for name, variable in (("natural", "IMAGENET_A"), ("outliers", "IMAGENET_O")):
        if name not in run.inputs:
            option = variable.lower().replace("_", "-")
            raise UserError(f"there is no embedded {run.settings[name]}: give {variable}=/path (--{option} PATH)")
        if run.settings[name] in STAND_INS and processes.leads:
            write_stand_in(run.data.scenes, run.data.folder, run.settings[name])
    processes.lead(lambda: [check_folder(folder) for folder in run.inputs.values()])
    trained = load_trained(run.needs[0])
    natural, outliers, familiar = measure(
        trained,
        source.classes,
        run.inputs["natural"],
        run.inputs["outliers"],
        source.open("val"),
        processes,
        runtime,
    )
    if processes.leads:
        save_scores(run.folder / SCORES, natural, outliers, familiar)
    inputs = {name: describe_folder(path) for name, path in run.inputs.items()}
    return Outcome(metrics_of(natural, outliers, familiar), (SCORES,), extra={"inputs": inputs})


def measure(
    trained: TrainedModel,
    known: Sequence[str],
    natural: Path,
    outliers: Path,
    val: Images,
    processes: Processes,
    runtime: Runtime,
    val_classes: Sequence[str] | None = None,
) -> tuple[Scores, Scores, Scores]:
    """Scores on hard images of known classes, on images of unknown ones, and on validation images to tell from those.

    Args:
        trained: the model.
        known: its classes.
        natural: class folders of the first.
        outliers: class folders of the second, named for known classes that they may be taken for.
        val: ordinary images; those of the outliers' classes count.
        processes: those that share the work.
        runtime: loader processes.
        val_classes: of the ordinary images, in the order of their labels; by default all that are known.

    Raises:
        UserError: a class folder that the model does not know, or a class that there are no images of.
    """
    val_classes = known if val_classes is None else val_classes
    hard, strange = class_names(natural), class_names(outliers)
    if tuple(known) == imagenet_classes():
        check_imagenet_a(hard, natural)
    subsets = positions(hard, known, natural), positions(strange, known, outliers)
    missing = sorted(set(strange).difference(val_classes))
    if missing:
        raise UserError(f"class {missing[0]} of {outliers} has no validation images to be compared with: add some")
    trained.model.to(processes.device)
    trained.normalise.to(processes.device)
    place = {name: index for index, name in enumerate(strange)}
    return (
        score(trained, FolderImages(natural), subsets[0], range(len(hard)), processes, runtime),
        score(trained, FolderImages(outliers), subsets[1], range(len(strange)), processes, runtime),
        score(trained, val, subsets[1], [place.get(name, NONE) for name in val_classes], processes, runtime),
    )


@torch.inference_mode()
def score(
    trained: TrainedModel,
    images: Images,
    subset: Sequence[int],
    labels_are: Sequence[int],
    processes: Processes,
    runtime: Runtime,
) -> Scores:
    """Score images, with the logits restricted to a subset of the model's classes.

    Args:
        trained: the model, on its device.
        images: of any kind.
        subset: the model's classes that count.
        labels_are: of each label, the place of its class in `subset`, or `NONE`: such images are left out.
        processes: those that share the work.
        runtime: loader processes.
    """
    device, view = processes.device, for_device(trained.view, processes.device)
    allow_tf32(view.precision)
    mine = batches(len(images), view.batch_size)[processes.rank :: processes.world]
    order = [index for batch in mine for index in batch]
    pin = device.type == "cuda"
    loader = eval_loader(view, images, runtime.workers, None, pin, order)
    classes, targets = torch.tensor(subset, device=device), torch.tensor(labels_are, device=device)
    found = torch.zeros(4, len(images), dtype=torch.float64, device=device)
    with progress_bar(runtime.progress and processes.leads) as bar:
        line = bar.add_task("scoring", total=len(mine), note="")
        for columns, batch in zip(mine, loader, strict=True):
            with autocast(device, view.precision):
                logits = trained.model(trained.normalise(batch.images.to(device, non_blocking=True)))
            confidence, predicted = logits[:, classes].double().softmax(1).max(1)
            wanted = targets[batch.labels.to(device)]
            counts, right = wanted != NONE, predicted == wanted
            broken = ~logits.isfinite().all(1)
            found[:, columns.start : columns.stop] = torch.stack(
                [confidence, right.double(), counts.double(), broken.double()]
            )
            bar.advance(line)
    confidence, correct, counts, broken = processes.total(found).cpu().numpy()
    check_finite(int(broken.sum()), len(images))
    return Scores(confidence[counts > 0], correct[counts > 0] > 0)


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
    """Each image's score, in the order of the data."""
    with replacing(path) as file:
        np.savez_compressed(
            file,
            natural_confidence=natural.confidence,
            natural_correct=natural.correct,
            outlier_confidence=outliers.confidence,
            familiar_confidence=familiar.confidence,
        )
