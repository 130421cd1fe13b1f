"""Runs of kind ``train``: train a recipe, keep its weights."""

from __future__ import annotations

from dataclasses import replace

from experiments.correctness import pack
from experiments.run import Outcome
from experiments.runs import Run
from experiments.scales import OWN_BASELINE
from experiments.teachers import by_place
from transmix.common.plain import built
from transmix.common.runtime import Runtime
from transmix.data.sources import ImageSource
from transmix.models.build import check_model
from transmix.models.cost import forward_macs, skeleton
from transmix.recipe import Recipe
from transmix.training.distributed import Processes
from transmix.training.log import NAME as LOG
from transmix.training.loop import EMA_WEIGHTS, WEIGHTS, Trainer


def check(run: Run) -> None:
    """Raise `UserError` if the run's model cannot be trained so, before its data is made or read."""
    check_model(built(Recipe, run.settings))


def execute(run: Run, source: ImageSource, processes: Processes, runtime: Runtime) -> Outcome:
    """Train (or continue) and report the accuracy of the weights that the recipe reports."""
    recipe = built(Recipe, run.settings)
    if recipe.teacher == OWN_BASELINE:
        recipe = replace(recipe, teacher=str(run.needs[0].folder / WEIGHTS))
    recipe = replace(recipe, teacher=by_place(recipe.teacher, run.inputs))
    trainer = Trainer(recipe, source, run.folder, run.seed, processes, runtime, {"run": run.id})
    trained = trainer.run()
    files = (WEIGHTS, LOG) if recipe.ema_decay is None else (WEIGHTS, EMA_WEIGHTS, LOG)
    metrics = {
        "top1": trained.accuracy.top1,
        "top5": trained.accuracy.top5,
        "val_images": trained.accuracy.images,
        "parameters": trained.parameters,
        "gmacs": forward_macs(skeleton(recipe, len(source.classes)), recipe.image_size) / 1e9,
        "peak_memory_mib": round(trained.peak_memory_mib, 1),
    }
    extra = {"history": trainer.history, "weights": trained.weights, "right": pack(trained.right.numpy())}
    return Outcome(metrics, files, trained.seconds, extra)
