"""Runs of kind ``train``: train a recipe, keep its weights."""

from __future__ import annotations

from dataclasses import fields

from experiments.run import Outcome
from experiments.runs import Run
from transmix.distributed import Processes
from transmix.folders import ImageFolders
from transmix.recipe import Recipe
from transmix.train import EMA_WEIGHTS, LOG, WEIGHTS, Runtime, Trainer


def recipe_of(run: Run) -> Recipe:
    """The recipe whose settings a run holds."""
    tuples = {field.name for field in fields(Recipe) if str(field.type).startswith("tuple")}
    return Recipe(**{name: tuple(value) if name in tuples else value for name, value in run.settings.items()})


def execute(run: Run, folders: ImageFolders, processes: Processes, runtime: Runtime) -> Outcome:
    """Train (or continue) and report the accuracy of the weights that the recipe reports."""
    recipe = recipe_of(run)
    trainer = Trainer(recipe, folders, run.folder, run.seed, processes, runtime, {"run": run.id})
    trained = trainer.run()
    files = (WEIGHTS, LOG) if recipe.ema_decay is None else (WEIGHTS, EMA_WEIGHTS, LOG)
    metrics = {
        "top1": trained.accuracy.top1,
        "top5": trained.accuracy.top5,
        "val_images": trained.accuracy.images,
        "parameters": trained.parameters,
        "peak_memory_mib": round(trained.peak_memory_mib, 1),
    }
    extra = {"history": trainer.history, "weights": trained.weights}
    return Outcome(metrics, files, trained.seconds, extra)
