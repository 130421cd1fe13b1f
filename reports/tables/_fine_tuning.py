"""What Tables 3 and 4 share: models fine-tuned from random weights, from the baseline's, and from other methods'."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from experiments.kinds.segmentation import PICTURE
from experiments.rows import model_name
from experiments.scales import PUBLIC
from reports.analysis.arms import Arm, Comparison, arm_of, gain_cell, mean_cell
from reports.analysis.metrics import metric
from reports.analysis.names import BASELINE, TRANSMIX, head_name, method_name
from reports.analysis.power import power_note
from reports.analysis.statistics import estimates_numbers
from reports.analysis.words import number
from reports.formats.table import NOT_RECORDED, Cell, Column, Table, missing
from reports.records.checks import RANDOM
from reports.records.collect import DONE, Collected, Result
from reports.records.published_sets import (
    agreement_notes,
    published_gain,
    published_mean,
    set_columns,
    set_key,
    sets_of,
)
from reports.tables import Numbers, Shown, TableSpec
from transmix.methods import methods

Step = tuple[str, str]  # weights that are compared: before, after
CAPTION = (
    "{task}, the weights of Table 1’s models fine-tuned at scale {scale}: {metrics}, in percent on the validation "
    "images of this study. Weights: where the backbone starts. Mean over seeds, with two or more ± its 95 % interval "
    "(Student’s t), which covers the seeds and not the choice of images; differences are paired by seed, in points. "
    "Published numbers: not in the slides."
)


@dataclass(frozen=True)
class Task:
    """What models are fine-tuned for.

    Attributes:
        table: its name.
        title: of the section, without the table's number.
        metrics: what is measured, in words.
        columns: a column for every metric that is shown; its key is the metric's name in the records.
        drawn: what its pictures show of a model.
        verdicts: metrics of which differences are judged, and their names.
        recorded: every metric of the records.
    """

    table: str
    title: str
    metrics: str
    columns: tuple[Column, ...]
    drawn: str
    verdicts: dict[str, str]
    recorded: tuple[str, ...]


@dataclass(frozen=True)
class Setup:
    """One row of Table 1 under one head.

    Attributes:
        row: the row.
        part: the head, as runs call it.
        arms: its runs by the weights they start from, random ones first, then by method; those of the plan.
    """

    row: str
    part: str
    arms: dict[str, Arm]

    @property
    def name(self) -> str:
        """For people: ``DeiT-S + UPerNet``."""
        return f"{model_name(self.row)} + {head_name(self.part)}"

    @property
    def results(self) -> list[Result]:
        """Its runs that have a record."""
        return [result for arm in self.arms.values() for result in arm.results]

    def comparisons(self, name: str) -> dict[Step, Comparison]:
        """Of a metric, each method's weights with the baseline's, then the baseline's with random ones."""
        arms = {method: arm.of(metric(name)) for method, arm in self.arms.items()}
        steps = [(BASELINE, method) for method in arms if method not in (RANDOM, BASELINE, PUBLIC)] + [
            (RANDOM, BASELINE)
        ]
        return {
            step: Comparison(*(arms[method] for method in step), _claim(step))
            for step in steps
            if arms.keys() >= set(step)
        }

    def has(self, step: Step) -> bool:
        """Whether both sides have a record."""
        return all(self.arms[method].results for method in step)


def _claim(step: Step) -> str:
    before, after = step
    if before == RANDOM:
        return f"With the {method_name(after)}’s weights it is {{}} here than from random ones"
    return f"With {method_name(after)}’s weights it is {{}} here"


def step_name(step: Step) -> str:
    """``TransMix − baseline`` and the like."""
    before, after = step
    return f"{method_name(after)} − {method_name(before)}"


def setups(collected: Collected, task: Task) -> list[Setup]:
    """All that the study plans, in its order."""
    planned: dict[tuple[str, str], set[str]] = {}
    for table, row, method, part in collected.keys:
        if table == task.table:
            planned.setdefault((row, part), set()).add(method)
    order = (RANDOM, *methods(), PUBLIC)
    return [
        Setup(row, part, {name: arm_of(collected, task.table, row, name, part) for name in order if name in weights})
        for (row, part), weights in planned.items()
    ]


