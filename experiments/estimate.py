"""What a run will cost: GPU-hours from FLOPs over a rate, and disk. Standard library only.

A kind of run says how much work it is (`experiments.kinds`); a given rate turns work into time (`estimate`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from pathlib import Path

from experiments.costs import ModelCost, known_costs
from experiments.kinds import kinds
from experiments.machine import Machine, Rate
from experiments.photographs import IMAGENET_1K
from experiments.rows import rows
from experiments.runs import Run
from experiments.scales import SCALES
from transmix.common.errors import UserError, unknown_name
from transmix.common.options import separated, within
from transmix.common.ranges import Range
from transmix.data.sources.listing import list_folders
from transmix.data.sources.spec import SourceSpec

A100_TFLOPS = {"fp32": 19.5, "tf32": 156.0, "bf16": 312.0, "fp16": 312.0}  # NVIDIA's A100 data sheet, dense
# The mean that timm's training benchmark reaches for the eight of the twelve models that it has: 12 to 58 % of the
# 71 TFLOP/s of an RTX 3090 (results/benchmark-train-amp-nchw-pt112-cu113-rtx3090.csv; tests/test_estimate.py).
UTILISATION = 0.3
GPUS = 8  # one node
TRAIN_IMAGES, VAL_IMAGES = IMAGENET_1K.train, IMAGENET_1K.val
DENSE_IMAGES = {  # for training and validation; of COCO 2017, those with a box
    "ade20k": (20_210, 2_000),
    "pascal_context": (4_998, 5_105),
    "coco": (117_266, 5_000),
}
REFERENCE_SIZE = 224  # at which the paper's models were measured

FLOAT_BYTES = 4
EPOCH_BYTES = 1024  # of an epoch in log.jsonl and in record.json
FLOPS_PER_MAC = 2
# Necks, heads and losses at the small scales, in backbones: what our published runs at tiny took on the mean.
HEADS = {"segmentation": 2, "detection": 3}
PASSES = 3  # a training step in forward passes: forward, and twice as much backward


@dataclass(frozen=True)
class Assumptions:
    """What an estimate rests on.

    Attributes:
        gpu_tflops: peak rate of one GPU in 10^12 FLOP/s, by the precision of a recipe.
        utilisation: share of it that training reaches.
        images_per_second: measured training rates of one GPU, by row; they replace peak and utilisation.
        gpus: how many work at once; GPU-hours do not depend on it.
        train_images: size of the training set.
        val_images: size of the validation set.
        machine: what was measured of this machine's cores, for models that no GPU is needed for.
    """

    gpu_tflops: dict[str, float] = field(default_factory=lambda: dict(A100_TFLOPS))
    utilisation: float = UTILISATION
    images_per_second: dict[str, float] = field(default_factory=dict)
    gpus: int = GPUS
    train_images: int = TRAIN_IMAGES
    val_images: int = VAL_IMAGES
    machine: Machine | None = None

    def rate(self, precision: str) -> float:
        """FLOP/s that one GPU reaches.

        Raises:
            UserError: no peak rate is given for this precision.
        """
        if precision not in self.gpu_tflops:
            raise UserError(f"--gpu-tflops has no rate for {precision}, which some runs need: add {precision}=N")
        return self.gpu_tflops[precision] * 1e12 * self.utilisation


@dataclass(frozen=True)
class Work:
    """How much a run has to do.

    Attributes:
        macs: multiply-accumulates of one image's forward pass.
        trained: images that go forward and backward.
        evaluated: images that go forward only.
        precision: of the arithmetic, as a recipe says it.
        disk: bytes that the finished run leaves.
        relative_size: pixels of these images over those that `macs` is for.
    """

    macs: int
    trained: int
    evaluated: int
    precision: str
    disk: int
    relative_size: float = 1.0

    @property
    def passes(self) -> float:
        """Images to train on, of the size that `macs` is for, that would be as much work."""
        return self.relative_size * (self.trained + self.evaluated / PASSES)


@dataclass(frozen=True)
class Estimate:
    """GPU-hours, and bytes on disk; for a model of this machine's rates CPU seconds instead of GPU-hours."""

    gpu_hours: float
    disk: int
    cpu_seconds: float = 0.0


def estimate(run: Run, given: Assumptions) -> Estimate | None:
    """What a run will cost; None where the cost of its model is not known."""
    work = kinds()[run.kind].work(run, given)
    if work is None:
        return None
    rate = _rate(run, given)
    if rate is not None:
        images = work.trained * rate.train + work.evaluated * rate.evaluate
        seconds = given.machine.start + HEADS.get(run.kind, 1) * work.relative_size * images
        return Estimate(0.0, work.disk, seconds)
    return Estimate(work.passes * gpu_seconds(run, work, given) / 3600, work.disk)


def gpu_seconds(run: Run, work: Work, given: Assumptions) -> float:
    """What a GPU takes to train on one image."""
    measured = given.images_per_second.get(run.row)
    return 1 / measured if measured else PASSES * FLOPS_PER_MAC * work.macs / given.rate(work.precision)


def fastest(runs: Iterable[Run], given: Assumptions) -> tuple[str, float]:
    """The row whose training takes most images a second on all GPUs, and how many; of runs whose cost is known."""
    works = [(run, kinds()[run.kind].work(run, given)) for run in runs if run.kind == "train"]
    rates = {run.row: given.gpus / gpu_seconds(run, work, given) for run, work in works if work}
    return max(rates.items(), key=itemgetter(1), default=("", 0.0))


