"""Records with made-up numbers for the runs of a real `Study`: for the tests and the benchmark, never for a report."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.correctness import pack
from experiments.protocols import CORRUPTIONS
from experiments.records import NAME, DataInfo, Environment, Record, signed, write_record
from experiments.runs import Run
from experiments.study import Study
from experiments.study_options import add_study_options, study_from
from reports.records.checks import DETECTION_METRICS, SEGMENTATION_METRICS
from transmix.common.files import sha256

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make_study(results: Path, *options: str) -> Study:
    """The study that these command-line options describe, with its results in `results`."""
    parser = argparse.ArgumentParser()
    add_study_options(parser)
    return study_from(parser.parse_args([*options, "--results", str(results), "--data", str(results / "data")]))


OTHER_DATA = {
    "name": "x",
    "embedded": False,
    "source": "made up",
    "classes": 10,
    "images": {"train": 1, "val": 1},
    "fingerprint": "0" * 16,
}


def record_of(run: Run, metrics: dict[str, Any], **extra: Any) -> Record:
    """A whole record around some metrics."""
    return Record(
        run=run.info,
        settings=run.settings,
        data=DataInfo(
            name=run.data.name,
            embedded=run.data.scenes is not None,
            source="class folders",
            classes=10,
            images={"train": 4000, "val": VAL_IMAGES},
            fingerprint="feedfacefeedface",
        ),
        metrics=metrics,
        environment=Environment(
            commit=COMMIT, python="3.11.0", packages={}, device="CPU (x86_64)", threads=2, processes=1
        ),
        files={},
        started="2026-01-02T03:04:05+00:00",
        wall_seconds=125.0,
        extra=extra,
    )


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the JSON of a record as a program of somebody else's would: its digest is right again."""
    content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    change(content)
    put(folder, content)


def put(folder: Path, content: dict[str, Any]) -> None:
    """Write JSON as a record, whatever it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(signed(content), encoding="utf-8")


VAL_IMAGES = 1000  # of the fake data set


def write_train(run: Run, top1: float, **changes: Any) -> None:
    """A training run that ended at `top1` percent: right about the first so many of its validation images."""
    epochs = run.settings["epochs"] + run.settings["cooldown_epochs"]
    history = [
        {
            "epoch": epoch,
            "lr": 1e-3,
            "loss": 2.3 - epoch / epochs,
            "label_shift": 0.05 * (run.method == "transmix"),
            "lambda": lambda_counts(moved=run.method == "transmix"),
            "accuracy": {"top1": top1 * (epoch + 1) / epochs, "top5": 95.0, "images": VAL_IMAGES},
            **lambda_errors(run, epoch, epochs),
        }
        for epoch in range(epochs)
    ]
    metrics = {
        "top1": top1,
        "top5": 95.0,
        "val_images": VAL_IMAGES,
        "parameters": 307_850,
        "gmacs": 0.0149,
        "peak_memory_mib": 512.0,
    }
    right = pack(np.array(answers(top1, VAL_IMAGES), bool))
    extra = {"history": history, "weights": "weights.safetensors", "right": right}
    write_record(run.folder, record_of(run, metrics, **extra))
    if changes:
        edit(run.folder, lambda content: content.update(changes))


def lambda_errors(run: Run, epoch: int, epochs: int) -> dict[str, Any]:
    """Where masks are read, TransMix's labels begin behind the area and are nearer to the truth from halfway on."""
    if run.settings["label_rule"] == "area" or not run.settings["resident"]:
        return {}
    label = 0.0 if run.settings["label_rule"] == "oracle" else 0.25 - 0.1 * epoch / epochs
    return {"lambda_error": {"label": label, "area": 0.2}}


def lambda_counts(moved: bool) -> dict[str, list[int]]:
    """Histograms of 2,000 CutMix images with areas all over; TransMix moves half of the labels by a bin."""
    area = [100] * 20
    label = [50, *[100] * 18, 150] if moved else area
    shift = [0] * 20 + ([1000, 1000] if moved else [2000, 0]) + [0] * 18
    return {"label": label, "area": area, "shift": shift}


IMAGES = 200


