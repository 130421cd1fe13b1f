"""What runs that fine-tune a classifier on a dense task have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from experiments.estimate import DENSE_IMAGES, FLOAT_BYTES, REFERENCE_SIZE, Assumptions, Work, cost_of
from experiments.kinds import Kind, measured
from experiments.protocols import FineTuning
from experiments.runs import Run
from experiments.scales import RANDOM
from experiments.study import Study
from transmix.common.plain import plain

PICTURE = "predictions.png"  # beside the truth
MULTI_SCALE_PIXELS = 2 * sum(scale**2 for scale in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75))  # each also flipped


def fine_tuning(kind: str, position: int) -> Kind:
    """A kind that fine-tunes: from the weights of the methods that its table shows, and, for some tables, from none."""

    def plan(study: Study, row: str, seed: int, trained: dict[str, Run]) -> Iterator[Run]:
        for protocol in study.scale.fine_tuning:
            if protocol.kind == kind and protocol.serves(row):
                random = (RANDOM,) if protocol.table in study.scale.from_random else ()
                for method in (*measured(trained, protocol.table), *random):
                    yield _run(study, protocol, row, seed, method, trained)

    return Kind(FineTuning, plan, _work, position=position, execute="downstream.runs")


def _run(study: Study, protocol: FineTuning, row: str, seed: int, method: str, trained: dict[str, Run]) -> Run:
    settings = {"model": trained["baseline"].settings["model"], **plain(protocol)}
    del settings["rows"]  # says where it is planned, nothing about the run
    needs = (trained[method],) if method in trained else ()
    run = study.run(protocol.kind, protocol.table, row, method, seed, settings, needs)
    return replace(run, part=protocol.part, data=study.dense_data(protocol.data))


def _work(run: Run, given: Assumptions) -> Work | None:
    settings = run.settings
    scenes = run.data.scenes
    measured = given.machine.size_of(settings["model"]) if given.machine and scenes else None
    size = measured or REFERENCE_SIZE
    cost = cost_of(settings["model"], size, given)
    if cost is None:
        return None
    published = DENSE_IMAGES[settings["config"].partition("/")[0]]
    train_images, val_images = published if scenes is None else (scenes.dense_train, scenes.dense_val)
    steps = settings["iterations"] or settings["epochs"] * (train_images // settings["batch_size"])
    height, width = settings["image_size"]
    return Work(
        macs=cost.macs,
        trained=steps * settings["batch_size"],
        evaluated=round(val_images * (1 + settings["multi_scale"] * MULTI_SCALE_PIXELS)),
        precision=settings["precision"],
        disk=(1 + 3) * cost.parameters * FLOAT_BYTES,  # weights; in the state, weights and AdamW's two moments
        relative_size=height * width / size**2,
    )
