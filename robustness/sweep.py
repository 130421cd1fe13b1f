"""One pass over the images for all settings of a sweep, and for several models at once.

An image is read and decoded once; perturbations and models run on the device. The unit of work is a batch of a fixed
order: processes share the batches out, so that neither an answer nor its rounding depends on how many there are, and
an interrupted sweep goes on with the batches, and under the settings, that have no answers yet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.protocols import OCCLUSION, Sweep
from experiments.trained import TrainedModel
from robustness.answers import Answers
from robustness.patches import Grid, dropped_count
from robustness.saliency import OwnAttention, Saliency
from robustness.settings import CLEAN, Setting
from transmix.attention import token_grid
from transmix.common.errors import UserError
from transmix.common.progress import progress_bar
from transmix.common.runtime import Runtime
from transmix.common.seeding import derive_seed
from transmix.common.stopping import SaveOrStop, StopRequest
from transmix.data.loaders import eval_loader
from transmix.data.sources import Images
from transmix.data.view import View
from transmix.training.distributed import Processes
from transmix.training.evaluate import check_finite
from transmix.training.precision import allow_tf32, autocast

PUBLISHED_GRID = (14, 14)  # at 224 px
NO_ANSWER = -1
CPU_BATCH = 64  # what fits its caches is faster than larger batches


@dataclass(frozen=True)
class Subject:
    """A model under test, and its answers so far."""

    name: str
    trained: TrainedModel
    answers: Answers


def grid_of(sweep: Sweep, trained: TrainedModel) -> Grid:
    """The grid of patches that a model is occluded on; all of the image where no curve asks for one.

    Raises:
        UserError: the model has none of its own, or the image is not a whole number of patches.
    """
    size = trained.view.image_size
    if set(OCCLUSION).isdisjoint(sweep.curves):
        grid = (1, 1)  # nothing is occluded
    elif sweep.grid is not None:
        grid = (sweep.grid, sweep.grid)
    elif size == 224:
        grid = PUBLISHED_GRID
    else:
        try:
            grid = token_grid(trained.model)
        except UserError as error:
            raise UserError(f"{trained.name} has no grid of patches of its own: choose one, --grid N") from error
    cells = sweep.cells if "shuffle" in sweep.curves else ()
    for rows, columns in (grid, *cells):
        if size % rows or size % columns:
            raise UserError(f"an image of {size} px does not divide into {rows} x {columns} cells: choose others")
    return grid


def fitting(sweep: Sweep, size: int) -> Sweep:
    """The sweep without the cells that an image of `size` px does not divide into, as `grid_of` would refuse them."""
    return replace(sweep, cells=tuple(cells for cells in sweep.cells if not any(size % count for count in cells)))


def choose_images(sweep: Sweep, total: int) -> np.ndarray:
    """The indices of the images, in the order in which they are asked: shuffled, as batches of one class say little."""
    order = np.random.default_rng(derive_seed(sweep.seed, "order")).permutation(total)
    return order[: sweep.images]


@torch.inference_mode()
def measure(
    subjects: Sequence[Subject],
    images: Images,
    sweep: Sweep,
    settings: Sequence[Setting],
    saliency: Saliency | None,
    processes: Processes,
    runtime: Runtime,
    classes: Sequence[int] | None = None,
) -> None:
    """Ask every model about every image under every setting, once; the answers are in `subjects` and in their folders.

    Args:
        subjects: models that take images of one size, resized and cropped alike, and have one grid.
        images: the split that is classified.
        sweep: what is measured.
        settings: of the sweep.
        saliency: where the foreground is.
        processes: those that share the work.
        runtime: loader processes, memory format, time between writing.
        classes: the models' class of each label; by default they are the same.

    Raises:
        Stopped: a signal asked to stop; the answers so far are kept.
    """
    first, device = subjects[0], processes.device
    allow_tf32(first.trained.view.precision)
    memory = torch.channels_last if runtime.channels_last else torch.contiguous_format
    for subject in subjects:
        subject.trained.model.to(device, memory_format=memory)
        subject.trained.normalise.to(device)
    indices, view = first.answers.indices, for_device(first.trained.view, device)
    mine = batches(len(indices), view.batch_size)[processes.rank :: processes.world]
    pending = [batch for batch in mine if any(subject.answers.lacking(batch).any() for subject in subjects)]
    loader = eval_loader(
        view,
        images,
        runtime.workers,
        pin_memory=device.type == "cuda",
        chosen=[int(indices[column]) for batch in pending for column in batch],
    )
    targets = None if classes is None else torch.tensor(classes)
    stop, began = StopRequest(), time.monotonic()

    def save() -> None:
        for subject in subjects:
            subject.answers.keep_part(processes, time.monotonic() - began)

    # each process has batches of its own
    checkpoint = SaveOrStop(stop, runtime.checkpoint_seconds, save, processes, together=False)
    with stop, progress_bar(runtime.progress and processes.leads) as bar:
        line = bar.add_task(first.name, total=len(pending), note="")
        for columns, batch in zip(pending, loader, strict=True):
            pixels = batch.images.to(device, non_blocking=True).float().div_(255).contiguous(memory_format=memory)
            labels = batch.labels if targets is None else targets[batch.labels]
            ask(subjects, pixels, labels.to(device), columns, sweep, settings, saliency, stop)
            bar.advance(line)
            checkpoint.after_step(f"{first.name} stopped")
    for subject in subjects:
        subject.answers.gather(processes, [column for batch in mine for column in batch])


def for_device(view: View, device: torch.device) -> View:
    """The view with a batch that suits the device."""
    return replace(view, batch_size=min(view.batch_size, CPU_BATCH)) if device.type == "cpu" else view


def batches(images: int, size: int) -> list[range]:
    """The batches of a sweep over so many images, as ranges of columns; all but the last are of one size."""
    return [range(start, min(start + size, images)) for start in range(0, images, size)]


def ask(
    subjects: Sequence[Subject],
    images: Tensor,
    labels: Tensor,
    columns: range,
    sweep: Sweep,
    settings: Sequence[Setting],
    saliency: Saliency | None,
    stop: StopRequest,
) -> None:
    """Note what the models say about a batch (B, C, H, W) in [0, 1], under the settings that lack it, until a stop."""
    indices = subjects[0].answers.indices[columns]
    # who shares random numbers: nobody, or the images that the published script has in a batch
    owners = indices if sweep.protocol == "per_image" else np.array(columns) // sweep.shared
    ids = torch.from_numpy(owners).to(images.device)
    lacking = [subject.answers.lacking(columns) for subject in subjects]
    maps: list[Tensor | None] = [None] * len(subjects)
    salient = [row for row, setting in enumerate(settings) if setting.salient]
    found: list[dict[int, Tensor]] = [{} for _ in subjects]
    for row, setting in enumerate(settings):
        if stop.signum:
            break
        perturbed = None
        for number, subject in enumerate(subjects):
            if not lacking[number][row]:
                continue
            if setting.curve == CLEAN and isinstance(saliency, OwnAttention) and lacking[number][salient].any():
                # one pass says both what the model sees in the clean images and where it looks
                maps[number], logits = saliency.with_logits(subject.trained, images)
                found[number][row] = classes_of(logits)
                continue
            if setting.salient:
                if maps[number] is None:
                    maps[number] = saliency(subject.trained, images, indices)
                perturbed = setting.perturb(images, setting.severity, setting.draws(sweep.seed, ids), maps[number])
            elif perturbed is None:  # the same for all models
                perturbed = setting.perturb(images, setting.severity, setting.draws(sweep.seed, ids))
            found[number][row] = predict(subject.trained, perturbed)
    for subject, answers in zip(subjects, found, strict=True):
        if answers:
            predicted = torch.stack(list(answers.values()))
            check_finite(int((predicted == NO_ANSWER).sum()), predicted.numel())
            right = (predicted == labels).to("cpu", torch.int8).numpy()
            subject.answers.right[list(answers), columns.start : columns.stop] = right


def predict(trained: TrainedModel, images: Tensor) -> Tensor:
    """The classes (B,) that a model sees in images in [0, 1]; `NO_ANSWER` where its outputs are not finite."""
    with autocast(images.device, trained.view.precision):
        return classes_of(trained.model(trained.normalise(images)))


def classes_of(logits: Tensor) -> Tensor:
    """The classes (B,) by logits (B, K); `NO_ANSWER` where they are not finite."""
    return logits.argmax(1).masked_fill(~logits.isfinite().all(1), NO_ANSWER)


def metrics_of(sweep: Sweep, settings: Sequence[Setting], answers: Answers, grid: Grid) -> dict[str, Any]:
    """Top-1 in percent by curve, draw and severity, as a record holds it.

    ``area`` is the area under a curve that begins with the clean images: the mean over its points. As published, the
    non-salient curve does not begin there, and its area leaves the clean images out.
    """
    top1 = 100 * answers.right.mean(1, dtype=float)
    by_key = dict(zip(answers.keys, top1.tolist(), strict=True))
    curves: dict[str, Any] = {}
    for curve in sweep.curves:
        own = [setting for setting in settings if setting.curve == curve]
        draws = 1 + max(setting.draw for setting in own)
        severities = [setting.severity for setting in own if setting.draw == 0]
        lines = [[by_key[s.key] for s in own if s.draw == draw] for draw in range(draws)]
        begin = [] if sweep.protocol == "published" and curve == "non_salient" else [by_key[f"{CLEAN}/0/0"]]
        area = float(np.mean(begin + np.mean(lines, 0).tolist()))
        curves[curve] = {"severities": severities, "top1": lines, "area": area, "starts_clean": bool(begin)}
        if curve in OCCLUSION:
            curves[curve]["patches"] = [dropped_count(grid[0] * grid[1], tenths) for tenths in severities]
    return {"images": len(answers.indices), "clean": by_key[f"{CLEAN}/0/0"], "grid": list(grid), "curves": curves}
