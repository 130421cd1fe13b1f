"""Compare area-lambda and attention-lambda with the true share, on validation images mixed in pairs."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.estimate import Assumptions, Work, measurement, trained_by
from experiments.kinds import Kind, measured
from experiments.protocols import LambdaStudy
from experiments.runs import Run
from experiments.study import Study
from transmix.common.plain import plain

EXAMPLES = "examples.npz"  # some mixed images, with their attention and lambdas


def _plan(study: Study, row: str, seed: int, trained: dict[str, Run]) -> Iterator[Run]:
    for method, need in measured(trained, "lambda").items():
        yield study.run("lambda", "lambda", row, method, seed, plain(study.scale.lambda_study), (need,))


def _work(run: Run, given: Assumptions) -> Work | None:
    pictures = 3 * 3 * trained_by(run).settings["image_size"] ** 2  # own, partner and mixed, in colour
    return measurement(run, run.settings["mixes"], disk=run.settings["examples"] * pictures, given=given)


KIND = Kind(LambdaStudy, _plan, _work, position=30, execute="experiments.lambda_study")