def write_occlusion(run: Run, start: float) -> None:
    """Top-1 that falls evenly from `start` percent, a tenth of it a point; the second draw is a point above the first.

    Of the images, the first `start` percent are recognised when clean, and so on: answers that agree with the top-1.
    """
    names = ("random", "salient", "non_salient", "shuffle", *CORRUPTIONS)
    severities = {"shuffle": run.settings["cells"], **dict.fromkeys(CORRUPTIONS, run.settings["severities"])}
    keys, right, curves = ["clean/0/0"], [answers(start)], {}
    for name in names:
        points = severities.get(name, run.settings["tenths"])
        draws = run.settings["draws"] if name in ("random", "shuffle") else 1
        top1 = [[start * (10 - place) / 10 + draw for place in range(1, len(points) + 1)] for draw in range(draws)]
        for draw, line in enumerate(top1):
            for point, value in zip(points, line, strict=True):
                keys.append(f"{name}/{point}/{draw}".replace(" ", ""))
                right.append(answers(value))
        area = float(np.mean([start, *np.mean(top1, axis=0)]))
        curves[name] = {"severities": list(points), "top1": top1, "area": area, "starts_clean": True}
        if name not in severities:
            curves[name]["patches"] = [64 * tenth // 10 for tenth in points]
    metrics = {"images": IMAGES, "clean": start, "grid": [8, 8], "curves": curves}
    write_record(run.folder, record_of(run, metrics))
    np.savez_compressed(
        run.folder / "answers.npz", keys=np.array(keys), indices=np.arange(IMAGES), right=np.array(right, np.int8)
    )
    Image.new("RGB", (4, 4)).save(run.folder / "sheet.png")


def answers(percent: float, images: int = IMAGES) -> list[int]:
    """For each image whether it was recognised, when `percent` of them were."""
    return [int(100 * image < percent * images) for image in range(images)]


def write_cost(run: Run) -> None:
    """Steps of which each method's takes a tenth of CutMix's longer than the one before, the first as long."""
    relative = {name: 1 + place / 10 for place, name in enumerate(sorted(run.settings["methods"]))}
    relative = {name: value / relative["cutmix"] for name, value in relative.items()}
    metrics = {
        "clock": "CPU seconds",
        "step_seconds": {name: 0.05 * value for name, value in relative.items()},
        "relative": relative,
        "lowest": relative,
        "highest": relative,
        "extra_passes": dict.fromkeys(relative, 0.0),
    }
    write_record(run.folder, record_of(run, metrics))


def write_natural(run: Run, top1: float) -> None:
    """Scores of a model with that top-1 on the hard images."""
    correct = np.array(answers(top1), bool)
    metrics = {
        "natural_images": IMAGES,
        "natural_top1": top1,
        "rms_calibration_error": 0.25,
        "rms_calibration_error_published": 0.125,
        "aurra": 0.375 + top1 / 1000,
        "outlier_images": 100,
        "familiar_images": 300,
        "aupr": 0.5 + top1 / 1000,
    }
    write_record(run.folder, record_of(run, metrics))
    scores = np.full(IMAGES, 0.5)
    np.savez_compressed(
        run.folder / "scores.npz",
        natural_confidence=scores,
        natural_correct=correct,
        outlier_confidence=scores,
        familiar_confidence=scores,
    )


def write_lambda(run: Run, errors: tuple[float, float, float] | None, examples: int = 6) -> None:
    """Errors of area-, attention- and mean-lambda; None for data without masks."""
    names = ("error_area", "error_attention", "error_mean")
    metrics = {"mixes": 512, "label_shift": 0.0625} | dict(zip(names, errors or (None,) * 3, strict=True))
    write_record(run.folder, record_of(run, metrics, classes=["disc_red", "ring & <blue>"]))
    write_examples(run.folder / "examples.npz", examples, known=errors is not None)


def write_examples(path: Path, count: int, known: bool = True) -> None:
    """Noise images with a pasted box."""
    rng = np.random.default_rng(0)
    own, partner = rng.integers(0, 256, (2, count, 64, 64, 3), dtype=np.uint8)
    mixed = own.copy()
    mixed[:, 8:40, 16:48] = partner[:, 8:40, 16:48]
    attention = rng.random((count, 8, 8), dtype=np.float32)
    shares = np.full(count, 0.25)
    np.savez_compressed(
        path,
        own=own,
        partner=partner,
        mixed=mixed,
        box=np.tile([8, 40, 16, 48], (count, 1)),
        attention=attention / attention.sum((1, 2), keepdims=True),
        lam_area=shares,
        lam_attention=shares + 0.125,
        lam_mean=shares + 0.0625,
        lam_true=shares + 0.25 if known else np.full(count, np.nan),
        own_class=np.zeros(count, int),
        partner_class=np.ones(count, int),
    )


FINE_TUNING = {"table3": "segmentation", "table4": "detection"}


def fine_tuning_run(study: Study, name: str) -> Run:
    """A run that fine-tunes, by its name: ``table3.deit_t.upernet.transmix.seed0``."""
    table, row, part, method, seed = name.split(".")
    trained = study.find(f"table1.{row}.{'baseline' if method == 'random' else method}.{seed}")
    return replace(
        trained,
        table=table,
        part=part,
        method=method,
        kind=FINE_TUNING[table],
        settings={"config": part},
        needs=() if method == "random" else (trained,),
    )


def write_fine_tuned(run: Run, first: float, picture: tuple[int, int] | None = (60, 40), **changes: Any) -> None:
    """A fine-tuning run whose first metric is `first` percent, and each further one a point more."""
    names = SEGMENTATION_METRICS if run.kind == "segmentation" else DETECTION_METRICS
    metrics = {name: first + place for place, name in enumerate(names)}
    metrics |= {"parameters": 5_800_000, "val_images": 200, "peak_memory_mib": 512.0}
    extra = {"weights_report": None if run.method == "random" else {"loaded": 148, "dropped": [], "resized": []}}
    files = {}
    if picture is not None:
        run.folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", picture, "teal").save(run.folder / "predictions.png")
        files = {"predictions.png": sha256(run.folder / "predictions.png")}
    data = DataInfo(
        name=run.data.name,
        embedded=run.data.scenes is not None,
        source="made up",
        classes=11,
        images={"train": 800, "val": 200},
        fingerprint=f"{run.kind}-print",
    )
    write_record(run.folder, replace(record_of(run, metrics, **extra), data=data, files=files))
    if changes:
        edit(run.folder, lambda content: content.update(changes))


def write_study(study: Study, gains: tuple[float, ...]) -> None:
    """All records: baselines at 50 % top-1, TransMix better by a seed's gain."""
    for run in study.plan():
        write_run(run, gains[run.seed] if run.method == "transmix" else 0.0)


def write_run(run: Run, gain: float) -> None:
    """A run's record, its main number `gain` points above the baseline's."""
    if run.kind == "train":
        write_train(run, 50.0 + gain)
    elif run.kind == "occlusion":
        write_occlusion(run, 50.0 + gain)
    elif run.kind == "cost":
        write_cost(run)
    elif run.kind == "natural":
        write_natural(run, 20.0 + gain)
    elif run.kind in FINE_TUNING.values():
        write_fine_tuned(run, 40.0 + gain)
    else:
        write_lambda(run, (0.125, 0.0875, 0.0925))
