"""One training step of a configuration on a small random image, and its learning rates: a check before weeks of GPU.

The model is the real one, heads included; only the image is small. Nothing is downloaded or written.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, OPTIMIZERS, PARAM_SCHEDULERS, DefaultScope
from mmengine.structures import InstanceData, PixelData
from torch import Tensor, nn

from downstream.openmmlab import prepare, quiet
from transmix.training.precision import autocast

IMAGES = 2  # one would leave BatchNorm a single value where a head pools the whole image


@dataclass(frozen=True)
class Rehearsal:
    """What a configuration does in one step.

    Attributes:
        parameters: of the whole model, heads included.
        losses: by name, on a random image.
        without_gradient: parameters that the losses do not reach; DDP would wait for them.
        undecayed: parameters that weight decay spares.
        learning_rates: by iteration, counted from 0.
        ops: what computes mmcv's operators: ``compiled`` or ``torchvision``.
    """

    parameters: int
    losses: dict[str, float]
    without_gradient: tuple[str, ...]
    undecayed: tuple[str, ...]
    learning_rates: dict[int, float]
    ops: str


def rehearse(
    config: Config,
    at: Iterable[int] = (0,),
    epoch_length: int = 1,
    side: int = 96,
    device: torch.device | str = "cpu",
    precision: str = "fp32",
) -> Rehearsal:
    """Build the model of `config`, run forward and backward once, and follow its schedule.

    Args:
        config: an mmseg or mmdet configuration.
        at: iterations of which the learning rate is wanted.
        epoch_length: iterations an epoch, where the schedule counts epochs (COCO at 16 images: 7,330).
        side: of the square random image, in pixels.
        device: that computes.
        precision: of the forward pass, as `Recipe.precision`.
    """
    device = torch.device(device)
    library = config.default_scope
    ops = prepare(library)
    config = deepcopy(config)
    if library == "mmseg":
        config.model.data_preprocessor.size = (side, side)  # or else it pads to the crop
    with quiet(), DefaultScope.overwrite_default_scope(library):
        model = revert_sync_batchnorm(MODELS.build(config.model)).train()
        model.init_weights()
        model.to(device)
        batch = model.data_preprocessor(_random_batch(library, model, side), training=True)
        with autocast(device, precision):
            losses = model(**batch, mode="loss")
        total, _ = model.parse_losses(losses)
        total.backward()
        optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
        rates = learning_rates(config, at, epoch_length)
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = [group for group in optimizer.param_groups if group["weight_decay"] == 0]
    return Rehearsal(
        parameters=sum(parameter.numel() for parameter in names),
        losses={name: float(_sum(loss).detach()) for name, loss in losses.items() if "loss" in name},
        without_gradient=tuple(name for parameter, name in names.items() if parameter.grad is None),
        undecayed=tuple(names[parameter] for group in groups for parameter in group["params"]),
        learning_rates=rates,
        ops=ops,
    )


def _sum(loss: Tensor | list[Tensor]) -> Tensor:
    return loss.sum() if isinstance(loss, Tensor) else sum(part.sum() for part in loss)


def _random_batch(library: str, model: nn.Module, side: int) -> dict[str, list[Any]]:
    """Images and labels as the library's loaders give them."""
    meta = {"img_shape": (side, side), "ori_shape": (side, side), "pad_shape": (side, side), "scale_factor": (1, 1)}
    samples = []
    for _ in range(IMAGES):
        if library == "mmseg":
            from mmseg.structures import SegDataSample

            labels = torch.randint(model.decode_head.num_classes, (1, side, side))
            samples.append(SegDataSample(metainfo=meta, gt_sem_seg=PixelData(data=labels)))
        else:
            from mmdet.structures import DetDataSample
            from mmdet.structures.mask import BitmapMasks

            low, high = side // 4, 3 * side // 4
            masks = torch.zeros(1, side, side, dtype=torch.uint8)
            masks[:, low:high, low:high] = 1
            found = InstanceData(
                bboxes=torch.tensor([[low, low, high, high]], dtype=torch.float32),
                labels=torch.zeros(1, dtype=torch.long),
                masks=BitmapMasks(masks.numpy(), side, side),
            )
            samples.append(DetDataSample(metainfo=meta, gt_instances=found))
    images = [torch.randint(256, (3, side, side), dtype=torch.uint8) for _ in samples]
    return {"inputs": images, "data_samples": samples}


def learning_rates(config: Config, at: Iterable[int], epoch_length: int = 1) -> dict[int, float]:
    """The learning rate of `config` with which each iteration in `at` (from 0) is computed.

    It is mmengine's own schedule that is followed, iteration by iteration, so that overlapping parts of it count.
    """
    prepare(config.default_scope)
    wanted = sorted(at)
    optimizer = OPTIMIZERS.build(dict(config.optim_wrapper.optimizer, params=[nn.Parameter(torch.zeros(1))]))
    schedulers = [PARAM_SCHEDULERS.build(dict(part, optimizer=optimizer)) for part in config.param_scheduler]
    optimizer.step()  # moves nothing, but schedulers warn without
    rates = {}
    for iteration in range(wanted[-1] + 1):
        if iteration in wanted:
            rates[iteration] = optimizer.param_groups[0]["lr"]
        for scheduler in schedulers:
            if not scheduler.by_epoch or (iteration + 1) % epoch_length == 0:
                scheduler.step()
    return rates
