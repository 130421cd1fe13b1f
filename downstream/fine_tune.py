"""Fine-tune a trained classifier on a dense task through mmengine's Runner."""

from __future__ import annotations

import io
import sys
import time
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, MODELS
from mmengine.runner import Runner, TestLoop
from rich.progress import Progress, TaskID
from torch import nn
from torch.utils.data import Dataset

from downstream.checking import check_data
from downstream.draws import count_draws
from downstream.openmmlab import prepare, quiet
from downstream.precision import check_precision
from downstream.reading import name_unreadable_files, readable
from downstream.resume import STATE, SaveState, bare
from downstream.runner import DeviceRunner
from downstream.weights import KeyReport
from transmix.common.errors import UserError
from transmix.common.files import library_writes, sha256
from transmix.common.progress import progress_bar
from transmix.common.runtime import Runtime
from transmix.common.seeding import derive_seed
from transmix.common.stopping import StopRequest, outlive_a_stop
from transmix.recipe import fingerprint
from transmix.training.checkpoints import save_weights
from transmix.training.distributed import Processes

WEIGHTS = "model.safetensors"
FUNCTIONS.register_module(module=outlive_a_stop)
_runs = count()  # of this process
PUBLISHED_GPUS = 8  # for which the configurations give the images per GPU

_AREAS = {"": "", "50": "_50", "75": "_75", "s": "_s", "m": "_m", "l": "_l"}
METRICS = {  # the names under which the libraries report what the tables show
    "mmseg": {"mIoU": "mIoU", "mAcc": "mAcc", "aAcc": "aAcc"},
    "mmdet": {
        f"{ours}_AP{area}": f"coco/{theirs}_mAP{suffix}"
        for ours, theirs in (("box", "bbox"), ("mask", "segm"))
        for area, suffix in _AREAS.items()
    },
}
NONE_THERE = -1.0  # COCO's AP where no object is of that size


@dataclass(frozen=True)
class FineTuned:
    """What a finished fine-tuning leaves.

    Attributes:
        metrics: in per cent: mIoU, mAcc, aAcc, and mIoU_ms if asked for; or COCO's twelve. None: not defined.
        seconds: over all the sessions that it took.
        model: the whole model, on its device.
        images: the data set that it was evaluated on, as the library reads it.
        weights: what became of the classifier's tensors; None if there were none.
    """

    metrics: dict[str, float | None]
    seconds: float
    model: nn.Module
    images: Dataset
    weights: KeyReport | None


def fine_tune(
    config: Config,
    weights: Path | None,
    data: Path,
    out: Path,
    seed: int,
    processes: Processes,
    runtime: Runtime | None = None,
    multi_scale: bool = False,
    cache: Path | None = None,
) -> FineTuned:
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
        multi_scale: evaluate a segmentation once more, by the ``tta_pipeline`` of `config`.
        cache: where it is kept that the data was found whole; by default in `out`.

    Raises:
        UserError: no such data, or anything wrong with it; weights of another model, or a state of another run.
        Stopped: a signal asked to stop while it trained; its state is written.
    """
    runtime, stop = runtime or Runtime(), StopRequest()
    library = config.default_scope
    with quiet(), redirect_stdout(Nowhere()):
        prepare(library)
        runnable = _runnable(config, weights, data, out, seed, processes, runtime)
        _check(runnable, out if cache is None else cache, processes, told=cache is not None)
        name_unreadable_files(runnable)
        count_draws(runnable, seed)
        with library_writes(out / "mmengine"):
            runner = DeviceRunner.from_cfg(runnable)
        identity = fingerprint([config.to_dict(), weights and sha256(weights), str(data), seed, processes.world])
        saving = SaveState(out / STATE, identity, processes, stop, runtime.checkpoint_seconds)
        runner.register_hook(saving)
        with progress_bar(runtime.progress and processes.leads) as bar:
            runner.register_hook(ShowProgress(bar, out.name))
            with stop:  # later there is nothing to save
                runner.train()
            images = runner.test_dataloader.dataset
            metrics = _in_per_cent(runner.test(), library)
            if multi_scale:
                metrics["mIoU_ms"] = _in_per_cent(_test_multi_scale(runner, config), library)["mIoU"]
    model = bare(runner.model)
    processes.lead(lambda: save_weights(model, out / WEIGHTS, {"run": out.name}))
    return FineTuned(metrics, time.monotonic() - saving.began, model, images, model.backbone.report)


def _in_per_cent(measured: dict[str, float], library: str) -> dict[str, float | None]:
    """The library's metrics by the names of the tables."""
    if not measured:  # what mmdet says of a model that finds nothing at all
        return {name: 0.0 if name.endswith(("AP", "AP50", "AP75")) else None for name in METRICS[library]}
    found = {name: float(measured[key]) for name, key in METRICS[library].items()}
    if library == "mmseg":
        return found
    return {name: None if value == NONE_THERE else round(100 * value, 1) for name, value in found.items()}


