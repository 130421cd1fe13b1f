"""A study's records: every planned run with its record, or with what is wrong, and those that are published."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.correctness import unpack
from experiments.records import NAME, UnreadableRecord, read_record
from experiments.runs import Run
from experiments.study import Study
from reports.formats.table import NOT_RUN, UNREADABLE, Source
from transmix.training.log import LAMBDA_BINS

DONE = "done"
PUBLISHED_RUNS = Path(__file__).parents[1] / "published_runs"  # SET/<run id>/record.json
RANDOM = "random"  # the method of fine-tuning without a checkpoint
# in percent, as the records name them; None where the data or the run leaves one out
SEGMENTATION_METRICS = ("mIoU", "mAcc", "aAcc", "mIoU_ms")
DETECTION_METRICS = tuple(f"{what}_AP{which}" for what in ("box", "mask") for which in ("", "50", "75", "s", "m", "l"))


@dataclass(frozen=True, eq=False)
class Result:
    """A planned run and what became of it. (Compared by identity, so that what is read of it can be kept.)

    Attributes:
        run: the run.
        status: ``done``, ``not run`` or ``unreadable``.
        record: its record, if it is done.
        problem: what is wrong with an unreadable record, in one line with the remedy.
    """

    run: Run
    status: str
    record: dict[str, Any] | None = None
    problem: str = ""

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured; only for a run that is done."""
        return self.record["metrics"]

    @property
    def source(self) -> Source:
        """Where its numbers come from."""
        return Source(self.run.id, self.run.seed)


@dataclass(frozen=True)
class Collected:
    """All results of a study.

    Attributes:
        study: the study.
        results: in the order of its plan.
        published: records of the same runs that somebody has published, a set each; only sets that have any.
    """

    study: Study
    results: tuple[Result, ...]
    published: tuple[PublishedSet, ...] = ()

    def of(self, table: str, row: str, method: str, part: str = "") -> list[Result]:
        """The results of one row and method of a table, one a seed; `part` where a table has several of a row."""
        return self._by_key.get((table, row, method, part), [])

    @cached_property
    def _by_key(self) -> dict[tuple[str, str, str, str], list[Result]]:
        found: dict[tuple[str, str, str, str], list[Result]] = {}
        for result in self.results:
            found.setdefault(key(result.run), []).append(result)
        return found

    @property
    def keys(self) -> list[tuple[str, str, str, str]]:
        """Table, row, method and part of every planned run, each once."""
        return list(self._by_key)

    def done(self, table: str, row: str, method: str, part: str = "") -> list[Result]:
        """Those of them that have a record."""
        return [result for result in self.of(table, row, method, part) if result.status == DONE]

    def values(self, table: str, row: str, method: str, metric: str) -> dict[int, float]:
        """A metric by seed, from the records that have it."""
        found = {result.run.seed: result.metrics.get(metric) for result in self.done(table, row, method)}
        return {seed: value for seed, value in found.items() if value is not None}

    def status(self, table: str, row: str, method: str, part: str = "") -> str:
        """``done`` if there is any record, else ``unreadable`` if one is broken, else ``not run``."""
        found = {result.status for result in self.of(table, row, method, part)}
        return next((status for status in (DONE, UNREADABLE) if status in found), NOT_RUN)

    @property
    def label_rule(self) -> str:
        """How the TransMix runs of the study label a CutMix image."""
        trained = (result.run for result in self.results if result.run.kind == "train")
        return next(run.settings["label_rule"] for run in trained if run.method == "transmix")

    @property
    def problems(self) -> list[str]:
        """One line for every unreadable record, the published ones too."""
        every = [self.results, *(there.collected.results for there in self.published)]
        return [result.problem for results in every for result in results if result.problem]

    @property
    def records(self) -> list[dict[str, Any]]:
        """All records there are."""
        return [result.record for result in self.results if result.record is not None]


@dataclass(frozen=True)
class PublishedSet:
    """Records that were published together, as far as the study plans the same runs.

    Attributes:
        name: its folder's.
        collected: what they hold; a run's ``folder`` is still where this study's own record would be.
    """

    name: str
    collected: Collected