def build(collected: Collected, task: Task) -> Table:
    """The table for people: a line for each head and weights, and for their differences."""
    sets = sets_of(collected, task.table)
    first = task.columns[0]
    columns = (
        Column("name", "Model", align="left"),
        Column("head", "Head", align="left"),
        Column("weights", "Weights", align="left"),
        Column("seeds", "Seeds"),
        *task.columns,
        *set_columns(sets, {first.key: first.title}),
    )
    found = setups(collected, task)
    published = list(zip(*(setups(there, task) for _, there in sets), strict=True)) or [()] * len(found)
    pairs = zip(found, published, strict=True)
    rows = tuple(line for setup, theirs in pairs for line in _lines(setup, theirs, task))
    caption = CAPTION.format(task=task.title, metrics=task.metrics, scale=collected.study.scale.name)
    table = Table(task.table, caption, columns, rows, _notes(collected, task, found))
    return table.without(*(column.key for column in task.columns if _not_asked_for(table, column.key)))


def _not_asked_for(table: Table, key: str) -> bool:
    """Whether there are runs, and the protocols of none of them measure this."""
    return bool(table.rows) and all(line[key] == missing(NOT_RECORDED) for line in table.rows)


def _lines(setup: Setup, published: tuple[Setup, ...], task: Task) -> Iterator[dict[str, Cell]]:
    """Lines of one setup; `published` are those of the sets."""
    names = {"name": Cell(model_name(setup.row)), "head": Cell(head_name(setup.part))}
    metrics = [column.key for column in task.columns]
    first = metrics[0]
    for method, arm in setup.arms.items():
        seeds = Cell(f"{len(arm.results):,}")
        cells = {key: mean_cell(arm.of(metric(key)), links=key == first) for key in metrics}
        for place, theirs in enumerate(published):
            cells[set_key(place, first)] = published_mean(theirs.arms[method].of(metric(first)))
        yield names | {"weights": Cell(method_name(method)), "seeds": seeds} | cells
    compared = {key: setup.comparisons(key) for key in metrics}
    for step, ours in compared[first].items():
        if any(side.has(step) for side in (setup, *published)):
            cells = {key: gain_cell(found[step]) for key, found in compared.items()}
            for place, theirs in enumerate(published):
                cells[set_key(place, first)] = published_gain(theirs.comparisons(first)[step])
            yield names | {"weights": Cell(step_name(step)), "seeds": Cell(f"{ours.pairs:,}")} | cells


def _notes(collected: Collected, task: Task, found: list[Setup]) -> tuple[str, ...]:
    """What the differences allow to say, what they were measured on, and how what is missing can be run."""
    if not found:
        return (f"This study has no runs of {task.title.lower()}.",)
    judged = {
        f"{setup.name}, {name}, {step_name(step)}": comparison
        for step, setup, (key, name) in product(_steps(found, task), found, task.verdicts.items())
        if (comparison := setup.comparisons(key).get(step)) is not None
    }
    notes = [f"{name}: {of.verdict}" for name, of in judged.items() if of.verdict and not of.single]
    single = dict.fromkeys(name.partition(",")[0] for name, of in judged.items() if of.single)
    if single:
        notes.append(f"{', '.join(single)}: One seed each says little about a difference, and gives no interval.")
    gain = f", {step_name((BASELINE, TRANSMIX))}"
    notes += power_note({name.removesuffix(gain): of for name, of in judged.items() if name.endswith(gain)})
    notes += agreement_notes(collected, metric(task.columns[0].key), task.table)
    notes += _data(found)
    planned = [arm for setup in found for arm in setup.arms.values()]
    if any(arm.status != DONE for arm in planned):
        notes.append(f"{collected.study.make(task.table)} runs what is missing.")
    return tuple(notes)


