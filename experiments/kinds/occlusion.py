"""Classify validation images that are occluded, shuffled or corrupted more and more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from experiments.estimate import Assumptions, Work, images_of, measurement
from experiments.kinds import Kind, measured
from experiments.protocols import SALIENT, Sweep
from experiments.rows import rows
from experiments.runs import Run
from experiments.study import Study
from transmix.common.plain import built, plain

ANSWERS = "answers.npz"  # which images were right under each setting
SHEET = "sheet.png"  # what each setting does to one image


def sweep(study: Study) -> Sweep:
    """The scale's sweep, with the foreground from the best source there is: DINO, the scenes' masks, the model."""
    own = "objects" if study.masked else "attention"
    protocol = study.protocol or study.scale.sweep.protocol
    return replace(study.scale.sweep, saliency="dino" if study.dino else own, protocol=protocol)


def _sweep_of(study: Study, row: str) -> Sweep:
    """The sweep of a row's models: where only their attention could tell the foreground, and cannot, without it."""
    usual = sweep(study)
    if rows()[row].attention or usual.saliency != "attention":
        return usual
    return replace(usual, curves=tuple(curve for curve in usual.curves if curve not in SALIENT))


def _plan(study: Study, row: str, seed: int, trained: dict[str, Run]) -> Iterator[Run]:
    inputs = {"dino": study.dino} if study.dino else {}
    for method, need in measured(trained, "occlusion").items():
        settings = plain(_sweep_of(study, row))
        yield study.run("occlusion", "occlusion", row, method, seed, settings, (need,), inputs=inputs)


def _work(run: Run, given: Assumptions) -> Work | None:
    planned = built(Sweep, run.settings)
    passes, (_, val_images) = planned.settings, images_of(run, given)
    images = min(val_images, planned.images or val_images)
    return measurement(run, passes * images, disk=passes * images // 8, given=given)  # right or wrong, and packed


KIND = Kind(Sweep, _plan, _work, position=10, execute="robustness.occlusion")