def key(run: Run) -> tuple[str, str, str, str]:
    """What runs that differ in their seed only have in common."""
    return run.table, run.row, run.method, run.part


def collect(study: Study, published: Path | None = None) -> Collected:
    """Read the record of every planned run, and those that `published` (the suite's own folder) has of them."""
    plan = study.plan()
    folder = PUBLISHED_RUNS if published is None else published
    return Collected(study, tuple(read(run) for run in plan), published_sets(study, plan, folder))


def published_sets(study: Study, plan: list[Run], folder: Path) -> tuple[PublishedSet, ...]:
    """The sets of a folder that have records of planned runs. A run's id says what it is, so equal ids are one run."""
    sets = []
    for path in sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else ():
        there = {entry.name for entry in path.iterdir()}
        results = tuple(read(run, path / run.id) if run.id in there else Result(run, NOT_RUN) for run in plan)
        if any(result.status != NOT_RUN for result in results):
            sets.append(PublishedSet(path.name, Collected(study, results)))
    return tuple(sets)


def read(run: Run, published: Path | None = None) -> Result:
    """A run's record, checked for all that a report takes from it; `published` is the folder of a published one."""
    folder = run.folder if published is None else published
    try:
        record = read_record(folder)
        if record is None:
            return Result(run, NOT_RUN)
        check(record, run, folder)
    except UnreadableRecord as error:
        remedy = redo(run) if published is None else f"restore this published record, or remove {folder}"
        return Result(run, UNREADABLE, problem=f"{error}: {remedy}")
    return Result(run, DONE, record)


def redo(run: Run) -> str:
    """The remedy for a broken file of a run."""
    return f"redo just this run with '{run.command} --restart'"