def _steps(found: list[Setup], task: Task) -> list[Step]:
    """What is compared anywhere, random weights last."""
    steps = dict.fromkeys(step for setup in found for step in setup.comparisons(task.columns[0].key))
    return sorted(steps, key=lambda step: step[0] == RANDOM)


def _data(found: list[Setup]) -> list[str]:
    """One sentence for each data set that the records were measured on."""
    data = (result.record.data for setup in found for result in setup.results)
    sentences = (
        f"Measured on {of.name}: {of.classes:,} classes, {of.images['train']:,} training and "
        f"{of.images['val']:,} validation images."
        for of in data
    )
    return list(dict.fromkeys(sentences))


def numbers(collected: Collected, task: Task) -> Numbers:
    """The table for programs, unrounded: a line for each weights and for each difference, all metrics."""
    return [line for setup in setups(collected, task) for line in _numbers(setup, task)]


def _numbers(setup: Setup, task: Task) -> Iterator[dict[str, Any]]:
    names = {"row": setup.row, "model": model_name(setup.row), "part": setup.part}
    for method, arm in setup.arms.items():
        yield names | {
            "weights": method,
            "minus": "",
            "status": arm.status,
            "seeds": len(arm.results),
            **estimates_numbers({name: arm.of(metric(name)).mean for name in task.recorded}),
            "parameters": arm.results[0].metrics["parameters"] if arm.results else None,
            "verdict": "",
            "records": " ".join(result.source.id for result in arm.results),
        }
    compared = {name: setup.comparisons(name) for name in task.recorded}
    for step, first in compared[task.recorded[0]].items():
        before, after = step
        judged = {name: compared[key][step].verdict for key, name in task.verdicts.items()}
        yield names | {
            "weights": after,
            "minus": before,
            "status": first.status,
            "seeds": first.pairs,
            **estimates_numbers({name: comparisons[step].gain for name, comparisons in compared.items()}),
            "parameters": None,
            "verdict": " ".join(f"{name}: {verdict}" for name, verdict in judged.items() if verdict),
            "records": " ".join(source.id for source in first.sources),
        }


def figures(collected: Collected, task: Task) -> Shown:
    """A picture of what each row and head predicts: by TransMix's weights where such a run has one."""
    from reports.figures.run_images import Album, Wanted, read_images  # Pillow takes a while to import

    drawn = [(setup, result) for setup in setups(collected, task) if (result := _pictured(setup)) is not None]
    wanted = (Wanted(result, PICTURE, _whose(setup, result), _alt(setup, task, result)) for setup, result in drawn)
    images, problems = read_images(wanted)
    heading = "Validation images: the image, the truth, the prediction"
    return Shown((Album(heading, images),) if images else (), problems)


def _pictured(setup: Setup) -> Result | None:
    """The first run that has a picture, the last weights first."""
    results = [result for arm in reversed(setup.arms.values()) for result in arm.results]
    return next((result for result in results if PICTURE in result.record.files), None)


def _whose(setup: Setup, result: Result) -> str:
    return f"{setup.name}, {method_name(result.run.method)} weights, seed {result.run.seed}"


def _alt(setup: Setup, task: Task, result: Result) -> str:
    scores = ", ".join(
        f"{name} {number(result.metrics[metric])} %"
        for metric, name in task.verdicts.items()
        if result.metrics[metric] is not None
    )
    return (
        f"Validation images of {result.record.data.name}, one a line: the image, the truth, and the {task.drawn} "
        f"that {setup.name} predicts, fine-tuned from {method_name(result.run.method)} weights"
        + (f" ({scores} over all images)." if scores else ".")
    )


def table_of(task: Task, number_: int) -> TableSpec:
    """The declaration of a table of fine-tuned models, Table 3 or 4."""
    return TableSpec(
        label=f"Table {number_}",
        title=f"Table {number_}: {task.title[0].lower()}{task.title[1:]}",
        build=partial(build, task=task),
        numbers=partial(numbers, task=task),
        position=number_,
        figures=partial(figures, task=task),
    )