def total(estimates: Iterable[Estimate | None]) -> Estimate:
    """The sum of those that are known."""
    known = [estimate for estimate in estimates if estimate is not None]
    sums = [sum(getattr(one, name) for one in known) for name in ("gpu_hours", "disk", "cpu_seconds")]
    return Estimate(*sums)


def trained_by(run: Run) -> Run:
    """The training run whose model a run is about: itself, or the one it needs."""
    return run.needs[0] if run.needs else run


def model_cost(run: Run, given: Assumptions) -> ModelCost | None:
    """The cost of a run's model, if it is known."""
    settings = trained_by(run).settings
    return cost_of(settings["model"], settings["image_size"], given)


def cost_of(model: str, image_size: int, given: Assumptions) -> ModelCost | None:
    """The cost of a model at an image size, if it is known: by the list, or as measured on this machine."""
    measured = given.machine.rates.get((model, image_size)) if given.machine else None
    return _costs().get((model, image_size)) or (measured and measured.cost)


def images_of(run: Run, given: Assumptions) -> tuple[int, int]:
    """Images for training and for validation: of the scenes, or the class folders in their place, else those given."""
    scenes, source = run.data.scenes, run.data.source
    if scenes is not None:
        return scenes.train, scenes.val
    if SCALES[run.scale].scenes and isinstance(source, SourceSpec) and not source.kind:
        counts = _counts(source.path, source.subset)
        return counts["train"], counts["val"]
    return given.train_images, given.val_images  # ImageNet's folders would take long to count


@cache
def _counts(folder: Path, subset: str) -> dict[str, int]:
    return list_folders(folder, subset).counts


def unmeasured(runs: Iterable[Run]) -> set[tuple[str, int]]:
    """Models and image sizes of trainings on embedded images whose cost no list has."""
    found = {(run.settings["model"], run.settings["image_size"]) for run in runs if run.kind == "train" and _small(run)}
    return found - _costs().keys()


def _small(run: Run) -> bool:
    """Whether it is for a CPU: one core trains it."""
    return run.data.scenes is not None and run.settings["precision"] == "fp32"


def _rate(run: Run, given: Assumptions) -> Rate | None:
    """This machine's rate of a run's model, where the list has no cost of it."""
    settings = trained_by(run).settings
    if given.machine is None or "model" not in settings:
        return None
    size = settings["image_size"] if run.kind not in HEADS else given.machine.size_of(settings["model"])
    return None if (settings["model"], size) in _costs() else given.machine.rates.get((settings["model"], size))


@cache
def _costs() -> dict[tuple[str, int], ModelCost]:
    return known_costs()


def measurement(run: Run, images: int, disk: int, given: Assumptions) -> Work | None:
    """The work of classifying so many images with a run's model."""
    cost = model_cost(run, given)
    return None if cost is None else Work(cost.macs, 0, images, "fp32", disk)


def add_estimate_options(parser: argparse.ArgumentParser) -> None:
    """The options that describe the assumptions."""
    a100 = ",".join(f"{name}={value:g}" for name, value in A100_TFLOPS.items())
    group = parser.add_argument_group("what GPU-hours are estimated from")
    group.add_argument(
        "--gpu-tflops", metavar="PRECISION=N,...", help=f"peak rate of a GPU, in TFLOP/s (default: an A100's, {a100})"
    )
    group.add_argument(
        "--utilisation",
        action=within(Range(0, 1, ("low",)), float),
        default=UTILISATION,
        metavar="SHARE",
        help=f"share of it that training reaches (default: {UTILISATION}, the mean of timm's training benchmark)",
    )
    group.add_argument(
        "--images-per-second", metavar="ROW=N,...", help="measured training rate of one GPU, instead of those two"
    )
    for name, default, what in (
        ("--gpus", GPUS, f"GPUs that work at once (default: {GPUS})"),
        ("--train-images", None, "images in an epoch (default: as many as the scale's data have)"),
        ("--val-images", None, "validation images (default: likewise)"),
    ):
        group.add_argument(name, action=within(Range(1, 10**12)), default=default, metavar="N", help=what)


def assumptions_from(args: argparse.Namespace) -> Assumptions:
    """The assumptions that parsed options describe; unknown names and impossible numbers are errors."""
    photographs = SCALES[args.scale].photographs or IMAGENET_1K
    return Assumptions(
        gpu_tflops=_rates("--gpu-tflops", args.gpu_tflops, "precision", A100_TFLOPS) or dict(A100_TFLOPS),
        utilisation=args.utilisation,
        images_per_second=_rates("--images-per-second", args.images_per_second, "row", rows()),
        gpus=args.gpus,
        train_images=args.train_images or photographs.train,
        val_images=args.val_images or photographs.val,
    )


def _rates(option: str, text: str | None, kind: str, known: Iterable[str]) -> dict[str, float]:
    """``"bf16=989,fp32=67"`` as numbers by name."""
    rates = {}
    for pair in separated(option, text) if text else ():
        name, _, number = pair.partition("=")
        if name not in known:
            raise unknown_name(f"{kind} in {option}", name, known)
        try:
            rates[name] = float(number)
        except ValueError:
            rates[name] = 0.0
        if not 0 < rates[name] < float("inf"):
            raise UserError(f"{option} {pair}: write {name}=N with a positive number")
    return rates