def unreadable_file(what: str, path: Path, error: Exception, run: Run) -> str:
    """One line about a file beside a record that cannot be read, with the remedy."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{what} {path} is not readable ({reason}): {redo(run)}"


def check(record: dict[str, Any], run: Run, folder: Path | None = None) -> None:
    """Raise `UnreadableRecord` if a record, of a run's folder or of the one given, is another run's or lacks a part."""
    path = (folder or run.folder) / NAME
    try:
        if record["run"]["id"] != run.id:
            raise UnreadableRecord(f"record {path} is the record of another run, {record['run']['id']}")
        for part, names in _TEXTS.items():
            for name in names:
                _need(isinstance(record[part][name], str), f"{part}.{name}")
        counts = [record["data"]["classes"], *(record["data"]["images"][split] for split in ("train", "val"))]
        _need(all(_is_number(count) and count > 0 for count in counts), "data.classes or data.images")
        counts = [record["environment"][name] for name in ("processes", "threads")]
        _need(all(map(_is_number, counts)), "environment.processes or environment.threads")
        for texts in (record["environment"]["packages"], record["files"]):
            _need(all(isinstance(text, str) for text in texts.values()), "environment.packages or files")
        _need(_is_number(record["metrics"].get("peak_memory_mib", 0)), "metrics.peak_memory_mib")
        _need(_is_number(record["wall_seconds"]), "wall_seconds")
        _need(isinstance(record["started"], str), "started")
        if run.kind in _CHECKS:  # of a kind of one's own only what all records have is known
            _CHECKS[run.kind](record)
    except UnreadableRecord:
        raise
    except KeyError as error:
        raise UnreadableRecord(f"record {path} lacks {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise UnreadableRecord(f"record {path} is not as a {run.kind} run writes it ({error})") from error


_TEXTS = {"environment": ("commit", "device", "python"), "data": ("name", "fingerprint")}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _need(condition: bool, name: str) -> None:
    if not condition:
        raise ValueError(f"unexpected value of {name}")


def _check_train(record: dict[str, Any]) -> None:
    metrics = record["metrics"]
    _need(_is_number(metrics["parameters"]), "metrics.parameters")
    _need(_is_number(metrics["gmacs"]), "metrics.gmacs")
    _need(_is_number(metrics["val_images"]) and metrics["val_images"] > 0, "metrics.val_images")
    _need(_is_number(metrics["top1"]) and 0 <= metrics["top1"] <= 100, "metrics.top1")
    settings = record["settings"]
    _need(isinstance(settings["model"], str), "settings.model")
    _need(len(record["history"]) == settings["epochs"] + settings["cooldown_epochs"], "history")
    for epoch in record["history"]:
        values = (epoch["epoch"], epoch["loss"], epoch["accuracy"]["top1"])
        _need(all(map(_is_number, values)), "history")
        _check_lambda_counts(epoch["lambda"])
    right = unpack(record["right"], metrics["val_images"])
    agrees = math.isclose(100 * right.mean(), metrics["top1"])
    _need(agrees, f"right: {right.sum()} of {len(right)} images where metrics.top1 is {metrics['top1']}")


def _check_lambda_counts(counts: dict[str, list[int]]) -> None:
    for name, bins in LAMBDA_BINS.items():
        _need(len(counts[name]) == bins, f"history.lambda.{name}: {len(counts[name])} bins instead of {bins}")
        _need(all(type(count) is int and count >= 0 for count in counts[name]), f"history.lambda.{name}")
    images = [sum(counts[name]) for name in LAMBDA_BINS]
    _need(len(set(images)) == 1, f"history.lambda: its histograms count {images} images")


def _check_occlusion(record: dict[str, Any]) -> None:
    metrics = record["metrics"]
    _need(isinstance(record["settings"]["protocol"], str), "settings.protocol")
    for name in ("clean", "images"):
        _need(_is_number(metrics[name]), f"metrics.{name}")
    _need(len(metrics["grid"]) == 2 and all(map(_is_number, metrics["grid"])), "metrics.grid")
    for name, curve in metrics["curves"].items():
        top1 = np.array(curve["top1"], dtype=float)
        _need(top1.ndim == 2 and top1.shape[1] == len(curve["severities"]), f"metrics.curves.{name}.top1")
        _need(_is_number(curve["area"]), f"metrics.curves.{name}.area")
        _need(isinstance(curve["starts_clean"], bool), f"metrics.curves.{name}.starts_clean")


def _check_natural(record: dict[str, Any]) -> None:
    metrics = record["metrics"]
    for name in ("natural_top1", "rms_calibration_error", "aurra", "aupr"):
        _need(_is_number(metrics[name]), f"metrics.{name}")
    published = metrics["rms_calibration_error_published"]
    _need(published is None or _is_number(published), "metrics.rms_calibration_error_published")


def _check_lambda(record: dict[str, Any]) -> None:
    metrics = record["metrics"]
    for name in ("mixes", "label_shift"):
        _need(_is_number(metrics[name]), f"metrics.{name}")
    for name in ("error_area", "error_attention", "error_mean"):
        _need(metrics[name] is None or _is_number(metrics[name]), f"metrics.{name}")
    _need(all(isinstance(name, str) for name in record["classes"]), "classes")


def _check_fine_tuned(record: dict[str, Any], names: tuple[str, ...]) -> None:
    metrics = record["metrics"]
    for name in names:
        value = metrics[name]
        _need(value is None or (_is_number(value) and 0 <= value <= 100), f"metrics.{name}")
    _need(_is_number(metrics["parameters"]), "metrics.parameters")
    weights = record["weights_report"]
    if record["run"]["method"] == RANDOM:
        _need(weights is None, "weights_report")
    else:  # a checkpoint of which nothing fits would be random weights under another name
        _need(_is_number(weights["loaded"]) and weights["loaded"] > 0, "weights_report.loaded")


_CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "train": _check_train,
    "occlusion": _check_occlusion,
    "natural": _check_natural,
    "lambda": _check_lambda,
    "segmentation": partial(_check_fine_tuned, names=SEGMENTATION_METRICS),
    "detection": partial(_check_fine_tuned, names=DETECTION_METRICS),
}
