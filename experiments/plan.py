"""A study's plan in words: each run with its status, cost and command, and totals. Standard library only."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator

from experiments.estimate import A100_TFLOPS, UTILISATION, Assumptions, Estimate, estimate, fastest, total
from experiments.kinds import kinds
from experiments.machine import NAME
from experiments.options import as_variables
from experiments.protocols import FineTuning
from experiments.runs import Run
from experiments.study import Study
from experiments.study_options import why_not
from transmix.methods import methods

Costs = list[tuple[Run, Estimate | None]]


def plan_lines(study: Study, given: Assumptions) -> Iterator[str]:
    """A line a run; where the costs of models are known, totals and what they rest on."""
    costs = [(run, estimate(run, given)) for run in study.made(study.plan())]
    status = {run.id: run.status() for run, _ in costs}
    known = any(cost is not None for _, cost in costs)
    width = max((len(run.name) for run, _ in costs), default=0)
    cpu = any(cost is not None and cost.cpu_seconds for _, cost in costs)
    if known:
        yield _line("", _heads(cpu))
    for run, cost in costs:
        yield _line(status[run.id], *([_numbers(cost, cpu)] if known else []), f"{run.name:{width}}", run.command)
    done = sum(state == "done" for state in status.values())
    yield f"{done} of {len(costs)} runs done at scale {study.scale.name} ({study.scale.purpose})"
    lacking = [run for run, _ in costs if run.data.source is None and status[run.id] != "done"]
    if lacking:
        data = " and ".join(dict.fromkeys(run.data.remedy for run in lacking))
        yield f"note: {len(lacking)} runs lack their data and cannot start: give {data}"
    if "METHODS=all" in as_variables(study.options):
        left_out = {name: why_not(name, study) for name in methods()}
        reasons = "; ".join(f"{name} ({reason})" for name, reason in left_out.items() if reason)
        yield from _wrapped([f"Ways to mix that this study cannot train: {reasons or 'none'}."])
    if known:
        yield ""
        yield from _totals(costs, [(run, cost) for run, cost in costs if status[run.id] != "done"], given, cpu)
        yield ""
        yield from _wrapped(_measured(given) if cpu else _assumptions(costs, given))
    unknown = dict.fromkeys(_model(run) for run, cost in costs if cost is None and run.kind == "train")
    if unknown:
        known_are = "those in experiments/model_costs.csv and, once .venv is set up, the models of scales for a CPU"
        yield from _wrapped([f"No estimate for {', '.join(unknown)}: costs are known of {known_are}."])


def _heads(cpu: bool) -> str:
    return f"{'CPU-min' if cpu else 'GPU-hours':>10}  {'disk, GB':>8}"


def _line(first: str, *parts: str) -> str:
    return "  ".join((f"{first:10}", *parts))


def _numbers(cost: Estimate | None, cpu: bool) -> str:
    if cost is None:
        return f"{'?':>10}  {'?':>8}"
    return f"{cost.cpu_seconds / 60 if cpu else cost.gpu_hours:10,.1f}  {cost.disk / 1e9:8,.2f}"


def _model(run: Run) -> str:
    return "{model} at {image_size} px".format_map(run.settings)


def _gpus(given: Assumptions) -> str:
    return f"{given.gpus} GPU{'s' if given.gpus > 1 else ''}"


def _totals(costs: Costs, left: Costs, given: Assumptions, cpu: bool) -> Iterator[str]:
    cores = os.cpu_count() or 1
    yield _line("", _heads(cpu), f"{'minutes':>8} on {cores} cores" if cpu else f"{'days':>8} on {_gpus(given)}")
    groups: dict[str, Costs] = {}
    for attribute in ("row", "table"):
        for run, cost in costs:
            groups.setdefault(getattr(run, attribute), []).append((run, cost))
    for name, members in {**groups, "all": costs, "to do": left}.items():
        cost = total(cost for _, cost in members)
        span = cost.cpu_seconds / 60 / cores if cpu else cost.gpu_hours / 24 / given.gpus
        yield _line(name, _numbers(cost, cpu), f"{span:8,.1f}")


def _measured(given: Assumptions) -> Iterator[str]:
    """What the numbers of small models rest on."""
    machine = given.machine
    yield (
        f"CPU-minutes: images × what one core of this machine ({machine.processor}) takes for an image of that model, "
        f"trained or evaluated, measured {machine.date[:10]} and kept in {NAME} beside the results, and "
        f"{machine.start:.0f} s to start a run. Fine-tuning: the backbone in proportion to pixels, times a factor for "
        "necks and heads that our published runs took. Reading images comes on top where it does not hide. Minutes: "
        "all cores at work all the time, nothing else on them. Records keep estimate and outcome; the page compares."
    )


def _assumptions(costs: Costs, given: Assumptions) -> Iterator[str]:
    """What the numbers rest on."""
    yield (
        "GPU-hours: images × multiply-accumulates of a forward pass × 2 FLOPs, × 3 in training (forward and backward), "
        "over a rate. The multiply-accumulates are measured (make check-paper). Each epoch, of the cool-down too, ends "
        "with an evaluation."
    )
    row, rate = fastest((run for run, cost in costs if cost is not None), given)
    if row:
        yield (
            f"Reading is taken to keep up: {_gpus(given)} train {row} on {rate:,.0f} images a second. make bench says "
            "how many a core reads (loading); each process has 12 loaders where there are cores for them (--workers)."
        )
    rows = dict.fromkeys(run.row for run, _ in costs)
    measured = {row: rate for row, rate in given.images_per_second.items() if row in rows}
    if measured:
        rates = ", ".join(f"{row} {rate:,g}" for row, rate in measured.items())
        yield f"Rate, measured: {rates} training images/s on one GPU; evaluation at three times that."
    if measured.keys() != rows.keys():
        peaks = ", ".join(f"{precision} {peak:g}" for precision, peak in given.gpu_tflops.items())
        gpu = "NVIDIA A100, data sheet, dense" if given.gpu_tflops == A100_TFLOPS else "as given"
        mean = ", the mean of timm's training benchmark in half precision (its models reach 12 to 58 %)"
        yield (
            f"Rate, assumed{' for the others' if measured else ''}: {100 * given.utilisation:g} % of a GPU's peak"
            f"{mean if given.utilisation == UTILISATION else ''}. Peak in TFLOP/s by a recipe's precision: {peaks} "
            f"({gpu}); measurements compute in fp32. The lower a peak, the more of it is reached: fp32 rows may need "
            "fewer hours. Give --gpu-tflops, --utilisation, or a measured rate: --images-per-second."
        )
    yield (
        f"Images: {given.train_images:,} for training, {given.val_images:,} for validation (--train-images, "
        f"--val-images). Days: {_gpus(given)} at work all the time (--gpus)."
    )
    if any(kinds()[run.kind].settings is FineTuning for run, _ in costs):
        yield (
            "Fine-tuning: the backbone's cost at 224 px, in proportion to the pixels of a training image; attention, "
            "which grows faster, and necks and heads come on top. Validation images count as training images do."
        )
    yield (
        "Disk: weights, training state (weights and AdamW's two moments), their moving averages where a recipe keeps "
        "them, all in float32; 1 kB of log and record an epoch; the lambda study's pictures. Not the data set."
    )


def _wrapped(sentences: Iterator[str] | list[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from textwrap.wrap(sentence, 120, break_on_hyphens=False)
