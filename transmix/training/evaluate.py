"""Top-1 and top-5 accuracy, and which images were right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transmix.data.loaders import EvalBatches, Normalizer
from transmix.training.distributed import Processes
from transmix.training.precision import autocast


@dataclass(frozen=True)
class Accuracy:
    """Accuracies in percent over `images` images."""

    top1: float
    top5: float
    images: int


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: EvalBatches,
    normalise: Normalizer,
    processes: Processes,
    precision: str = "fp32",
) -> tuple[Accuracy, Tensor]:
    """Accuracy over the batches of all processes, and which images the model was right about.

    The latter is (N,) bool on the CPU, for each image of the split in the data set's order, however the images are
    dealt to processes and batches. The model's training mode is put back afterwards.
    """
    device = processes.device
    was_training, normalise_was_training = model.training, normalise.training
    model.eval()
    normalise.eval()
    places = torch.tensor(batches.indices, dtype=torch.int64, device=device)
    # of each image: right in the first guess, right in five, seen at all
    hits = torch.zeros((3, len(batches.samples)), dtype=torch.uint8, device=device)
    done = 0
    for images, labels in batches:
        images = normalise(images.to(device, non_blocking=True))
        with autocast(device, precision):
            logits = model(images)
        labels = labels.to(device, non_blocking=True)
        ranked = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
        some = places[done : done + len(labels)]
        hits[:, some] = torch.stack([ranked[:, 0], ranked.any(1), torch.ones_like(ranked[:, 0])]).to(hits)
        done += len(labels)
    model.train(was_training)
    normalise.train(normalise_was_training)
    hits = processes.total(hits).cpu()
    top1, top5, seen = hits.sum(1).tolist()
    return Accuracy(100 * top1 / seen, 100 * top5 / seen, seen), hits[0].bool()
