"""What ``python -m robustness`` does with its options: models of the user's own, a record for each."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.kinds.natural import SCORES
from experiments.kinds.occlusion import ANSWERS, SHEET
from experiments.protocols import Sweep
from experiments.records import (
    NAME,
    DataInfo,
    Record,
    RunInfo,
    UnreadableRecord,
    read_record,
    rehearse,
    write_record,
)
from experiments.run import default_workers, environment, now
from experiments.trained import TrainedModel
from robustness import natural
from robustness.answers import Answers
from robustness.classes import check_folder, class_names, classes_of, describe_folder, positions
from robustness.models import load_dino, load_trained_model
from robustness.patches import Grid
from robustness.saliency import check_attention, find_saliency, foreground_from
from robustness.settings import label, settings_of
from robustness.sheet import write_sheet
from robustness.sweep import Subject, choose_images, fitting, grid_of, measure, metrics_of
from transmix.common.errors import UserError
from transmix.common.files import sha256
from transmix.common.plain import plain
from transmix.common.runtime import Runtime
from transmix.data.sources.folders import FolderImages
from transmix.data.sources.source import find_split
from transmix.recipe import fingerprint
from transmix.training.distributed import Processes, join_processes


class Command:
    """The options, and what every part of them needs.

    Raises:
        UserError: whatever is wrong with a folder, a model or a weights file.
    """

    def __init__(self, args: argparse.Namespace, processes: Processes) -> None:
        self.args, self.processes = args, processes
        workers = default_workers(processes) if args.workers is None else args.workers
        self.runtime = Runtime(workers, channels_last=args.channels_last)
        self.folder = val_folder(args.data)
        self.names = class_names(self.folder)
        self.data, self.images = describe_folder(self.folder), FolderImages(self.folder)
        self.models = [
            load_trained_model(name, weights, args.precision, args.batch_size)
            for name, weights in zip(args.model, args.weights, strict=True)
        ]
        natural = (args.imagenet_a, args.imagenet_o) if args.sweep == "natural" else ()
        processes.lead(lambda: [check_folder(folder) for folder in (self.folder, *natural)])
        self.classes = [classes_of(trained.model.num_classes, self.folder, args.own_classes) for trained in self.models]
        self.environment, self.started, self._clock = environment(processes), now(), time.monotonic()

    def out(self, number: int, kind: str, protocol: dict[str, Any]) -> Path:
        """The folder of one model's record: a hash in its name says what it depends on."""
        decides = [sha256(self.args.weights[number]), self.data | {"path": str(self.folder.resolve())}, protocol]
        decides.append(view_of(self.models[number]))
        return self.args.out / f"{self.args.model[number]}.{kind}-{fingerprint(decides)[:8]}"

    def blank_record(self, number: int, folder: Path, kind: str, protocol: dict[str, Any]) -> Record:
        """All that one model's record says before anything is measured; it is rehearsed."""
        name, path, trained = self.args.model[number], self.args.weights[number], self.models[number]
        record = Record(
            run=RunInfo(
                id=folder.name,
                name=f"{kind}.{name}",
                table=kind,
                kind=kind,
                scale="own",
                row=name,
                method="own",
                seed=self.args.seed,
                command=command_line(),
                needs=(),
            ),
            settings=protocol,
            data=DataInfo(
                name=str(self.folder),
                embedded=False,
                source="class folders",
                classes=len(self.names),
                images={"val": self.data["images"]},
                fingerprint=self.data["fingerprint"],
            ),
            metrics={},
            environment=self.environment,
            files={},
            started=self.started,
            wall_seconds=0.0,
            extra={
                "weights": {"path": str(path), "sha256": sha256(path), "taken": trained.taken},
                "view": view_of(trained),
            },
        )
        self.processes.lead(lambda: rehearse(folder, record))
        return record

    def finish(
        self, record: Record, folder: Path, metrics: dict[str, Any], files: tuple[str, ...], earlier: float = 0.0
    ) -> None:
        """Write the record of one model; `earlier` is how many seconds other sessions took."""
        digests = {file: sha256(folder / file) for file in files}
        seconds = round(earlier + time.monotonic() - self._clock, 1)
        write_record(folder, replace(record, metrics=metrics, files=digests, wall_seconds=seconds))
        weights = record.extra["weights"]
        print(f"weights: {weights['path']}, {weights['taken']}", file=sys.stderr)
        print(f"record: {folder / NAME}", file=sys.stderr)


def measure_sweep(args: argparse.Namespace, sweep: Sweep) -> None:
    """Occlude, shuffle or corrupt; models that take images alike share a pass."""
    with join_processes(args.device) as processes:
        command = Command(args, processes)
        passes: dict[tuple, list[int]] = defaultdict(list)
        for number, trained in enumerate(command.models):
            view = trained.view
            fits = fitting(sweep, view.image_size)
            shown = (view.image_size, view.interpolation, view.crop, view.crop_mode)
            passes[(*shown, command.classes[number], fits, grid_of(fits, trained))].append(number)
            if foreground_from(sweep, "attention"):
                check_attention(trained)
        lines = {}
        for (size, *_, fits, grid), numbers in passes.items():
            left_out = [label("shuffle", cells) for cells in sweep.cells if cells not in fits.cells]
            if left_out and "shuffle" in sweep.curves and processes.leads:
                print(f"left out: {', '.join(left_out)} cells, which {size} px do not divide into", file=sys.stderr)
            lines |= one_pass(command, fits, grid, numbers)
        if processes.leads:
            pairs = zip(args.model, args.weights, strict=True)
            names = [f"{name}, {path.name}" if args.model.count(name) > 1 else name for name, path in pairs]
            show(sweep, [(name, lines[number]) for number, name in enumerate(names)])


