"""Runs of kind ``public``: weights from elsewhere, brought into this suite's form and evaluated."""

from __future__ import annotations

from typing import Any

import timm
from timm.models import get_pretrained_cfg
from torch import nn

from experiments.correctness import pack
from experiments.kinds.public import PublicModel
from experiments.public import TIMM
from experiments.run import Outcome
from experiments.runs import Run
from transmix.common.errors import UserError
from transmix.common.files import sha256
from transmix.common.plain import built
from transmix.common.runtime import Runtime
from transmix.data.loaders import Normalizer, Shard, eval_loader
from transmix.data.sources import ImageSource
from transmix.models.cost import forward_macs
from transmix.models.local import count_classes, fill
from transmix.training.checkpoints import load_model, read_checkpoint, save_weights
from transmix.training.distributed import Processes
from transmix.training.evaluate import evaluate
from transmix.training.loop import WEIGHTS


def execute(run: Run, source: ImageSource, processes: Processes, runtime: Runtime) -> Outcome:
    """Read the weights or let timm download them, keep them beside the record, and classify the validation images."""
    settings = built(PublicModel, run.settings)
    path = run.folder / WEIGHTS
    origin: dict[str, Any] = {}
    processes.lead(lambda: origin.update(_bring(run, settings, source.num_classes)))
    model, about = load_model(path)
    gmacs = forward_macs(model, settings.image_size) / 1e9
    parameters = sum(parameter.numel() for parameter in model.parameters())
    device = processes.device
    images, shard = source.open("val"), Shard(processes.rank, processes.world)
    batches = eval_loader(settings.view, images, runtime.workers, shard, device.type == "cuda")
    normalise = Normalizer(tuple(about["mean"]), tuple(about["std"])).to(device)
    accuracy, right = evaluate(model.to(device), batches, normalise, processes)
    metrics = {
        "top1": accuracy.top1,
        "top5": accuracy.top5,
        "val_images": accuracy.images,
        "parameters": parameters,
        "gmacs": gmacs,
    }
    return Outcome(metrics, (WEIGHTS,), extra={"weights": WEIGHTS, "origin": origin, "right": pack(right.numpy())})


def _bring(run: Run, settings: PublicModel, classes: int) -> dict[str, str]:
    """Write the weights as a file of this suite; says where they came from."""
    model, origin = _downloaded(run, settings) if "weights" not in run.inputs else _read(run, settings)
    found = model.num_classes
    if found != classes:
        raise UserError(
            f"weights {settings.weights} tell {found:,} classes apart, the data have {classes:,}: give others"
        )
    config = get_pretrained_cfg(settings.model)
    about = {"model": settings.model, "num_classes": found, "image_size": settings.image_size}
    about |= {"mean": config.mean, "std": config.std, "run": run.id}
    save_weights(model, run.folder / WEIGHTS, about)
    return origin


def _downloaded(run: Run, settings: PublicModel) -> tuple[nn.Module, dict[str, str]]:
    """timm's own way: from its hub, or what lies in the hub's cache; safetensors, or pickles of tensors alone."""
    name = settings.weights.removeprefix(f"{TIMM}/")
    try:
        return timm.create_model(name, pretrained=True).eval(), {"timm": name}
    except (OSError, RuntimeError, ValueError) as error:  # the hub's errors of network and cache are among them
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise UserError(f"{name} cannot be downloaded ({reason}): give a file, WEIGHTS={run.row}=FILE") from error


def _read(run: Run, settings: PublicModel) -> tuple[nn.Module, dict[str, str]]:
    """A local file, by the reader that reads every checkpoint."""
    path = run.inputs["weights"]
    found = read_checkpoint(path)
    if found.about:
        raise UserError(f"weights file {path} was written by this suite: public weights are somebody else's")
    model = fill(settings.model, path, found.tensors, num_classes=count_classes(settings.model, path, found.tensors))
    return model.eval(), {"file": path.name, "sha256": sha256(path), "taken": found.taken}
