"""Fine-tune a trained classifier on a dense task through mmengine's Runner."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from rich.progress import Progress, TaskID

from downstream.draws import count_draws
from downstream.openmmlab import prepare, quiet
from downstream.resume import STATE, bare
from transmix.checkpoints import save_weights
from transmix.distributed import Processes
from transmix.errors import UserError
from transmix.files import sha256
from transmix.progress import progress_bar
from transmix.recipe import fingerprint
from transmix.seeding import derive_seed
from transmix.train import Runtime

WEIGHTS = "model.safetensors"
_runs = count()  # of this process
PUBLISHED_GPUS = 8  # for which the configurations give the images per GPU

# names under which the libraries report what the tables show, all in per cent
METRICS = {
    "mmseg": {"mIoU": "mIoU", "aAcc": "aAcc", "mAcc": "mAcc"},
    "mmdet": {
        "box_ap": "coco/bbox_mAP",
        "box_ap50": "coco/bbox_mAP_50",
        "mask_ap": "coco/segm_mAP",
        "mask_ap50": "coco/segm_mAP_50",
    },
}


def fine_tune(
    config: Config,
    weights: Path | None,
    data: Path,
    out: Path,
    seed: int,
    processes: Processes,
    runtime: Runtime | None = None,
) -> dict[str, float]:
    """Train `config` to its end, or continue that, then evaluate once.

    The same arguments give the same metrics, interrupted or not, with any number of loader processes. The number of
    images a step is that of the configuration on 8 GPUs, or its ``total_batch_size``, whatever the number of processes.

    Args:
        config: see `downstream.rows.row_config`.
        weights: of the classifier that is fine-tuned; None for random weights.
        data: the data set's root folder.
        out: the run's folder; it gets the state, mmengine's log and the fine-tuned model.
        seed: of every draw.
        processes: this process among the run's.
        runtime: how it is carried out.

    Returns:
        mIoU, aAcc and mAcc, or box and mask AP (and AP50), in per cent.

    Raises:
        UserError: no such data, weights of another model, or a state of another run.
    """
    runtime = runtime or Runtime()
    library = config.default_scope
    with quiet(), redirect_stdout(Nowhere()):
        prepare(library)
        runner = Runner.from_cfg(_runnable(config, weights, data, out, seed, processes, runtime))
        with progress_bar(runtime.progress and processes.leads) as bar:
            runner.register_hook(ShowProgress(bar, out.name))
            runner.train()
            measured = runner.test()
    if processes.leads:
        save_weights(bare(runner.model), out / WEIGHTS, {"run": out.name})
    scale = 100 if library == "mmdet" else 1
    return {name: scale * float(measured[key]) for name, key in METRICS[library].items() if key in measured}


class Nowhere(io.TextIOBase):
    """Where the libraries' console output goes; mmengine writes the same to its log file."""

    def write(self, text: str) -> int:
        """Drop it."""
        return len(text)


def _runnable(
    config: Config,
    weights: Path | None,
    data: Path,
    out: Path,
    seed: int,
    processes: Processes,
    runtime: Runtime,
) -> Config:
    """A copy of `config` for mmengine's Runner: with data, weights, seeds and our hooks."""
    if not data.is_dir():
        raise UserError(f"no such data folder: {data}")
    identity = [config.pretty_text, weights and sha256(weights), str(data), seed, processes.world]
    config = deepcopy(config)
    config.work_dir = str(out / "mmengine")
    config.model.backbone.weights = None if weights is None else str(weights)
    point_at(config, data)
    loader = config.train_dataloader
    total = config.get("total_batch_size", PUBLISHED_GPUS * loader.batch_size)
    if total % processes.world:
        raise UserError(
            f"{total} images a step cannot be divided among {processes.world} processes: use another number"
        )
    loader.batch_size = total // processes.world
    for name in ("train_dataloader", "test_dataloader"):
        config[name].num_workers = runtime.workers
        config[name].persistent_workers = runtime.workers > 0
    config.val_dataloader = config.val_cfg = config.val_evaluator = None  # evaluated once, at the end
    config.launcher = "pytorch" if processes.world > 1 else "none"
    config.randomness = {"seed": derive_seed(seed, "mmengine") % 2**31}
    config.env_cfg.cudnn_benchmark = False  # it chooses kernels by the clock
    config.default_hooks.checkpoint = None
    config.default_hooks.pop("visualization", None)
    config.visualizer.pop("name")  # then it is the experiment's
    config.visualizer.vis_backends = []
    config.experiment_name = f"{out.name}-{next(_runs)}"  # mmengine keeps loggers and the like by this name
    count_draws(config, seed)
    state = {"path": str(out / STATE), "identity": fingerprint(identity), "seconds": runtime.checkpoint_seconds}
    config.custom_hooks.append({"type": "SaveState", **state})
    return config


def point_at(config: Config, data: Path) -> None:
    """Make `config` read the data set in the folder `data`, laid out as its own."""
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        config[name].dataset.data_root = str(data)
    for name in ("val_evaluator", "test_evaluator"):
        if "ann_file" in config[name]:  # the one path that mmdet does not join to the root
            config[name].ann_file = str(data / config.test_dataloader.dataset.ann_file)


@HOOKS.register_module()
class ShowProgress(Hook):
    """A progress bar with time left, for training and then for the evaluation."""

    def __init__(self, bar: Progress, name: str) -> None:
        self.bar, self.name = bar, name
        self.line: TaskID | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Start at the iteration that the training starts at."""
        if self.line is None:
            self.line = self.bar.add_task(self.name, total=runner.max_iters, completed=runner.iter, note="")

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """One iteration more."""
        if batch_idx % 10 == 9:
            self.bar.update(self.line, completed=runner.iter + 1, note=f"loss {outputs['loss'].item():.3f}")

    def before_test_epoch(self, runner: Runner) -> None:
        """The second bar."""
        self.line = self.bar.add_task(f"{self.name}: evaluation", total=len(runner.test_dataloader), note="")

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """One batch more."""
        self.bar.advance(self.line)
