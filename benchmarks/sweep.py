"""``make bench``: one pass over the images for all settings of a sweep, against one pass a setting.

Writes its own 224 px JPEGs, and runs both ways in this one process, with the same model and the same answers. What a
sweep saves is reading and decoding: where they are a share d of a pass, it is at most about 1 / (1 - d) times faster.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.data import resolve_data_config

from experiments.protocols import Sweep
from experiments.run import default_workers
from experiments.trained import TrainedModel
from robustness.answers import Answers
from robustness.settings import Setting, settings_of
from robustness.sweep import Subject, choose_images, for_device, grid_of, measure
from transmix.common.errors import exit_on_user_error
from transmix.common.runtime import Runtime
from transmix.data.loaders import eval_loader
from transmix.data.sources import Images
from transmix.data.sources.folders import FolderImages
from transmix.data.view import View
from transmix.models import create_model
from transmix.training.distributed import Processes, join_processes

SWEEP = Sweep(curves=("random", "shuffle"), tenths=tuple(range(1, 10)), cells=((4, 4),), draws=3)
# on a CPU one whose forward pass costs little next to reading, as DeiT-T's does on a GPU: four patches an image
MODELS = {"cuda": ("deit_tiny_patch16_224", {}), "cpu": ("deit_micro_tiny_patch8_64", {"patch_size": 32})}
IMAGES = {"cuda": 8192, "cpu": 256}


def main() -> None:
    """Parse the command line; time both ways to classify perturbed images, and print how they compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__)
    parser.add_argument("--model", metavar="NAME", help="timm model (default: one that suits the device)")
    parser.add_argument("--images", type=int, metavar="N", help=f"JPEGs to write (default: {IMAGES})")
    parser.add_argument("--workers", type=int, metavar="N", help="loader processes")
    args = parser.parse_args()
    with join_processes() as processes, tempfile.TemporaryDirectory() as scratch:
        kind = processes.device.type
        name, settings = (args.model, {}) if args.model else MODELS[kind]
        trained = random_model(name, "bf16" if kind == "cuda" else "fp32", settings)
        images = FolderImages(write_images(Path(scratch) / "images", args.images or IMAGES[kind]))
        workers = default_workers(processes) if args.workers is None else args.workers
        runtime = Runtime(workers, channels_last=kind == "cuda", progress=False)
        report(trained, images, Path(scratch), processes, runtime)


def report(trained: TrainedModel, images: Images, scratch: Path, processes: Processes, runtime: Runtime) -> None:
    """Time reading alone, a pass a setting, and one pass for all; print what came out."""
    sweep = replace(SWEEP, grid=grid_of(SWEEP, trained)[0])
    settings = settings_of(sweep, grid_of(sweep, trained))[1:]  # 30, without the clean images

    def answers(some: list[Setting], name: str) -> tuple[float, np.ndarray]:
        subject = Subject(name, trained, Answers(scratch / name, some, choose_images(sweep, len(images))))
        begin = time.perf_counter()
        measure([subject], images, sweep, some, None, processes, runtime)
        return time.perf_counter() - begin, subject.answers.right

    answers(settings[:1], "warm-up")
    begin = time.perf_counter()
    view = for_device(trained.view, processes.device)
    for _ in eval_loader(view, images, runtime.workers):
        pass
    reading = time.perf_counter() - begin
    apart = [answers([setting], f"apart{number}") for number, setting in enumerate(settings)]
    seconds, right = answers(settings, "together")
    separate = sum(one for one, _ in apart)
    assert np.array_equal(right, np.concatenate([rows for _, rows in apart])), "both ways give the same answers"
    count, share = len(settings), 100 * reading * len(settings) / separate
    print(f"{trained.name} at {trained.view.image_size} px, {len(images)} JPEGs of 224 px, {processes.device}")
    print(f"  reading and decoding alone {reading:8.2f} s, {share:.0f} % of a pass")
    print(f"  {count} passes, one a setting   {separate:8.2f} s")
    print(f"  1 pass for {count} settings     {seconds:8.2f} s")
    print(f"  faster by                  {separate / seconds:8.1f} times")


def random_model(name: str, precision: str, settings: dict[str, int]) -> TrainedModel:
    """A model with random weights: what it answers does not matter for its speed."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=10, **settings).eval()
    return TrainedModel(name, model, View.of_timm(resolve_data_config(model=model), precision=precision))


def write_images(folder: Path, count: int, size: int = 224) -> Path:
    """Smooth noise, which compresses about as photographs do, in ten class folders."""
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / f"class{index % 10}" / f"{index:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = Image.fromarray(rng.integers(0, 256, (56, 56, 3), dtype=np.uint8))
        noise.resize((size, size), Image.Resampling.BICUBIC).save(path, quality=90)
    return folder


if __name__ == "__main__":
    exit_on_user_error(main)
