"""Runs of kind ``segmentation`` and ``detection``: a classifier of Table 1, or random weights, fine-tuned."""

from __future__ import annotations

import importlib

from mmengine.config import Config

from downstream.fine_tune import WEIGHTS, fine_tune
from downstream.openmmlab import LIBRARIES, load_config, prepare, quiet
from downstream.pictures import predictions
from downstream.precision import put_precision
from downstream.rows import put_backbone, put_classes, row_config
from downstream.small import small_config
from experiments.dense import DenseSource
from experiments.kinds.segmentation import PICTURE
from experiments.protocols import FineTuning
from experiments.run import Outcome
from experiments.runs import Run
from experiments.scales import SCALES
from experiments.trained import weights_file
from transmix.common.errors import UserError
from transmix.common.files import replacing
from transmix.common.runtime import Runtime
from transmix.training.distributed import Processes

PACKAGES = {"segmentation": ("mmseg", "mmengine", "mmcv"), "detection": ("mmdet", "mmseg", "mmengine", "mmcv")}


def load() -> None:
    """Load both libraries, which takes seconds: for a process that runs are forked from."""
    with quiet():
        for library in LIBRARIES:
            prepare(library)


def execute(run: Run, source: DenseSource, processes: Processes, runtime: Runtime) -> Outcome:
    """Fine-tune (or continue), evaluate, and draw predictions beside the truth."""
    if runtime.compile or runtime.channels_last:
        raise UserError(f"--compile and --channels-last are not for a {run.kind}: leave them out")
    config = config_of(run, source)
    operators = prepare(config.default_scope)
    weights = weights_file(run.needs[0]) if run.needs else None
    multi_scale = run.settings["multi_scale"]
    tuned = fine_tune(
        config,
        weights,
        run.data.source.path,
        run.folder,
        run.seed,
        processes,
        runtime,
        multi_scale=multi_scale,
        cache=run.data.folder,
    )
    if processes.leads:
        with replacing(run.folder / PICTURE) as file:
            predictions(tuned.model, tuned.images).save(file, "PNG")
    metrics = {
        **tuned.metrics,
        "parameters": sum(parameter.numel() for parameter in tuned.model.parameters()),
        "val_images": source.counts["val"],
        "peak_memory_mib": round(processes.peak_memory_mib(), 1),
    }
    if run.kind == "segmentation":
        metrics.setdefault("mIoU_ms", None)
    report = tuned.weights and {
        "loaded": len(tuned.weights.loaded),
        "dropped": list(tuned.weights.dropped),
        "resized": list(tuned.weights.resized),
    }
    versions = {name: importlib.import_module(name).__version__ for name in PACKAGES[run.kind]}
    return Outcome(
        metrics, (WEIGHTS, PICTURE), tuned.seconds, {"weights_report": report}, packages=versions, operators=operators
    )


def config_of(run: Run, source: DenseSource) -> Config:
    """The configuration that a run names, for its row, its scale and the classes of its data."""
    protocol, model = FineTuning.of(run.settings), run.settings["model"]
    if SCALES[run.scale].models:
        config = small_config(load_config(protocol.config), source.class_names, model, protocol)
    else:
        config = row_config(protocol.config, run.row)
        put_backbone(config, model=model)
        if source.class_names is not None:
            put_classes(config, source.class_names)
    put_precision(config, protocol.precision)
    return config
