"""Tables of fine-tuned models: each from random weights, from the baseline's, and from TransMix's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from experiments.published import model_name
from reports.arms import Arm, Comparison, arm_of, compare, gain_cell, mean_cell
from reports.collect import DONE, RANDOM, Collected, Result
from reports.statistics import Estimate
from reports.table import Cell, Column, Table
from reports.words import gain_text, intervals_text, number

WEIGHTS = {RANDOM: "random", "baseline": "baseline", "transmix": "TransMix"}
GAIN, CHECKPOINT = ("baseline", "transmix"), (RANDOM, "baseline")  # what is compared: before, after
CLAIMS = {
    GAIN: "With TransMix’s weights it is {} here",
    CHECKPOINT: "With the baseline’s weights it is {} here than from random ones",
}
HEADS = {
    "segmenter_linear": "Segmenter (linear)",
    "segmenter_mask": "Segmenter (mask)",
    "upernet": "UPerNet",
    "semantic_fpn": "Semantic FPN",
    "mask_rcnn_1x": "Mask R-CNN 1x",
    "mask_rcnn_3x": "Mask R-CNN 3x",
}
DATA_SETS = {"pascal_context": "Pascal Context"}
LISTED = 4  # gains that the summary lists; of more it gives the range
CAPTION = (
    "{task}, the weights of Table 1’s models fine-tuned: {metrics}, in percent on the validation images of this study. "
    "Weights: where the backbone starts. Mean over seeds, with two or more ± its 95 % interval (Student’s t), which "
    "covers the seeds and not the choice of images; differences are paired by seed, in points. Published numbers: not "
    "in the slides."
)


@dataclass(frozen=True)
class Task:
    """What models are fine-tuned for.

    Attributes:
        table: its make target.
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
        arms: its runs by the weights they start from, in the order of `WEIGHTS`; those of the plan.
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

    def comparisons(self, metric: str) -> dict[tuple[str, str], Comparison]:
        """By `GAIN` and `CHECKPOINT`, those of which both sides have a record."""
        arms = {method: arm.of(metric) for method, arm in self.arms.items() if arm.results}
        steps = [step for step in CLAIMS if arms.keys() >= set(step)]
        return {step: compare(*(arms[method] for method in step), CLAIMS[step]) for step in steps}


def step_name(step: tuple[str, str]) -> str:
    """``TransMix − baseline`` and the like."""
    before, after = step
    return f"{WEIGHTS[after]} − {WEIGHTS[before]}"


def head_name(part: str) -> str:
    """A run's part for people: ``Segmenter (mask), Pascal Context``."""
    data, _, head = part.rpartition("-")
    name = HEADS.get(head, head)
    return f"{name}, {DATA_SETS.get(data, data)}" if data else name


def setups(collected: Collected, task: Task) -> list[Setup]:
    """All that the study plans, in its order."""
    runs = [result.run for result in collected.results if result.run.table == task.table]
    found = []
    for row, part in dict.fromkeys((run.row, run.part) for run in runs):
        planned = {run.method for run in runs if (run.row, run.part) == (row, part)}
        arms = {method: arm_of(collected, task.table, row, method, part) for method in WEIGHTS if method in planned}
        found.append(Setup(row, part, arms))
    return found


def build(collected: Collected, task: Task) -> Table:
    """The table for people: a line for each head and weights, and for their differences."""
    columns = (
        Column("name", "Model", align="left"),
        Column("head", "Head", align="left"),
        Column("weights", "Weights", align="left"),
        Column("seeds", "Seeds"),
        *task.columns,
    )
    found = setups(collected, task)
    rows = tuple(line for setup in found for line in _lines(setup, task))
    caption = CAPTION.format(task=task.title, metrics=task.metrics)
    return Table(task.table, caption, columns, rows, _notes(collected, task, found))


def _lines(setup: Setup, task: Task) -> Iterator[dict[str, Cell]]:
    names = {"name": Cell(model_name(setup.row)), "head": Cell(head_name(setup.part))}
    metrics = [column.key for column in task.columns]
    for method, arm in setup.arms.items():
        seeds = Cell(f"{len(arm.results):,}")
        cells = {key: mean_cell(arm.of(key), interval=True, links=key == metrics[0]) for key in metrics}
        yield names | {"weights": Cell(WEIGHTS[method]), "seeds": seeds} | cells
    compared = {metric: setup.comparisons(metric) for metric in metrics}
    for step, first in compared[metrics[0]].items():
        cells = {metric: gain_cell(found[step]) for metric, found in compared.items()}
        seeds = Cell(f"{first.gain.count if first.gain else 0:,}")
        yield names | {"weights": Cell(step_name(step)), "seeds": seeds} | cells


