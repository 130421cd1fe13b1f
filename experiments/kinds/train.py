"""Train a row by a method: Tables 1 and 2, and in the cells of a grid Tables 6 and 7."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.estimate import EPOCH_BYTES, FLOAT_BYTES, PASSES, Assumptions, Work, images_of, model_cost
from experiments.grid import Cell
from experiments.kinds import Kind
from experiments.runs import Run
from experiments.scales import OWN_BASELINE, table_of
from experiments.study import Study
from experiments.teachers import by_content
from transmix.common.plain import plain
from transmix.methods import methods
from transmix.recipe import Recipe


def _plan(study: Study, row: str, seed: int, trained: dict[str, Run]) -> Iterator[Run]:
    made: dict[str, Run] = {}
    for method in study.trained_by(row):
        recipe = study.recipe(row, method)
        needs = (made["baseline"],) if recipe.teacher == OWN_BASELINE else ()
        settings, inputs = by_content(plain(recipe))
        made[method] = study.run("train", table_of(method), row, method, seed, settings, needs, inputs)
        yield made[method]
    for cell in study.grid.cells.values() if study.grid else ():
        yield from _cell(study, row, seed, cell)


def _cell(study: Study, row: str, seed: int, cell: Cell) -> Iterator[Run]:
    """A row in a cell of the grid; a teacher is what CutMix has become there, by the same seed."""
    made: dict[str, Run] = {}
    for method in study.trained_in(row, cell):
        table, recipe = study.table_in(row, method, cell), study.recipe(row, method, cell)
        if table == "table1":
            continue  # planned there
        needs = (made["cutmix"],) if recipe.teacher == OWN_BASELINE else ()
        settings, inputs = by_content(plain(recipe))
        made[method] = study.run("train", table, row, method, seed, settings, needs, inputs, cell=cell)
        yield made[method]


def _work(run: Run, given: Assumptions) -> Work | None:
    cost, settings = model_cost(run, given), run.settings
    if cost is None:
        return None
    epochs, batch = settings["epochs"] + settings["cooldown_epochs"], settings["batch_size"]
    average = settings["ema_decay"] is not None
    train_images, val_images = images_of(run, given)
    images = epochs * (train_images // batch) * batch
    # weights, and in the training state weights and AdamW's two moments; each with the moving average where it is kept
    tensors = (1 + average) + (3 + average)
    return Work(
        macs=cost.macs,
        trained=round(images * (1 + methods()[run.method].extra_passes / PASSES)),
        evaluated=-(-epochs // settings["evaluate_every"]) * val_images,
        precision=settings["precision"],
        disk=tensors * cost.parameters * FLOAT_BYTES + epochs * EPOCH_BYTES,
    )


KIND = Kind(Recipe, _plan, _work, position=0, execute="experiments.training")
