"""Top-1 and top-5 accuracy, and which images were right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transmix.common.errors import UserError
from transmix.data.loaders import EvalBatches, Normalizer
from transmix.training.distributed import Processes
from transmix.training.precision import autocast


@dataclass(frozen=True)
class Accuracy:
    """Accuracies in percent over `images` images."""

    top1: float
    top5: float
    images: int


def check_finite(broken: int, images: int) -> None:
    """Raise `UserError` if there were images for which a model's outputs are not finite: they have no answer."""
    if broken:
        raise UserError(
            f"the model's outputs are NaN or infinite on {broken:,} of {images:,} images, so nothing was measured: its "
            "weights are broken, or too large for its precision (fp32 has the widest range)"
        )


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

    Raises:
        UserError: some of the model's outputs are not finite.
    """
    device = processes.device
    was_training, normalise_was_training = model.training, normalise.training
    model.eval()
    normalise.eval()
    places = torch.tensor(batches.indices, dtype=torch.int64, device=device)
    # of each image: right in the first guess, right in five, seen at all, and seen as no numbers
    hits = torch.zeros((4, len(batches.samples)), dtype=torch.uint8, device=device)
    done = 0
    for batch in batches:
        images = normalise(batch.images.to(device, non_blocking=True))
        with autocast(device, precision):
            logits = model(images)
        labels = batch.labels.to(device, non_blocking=True)
        ranked = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
        some = places[done : done + len(labels)]
        broken = ~logits.isfinite().all(1)
        hits[:, some] = torch.stack([ranked[:, 0], ranked.any(1), torch.ones_like(broken), broken]).to(hits)
        done += len(labels)
    model.train(was_training)
    normalise.train(normalise_was_training)
    hits = processes.total(hits).cpu()
    top1, top5, seen, broken = hits.sum(1).tolist()
    check_finite(broken, seen)
    return Accuracy(100 * top1 / seen, 100 * top5 / seen, seen), hits[0].bool()