def _notes(collected: Collected, task: Task, found: list[Setup]) -> tuple[str, ...]:
    """What the differences allow to say, what they were measured on, and how what is missing can be run."""
    if not found:
        return (f"This study has no runs of {task.title.lower()}.",)
    notes, single = [], []
    for step, setup, (metric, name) in product(CLAIMS, found, task.verdicts.items()):
        comparison = setup.comparisons(metric).get(step)
        if comparison and comparison.single:
            single.append(setup.name)
        elif comparison and comparison.verdict:
            notes.append(f"{setup.name}, {name}, {step_name(step)}: {comparison.verdict}")
    if single:
        names = ", ".join(dict.fromkeys(single))
        notes.append(f"{names}: One seed each says little about a difference, and gives no interval.")
    notes += _data(found)
    planned = [arm for setup in found for arm in setup.arms.values()]
    if any(arm.status != DONE for arm in planned):
        notes.append(f"{collected.study.make(task.table)} runs what is missing.")
    return tuple(notes)


def _data(found: list[Setup]) -> list[str]:
    """One sentence for each data set that the records were measured on."""
    data = (result.record["data"] for setup in found for result in setup.results)
    sentences = (
        f"Measured on {of['name']}: {of['classes']:,} classes, {of['images']['train']:,} training and "
        f"{of['images']['val']:,} validation images."
        for of in data
    )
    return list(dict.fromkeys(sentences))


def summary(collected: Collected, task: Task) -> str:
    """The first judged metric's gains with TransMix in one sentence; empty where nothing is planned."""
    found = setups(collected, task)
    if not found:
        return ""
    metric, name = next(iter(task.verdicts.items()))
    compared = {setup.name: setup.comparisons(metric).get(GAIN) for setup in found}
    gains = {setup: step.gain for setup, step in compared.items() if step and step.gain}
    if not gains:
        return f"{task.title}: not run with both weights."
    listed = ", ".join(f"{setup} {gain_text(gain)}" for setup, gain in gains.items())
    if len(gains) > LISTED:
        means = sorted(gain.mean for gain in gains.values())
        listed = f"{len(gains)} gains from {number(means[0], sign=True)} to {number(means[-1], sign=True)}"
    counted = intervals_text(list(gains.values()))
    return f"{task.title}, {name} with TransMix’s weights minus the baseline’s: {listed} points{counted}."


def numbers(collected: Collected, task: Task) -> list[dict[str, Any]]:
    """The table for programs, unrounded: a line for each weights and for each difference, all metrics."""
    return [line for setup in setups(collected, task) for line in _numbers(setup, task)]


def _numbers(setup: Setup, task: Task) -> Iterator[dict[str, Any]]:
    names = {"row": setup.row, "model": model_name(setup.row), "part": setup.part}
    for method, arm in setup.arms.items():
        means = {metric: arm.of(metric).mean for metric in task.recorded}
        parameters = arm.results[0].metrics["parameters"] if arm.results else None
        yield names | {
            "weights": method,
            "minus": "",
            "status": arm.status,
            "seeds": len(arm.results),
            **_estimates(means),
            "parameters": parameters,
            "verdict": "",
            "records": " ".join(result.source.id for result in arm.results),
        }
    compared = {metric: setup.comparisons(metric) for metric in task.recorded}
    for step, first in compared[task.recorded[0]].items():
        before, after = step
        found = {metric: comparisons[step] for metric, comparisons in compared.items()}
        yield names | {
            "weights": after,
            "minus": before,
            "status": first.status,
            "seeds": first.gain.count if first.gain else 0,
            **_estimates({metric: comparison.gain for metric, comparison in found.items()}),
            "parameters": None,
            "verdict": " ".join(f"{name}: {found[metric].verdict}" for metric, name in task.verdicts.items()),
            "records": " ".join(source.id for source in first.sources),
        }


def _estimates(estimates: dict[str, Estimate | None]) -> dict[str, float | None]:
    values = {}
    for metric, estimate in estimates.items():
        values[metric] = estimate.mean if estimate else None
        values[f"{metric}_half_width_95"] = estimate.half_width if estimate else None
    return values
