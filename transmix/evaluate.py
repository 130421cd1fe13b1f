"""Top-1 and top-5 accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transmix.data import Normalizer
from transmix.distributed import Processes
from transmix.precision import autocast


@dataclass(frozen=True)
class Accuracy:
    """Accuracies in percent over `images` images."""

    top1: float
    top5: float
    images: int


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    normalise: Normalizer,
    processes: Processes,
    precision: str = "fp32",
) -> Accuracy:
    """Accuracy over the batches of all processes; the model's training mode is put back afterwards."""
    device = processes.device
    was_training, normalise_was_training = model.training, normalise.training
    model.eval()
    normalise.eval()
    hits = torch.zeros(3, dtype=torch.float64, device=device)  # top-1, top-5, images
    for images, labels in batches:
        images = normalise(images.to(device, non_blocking=True))
        with autocast(device, precision):
            logits = model(images)
        labels = labels.to(device, non_blocking=True)
        ranked = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
        hits += torch.stack([ranked[:, 0].sum(), ranked.sum(), labels.new_tensor(len(labels))])
    model.train(was_training)
    normalise.train(normalise_was_training)
    top1, top5, images = processes.total(hits).tolist()
    return Accuracy(100 * top1 / images, 100 * top5 / images, int(images))