def one_pass(command: Command, sweep: Sweep, grid: Grid, numbers: list[int]) -> dict[int, dict[str, Any]]:
    """Measure some models in one pass over the images; the metrics by the models' numbers."""
    images, processes, first = command.images, command.processes, command.models[numbers[0]]
    every, dino = settings_of(sweep, grid), None
    if foreground_from(sweep, "dino"):
        dino = load_dino(command.args.dino, first.view.image_size).to(processes.device)
    saliency = find_saliency(sweep, first, images, grid, dino, command.args.masks)
    protocol = plain(sweep)
    # a sweep with more draws or more cells adds settings to the answers that there are
    decides = {name: value for name, value in protocol.items() if name not in ("curves", "draws", "cells")}
    source = {"dino_sha256": sha256(command.args.dino)} if dino is not None else {}
    if foreground_from(sweep, "objects"):
        source = {"masks": str(saliency.masks.folder.resolve())}
    decides["source"] = source
    indices = choose_images(sweep, len(images))
    classes = positions(command.names, command.classes[numbers[0]], command.folder)
    outs = [command.out(number, command.args.sweep, decides) for number in numbers]
    found = {}
    with processes.holding(*outs):
        records = [
            command.blank_record(number, out, command.args.sweep, protocol | source)
            for number, out in zip(numbers, outs, strict=True)
        ]
        subjects = [
            Subject(command.args.model[number], command.models[number], Answers(out, every, indices))
            for number, out in zip(numbers, outs, strict=True)
        ]
        measure(subjects, images, sweep, every, saliency, processes, command.runtime, classes)
        for number, subject, out, record in zip(numbers, subjects, outs, records, strict=True):
            found[number] = metrics_of(sweep, every, subject.answers, grid)
            if processes.leads:
                earlier = subject.answers.seconds + seconds_of(out)
                write_sheet(out / SHEET, subject, images, sweep, every, saliency)
                command.finish(record, out, found[number], (ANSWERS, SHEET), earlier)
    return found


def seconds_of(folder: Path) -> float:
    """How long it took to make the record that is being extended, if there is one."""
    try:
        record = read_record(folder)
    except UnreadableRecord:
        return 0.0  # it is about to be written anew
    return record.wall_seconds if record else 0.0


def measure_natural(args: argparse.Namespace) -> None:
    """ImageNet-A and ImageNet-O, or folders like them."""
    with join_processes(args.device) as processes:
        command = Command(args, processes)
        protocol = {"natural": describe_folder(args.imagenet_a), "outliers": describe_folder(args.imagenet_o)}
        for number, trained in enumerate(command.models):
            known, out = command.classes[number], command.out(number, args.sweep, protocol)
            folders = (args.imagenet_a, args.imagenet_o)
            runtime, names = command.runtime, command.names
            with processes.holding(out):
                record = command.blank_record(number, out, args.sweep, protocol)
                scores = natural.measure(trained, known, *folders, command.images, processes, runtime, names)
                metrics = natural.metrics_of(*scores)
                if processes.leads:
                    natural.save_scores(out / SCORES, *scores)
                    command.finish(record, out, metrics, (SCORES,))
            if processes.leads:
                print(args.model[number])
                for name, value in metrics.items():
                    print(f"  {name:32} {'too few images' if value is None else f'{value:.6g}'}")


def view_of(trained: TrainedModel) -> dict[str, Any]:
    """How a model sees an image: what a record says about it, and what its answers depend on."""
    view = trained.view
    rounded = {name: [round(value, 6) for value in getattr(view, name)] for name in ("mean", "std")}
    return plain(view) | rounded


def val_folder(data: Path) -> Path:
    """The class folders to be classified: the validation split if there is one, else the folder itself."""
    if not data.is_dir():
        raise UserError(f"no such data folder: {data} (it should hold <class>/*.JPEG)")
    split = find_split("val", {entry.name for entry in data.iterdir() if entry.is_dir()})
    return data if split is None else data / split


def command_line() -> str:
    """What makes the record again."""
    return shlex.join(["python", "-m", "robustness", *sys.argv[1:]])


def show(sweep: Sweep, found: list[tuple[str, dict[str, Any]]]) -> None:
    """Print top-1 by curve and severity, mean over draws, one line for each model (name, metrics) and curve."""
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for curve in sweep.curves:
        severities = plain(sweep.points(curve)[0])
        table = Table(title=f"{curve.replace('_', ' ')}: top-1 (%)", title_justify="left", box=None)
        for title in ("model", "clean", *(label(curve, severity) for severity in severities), "area"):
            table.add_column(title, justify="left" if title == "model" else "right")
        for name, metrics in found:
            line = metrics["curves"][curve]
            means = [f"{sum(values) / len(values):.2f}" for values in zip(*line["top1"], strict=True)]
            shown = dict(zip(map(str, line["severities"]), means, strict=True))
            points = [shown.get(str(severity), "") for severity in severities]
            table.add_row(name, f"{metrics['clean']:.2f}", *points, f"{line['area']:.2f}")
        console.print(table)