def _test_multi_scale(runner: Runner, config: Config) -> dict[str, float]:
    """Evaluate a trained segmentation with the mean of its predictions on several views of an image."""
    loader = deepcopy(runner.cfg.test_dataloader)
    loader.dataset.pipeline = readable(config.tta_pipeline, config.default_scope)
    single, runner.model = runner.model, MODELS.build({"type": "SegTTAModel", "module": bare(runner.model)})
    try:
        return TestLoop(runner, loader, runner.cfg.test_evaluator).run()
    finally:
        runner.model = single


class Nowhere(io.TextIOBase):
    """Where the libraries' console output goes; mmengine writes the same to its log file."""

    def write(self, text: str) -> int:
        """Drop the text, and say that all of it was written."""
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
    check_precision(config, processes)
    # a copy whose text, of which mmengine writes several, is not laid out by yapf: that takes seconds
    config = Config(config.to_dict(), filename=config.filename, format_python_code=False)
    config.device = str(processes.device)
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
        config[name].worker_init_fn = {"type": "outlive_a_stop"}
    config.test_evaluator.collect_device = "gpu"  # from process to process; "cpu" goes through files where we stand
    config.val_dataloader = config.val_cfg = config.val_evaluator = None  # evaluated once, at the end
    config.launcher = "pytorch" if processes.world > 1 else "none"
    config.randomness = {"seed": derive_seed(seed, "mmengine") % 2**31}
    if config.optim_wrapper.optimizer.type == "AdamW":
        config.optim_wrapper.optimizer.fused = True  # one kernel instead of a dozen for each tensor
    config.env_cfg.cudnn_benchmark = False  # it chooses kernels by the clock
    config.default_hooks.checkpoint = None
    config.default_hooks.pop("visualization", None)
    config.visualizer.pop("name")  # then it is the experiment's
    config.visualizer.vis_backends = []
    config.experiment_name = f"{out.name}-{next(_runs)}"  # mmengine keeps loggers and the like by this name
    return config


def _check(config: Config, cache: Path, processes: Processes, told: bool) -> None:
    """Check the data, one process first: what it has found whole, the others do not look at."""
    if processes.leads:
        for note in check_data(config, cache):
            if not told:  # whoever gave a cache has read the data, and said so
                print(f"note: {note}", file=sys.stderr)
    processes.wait()
    if not processes.leads:
        check_data(config, cache)


def point_at(config: Config, data: Path) -> None:
    """Make `config` read the data set in the folder `data`, laid out as its own."""
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        config[name].dataset.data_root = str(data)
    for name in ("val_evaluator", "test_evaluator"):
        if "ann_file" in config[name]:  # the one path that mmdet does not join to the root
            config[name].ann_file = str(data / config.test_dataloader.dataset.ann_file)


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
        """Move the bar of the training, every ten iterations."""
        if runner.iter % 10 == 9:
            self.bar.update(self.line, completed=runner.iter + 1, note=f"loss {outputs['loss'].item():.3f}")

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin a bar for the evaluation."""
        self.line = self.bar.add_task(f"{self.name}: evaluation", total=len(runner.test_loop.dataloader), note="")

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move the bar of the evaluation by a batch."""
        self.bar.advance(self.line)
