"""What a record of each kind must hold before a report takes anything from it.

`check_types` is what showing a record needs; `check` adds what the parts of one say of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from experiments.correctness import unpack
from experiments.records import NAME, Record, UnreadableRecord
from experiments.records.record import are_counts, is_count, is_number
from transmix.data.scenes import KEY
from transmix.training.log import LAMBDA_BINS

RANDOM = "random"  # the method of fine-tuning without a checkpoint
# in percent, as the records name them; None where the data or the run leaves one out
SEGMENTATION_METRICS = ("mIoU", "mAcc", "aAcc", "mIoU_ms")
DETECTION_METRICS = tuple(f"{what}_AP{which}" for what in ("box", "mask") for which in ("", "50", "75", "s", "m", "l"))


def check(record: Record, folder: Path) -> None:
    """Check all that a report takes from a planned run's record.

    Raises:
        UnreadableRecord: names the record's file in `folder`, and what is wrong.
    """
    check_types(record, folder)
    with_counts = partial(_guarded, record, folder)
    with_counts(_planned_data)
    if record.run.kind == "train":
        with_counts(_epochs)
    if record.run.kind in ("train", "public"):
        with_counts(_agreement)


def check_types(record: Record, folder: Path) -> None:
    """Check that a record holds what its kind of run writes, of the right types; an unknown kind holds anything.

    Raises:
        UnreadableRecord: names the record's file in `folder`, and what is wrong.
    """
    _guarded(record, folder, _TYPES.get(record.run.kind, _nothing))


def _guarded(record: Record, folder: Path, act: Callable[[Record], None]) -> None:
    try:
        act(record)
    except KeyError as error:
        raise UnreadableRecord(f"record {folder / NAME} lacks {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise UnreadableRecord(
            f"record {folder / NAME} is not as a {record.run.kind} run writes it ({error})"
        ) from error


def _need(condition: bool, name: str) -> None:
    if not condition:
        raise ValueError(f"unexpected value of {name}")


def _need_numbers(values: dict[str, Any], names: Iterable[str], where: str = "metrics") -> None:
    for name in names:
        _need(is_number(values[name]), f"{where}.{name}")


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 100


def _may_be_number(value: Any) -> bool:
    return value is None or is_number(value)


def _nothing(record: Record) -> None:
    pass


def _planned_data(record: Record) -> None:
    """A planned run has training and validation images, of some classes; the suite's own are known by their name.

    Data that claim to be the suite's count as the same images wherever their name is the same.
    """
    data = record.data
    _need(min(data.classes, data.images["train"], data.images["val"]) > 0, "data.classes or data.images")
    _need(not data.embedded or KEY.fullmatch(data.name) is not None, f"data.embedded: the suite writes no {data.name}")


def _classified(record: Record) -> None:
    metrics = record.metrics
    _need_numbers(metrics, ("parameters", "gmacs"))
    _need(is_count(metrics["val_images"]) and metrics["val_images"] > 0, "metrics.val_images")
    _need(_is_share(metrics["top1"]), "metrics.top1")
    _need(isinstance(record.settings["model"], str), "settings.model")


def _public(record: Record) -> None:
    _classified(record)
    for name in ("weights", "variant"):
        _need(isinstance(record.settings[name], str), f"settings.{name}")


def _train(record: Record) -> None:
    _classified(record)
    metrics, settings = record.metrics, record.settings
    _need(is_number(metrics.get("peak_memory_mib", 0)), "metrics.peak_memory_mib")
    for name in ("epochs", "cooldown_epochs"):
        _need(is_count(settings[name]), f"settings.{name}")
    for epoch in record.history:
        _need(is_count(epoch["epoch"]) and is_number(epoch["loss"]), "history")
        _need(all(map(_may_be_number, (epoch.get("lr"), epoch.get("label_shift")))), "history")
        errors = epoch.get("lambda_error", {"label": 0, "area": 0})
        _need(is_number(errors["label"]) and is_number(errors["area"]), "history.lambda_error")
    for epoch in record.evaluated:
        accuracy = epoch["accuracy"]
        _need(_is_share(accuracy["top1"]) and _may_be_number(accuracy.get("top5")), "history.accuracy")
        _lambda_counts(epoch["lambda"])


def _lambda_counts(counts: dict[str, list[int]]) -> None:
    for name, bins in LAMBDA_BINS.items():
        _need(len(counts[name]) == bins, f"history.lambda.{name}: {len(counts[name])} bins instead of {bins}")
        _need(are_counts(counts[name]), f"history.lambda.{name}")
    images = [sum(counts[name]) for name in LAMBDA_BINS]
    _need(len(set(images)) == 1, f"history.lambda: its histograms count {images} images")


def _epochs(record: Record) -> None:
    """The epochs are those of the recipe."""
    settings = record.settings
    _need(len(record.history) == settings["epochs"] + settings["cooldown_epochs"], "history")
    _need("accuracy" in record.history[-1], "history: its last epoch was not evaluated")


def _agreement(record: Record) -> None:
    """The answers make the top-1."""
    metrics = record.metrics
    right = unpack(record.extra["right"], metrics["val_images"])
    agrees = math.isclose(100 * right.mean(), metrics["top1"])
    _need(agrees, f"right: {right.sum()} of {len(right)} images where metrics.top1 is {metrics['top1']}")


def _sweep(record: Record) -> None:
    metrics = record.metrics
    _need(isinstance(record.settings["protocol"], str), "settings.protocol")
    _need_numbers(metrics, ("clean", "images"))
    _need(len(metrics["grid"]) == 2 and all(is_count(side) and side for side in metrics["grid"]), "metrics.grid")
    for name, curve in metrics["curves"].items():
        where, points = f"metrics.curves.{name}", len(curve["severities"])
        _need(points > 0 and all(map(_is_severity, curve["severities"])), f"{where}.severities")
        _need(_is_matrix(curve["top1"], points), f"{where}.top1")
        _need(is_number(curve["area"]), f"{where}.area")
        _need(isinstance(curve["starts_clean"], bool), f"{where}.starts_clean")
        patches = curve.get("patches", [0] * points)
        _need(len(patches) == points and all(map(is_number, patches)), f"{where}.patches")


def _is_severity(value: Any) -> bool:
    return is_number(value) or (isinstance(value, list) and len(value) == 2 and all(map(is_count, value)))


def _is_matrix(value: Any, columns: int) -> bool:
    return bool(value) and all(len(line) == columns and all(map(_is_share, line)) for line in value)


def _natural(record: Record) -> None:
    _need_numbers(record.metrics, ("natural_top1", "rms_calibration_error", "aurra", "aupr"))
    published = record.metrics["rms_calibration_error_published"]
    _need(_may_be_number(published), "metrics.rms_calibration_error_published")


def _lambda(record: Record) -> None:
    _need_numbers(record.metrics, ("mixes", "label_shift"))
    for name in ("error_area", "error_attention", "error_mean"):
        _need(_may_be_number(record.metrics[name]), f"metrics.{name}")
    _need(bool(record.extra["classes"]), "classes")


def _cost(record: Record) -> None:
    metrics = record.metrics
    _need(metrics["clock"] in ("seconds", "CPU seconds"), "metrics.clock")
    for name in ("step_seconds", "relative", "lowest", "highest", "extra_passes"):
        _need(metrics[name].keys() == record.settings["methods"].keys(), f"metrics.{name}")
        _need_numbers(metrics[name], metrics[name], f"metrics.{name}")


def _fine_tuned(record: Record, names: tuple[str, ...]) -> None:
    for name in names:
        value = record.metrics[name]
        _need(value is None or _is_share(value), f"metrics.{name}")
    _need_numbers(record.metrics, ("parameters",))
    weights = record.extra["weights_report"]
    if record.run.method == RANDOM:
        _need(weights is None, "weights_report")
    else:  # a checkpoint of which nothing fits would be random weights under another name
        _need(is_number(weights["loaded"]) and weights["loaded"] > 0, "weights_report.loaded")


_TYPES: dict[str, Callable[[Record], None]] = {
    "train": _train,
    "public": _public,
    "natural": _natural,
    "lambda": _lambda,
    "cost": _cost,
    "segmentation": partial(_fine_tuned, names=SEGMENTATION_METRICS),
    "detection": partial(_fine_tuned, names=DETECTION_METRICS),
    **dict.fromkeys(("occlusion", "shuffle", "corruptions"), _sweep),
}
