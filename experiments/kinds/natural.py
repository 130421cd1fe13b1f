"""Classify natural adversarial images, of known classes and of unknown ones: Table 5."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experiments.estimate import Assumptions, Work, images_of, measurement
from experiments.kinds import Kind, measured
from experiments.protocols import STAND_INS, NaturalAdversarial
from experiments.runs import Run
from experiments.study import Study
from transmix.common.plain import plain
from transmix.data.sources import SourceSpec

SCORES = "scores.npz"  # what the model said about each image
NATURAL_IMAGES, OUTLIER_IMAGES = 7_500, 2_000  # ImageNet-A and ImageNet-O


def folders(study: Study) -> dict[str, Path]:
    """Folders of hard images of known classes and of images of unknown ones: the user's, or the scenes'."""
    data = study.classification_data
    scenes = {} if data.scenes is None else {name: data.folder / stand_in for name, stand_in in STAND_INS.items()}
    return scenes | {name: path.absolute() for name, path in _given(study).items()}


def _given(study: Study) -> dict[str, Path]:
    given = {"natural": study.imagenet_a, "outliers": study.imagenet_o}
    return {name: path for name, path in given.items() if path is not None}


def _protocol(study: Study) -> NaturalAdversarial:
    names = dict(STAND_INS) if study.classification_data.scenes else {}
    if study.scale.scenes is not None:
        names |= {name: SourceSpec("", "", path).identity for name, path in _given(study).items()}
    return NaturalAdversarial(**names)


def _plan(study: Study, row: str, seed: int, trained: dict[str, Run]) -> Iterator[Run]:
    apart = study.scale.photographs and "table5" not in study.scale.tables  # ImageNet-A is of its classes
    for method, need in () if apart else measured(trained, "table5").items():
        settings = plain(_protocol(study))
        yield study.run("natural", "table5", row, method, seed, settings, (need,), inputs=folders(study))


def _work(run: Run, given: Assumptions) -> Work | None:
    stand_ins = run.settings["natural"] in STAND_INS.values()
    # either stand-in is half as many images as there are for validation
    beside = 0 if stand_ins else NATURAL_IMAGES + OUTLIER_IMAGES
    images = images_of(run, given)[1] * (2 if stand_ins else 1) + beside
    return measurement(run, images, disk=8 * images, given=given)


KIND = Kind(
    NaturalAdversarial,
    _plan,
    _work,
    position=20,
    execute="robustness.natural",
    ready=lambda study: len(folders(study)) == len(STAND_INS),
)
