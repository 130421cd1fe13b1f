"""What an epoch's line in the log is made of: sums over its micro-batches, kept on the device until the epoch ends.

They are one vector, so that it is saved, and added up over processes, as one. In float64, where counts are exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transmix.labels import object_share
from transmix.mixing import Mix
from transmix.training.log import LAMBDA_BINS

_UNIT = LAMBDA_BINS["label"]  # bins between 0 and 1; all three histograms have bins of that width
# loss, micro-batches, how far labels moved from the area rule, CutMix micro-batches, and of the images whose true share
# is known: error of their labels, of their areas, how many
_SCALARS = 7
SIZE = _SCALARS + sum(LAMBDA_BINS.values())


def micro_batch_sums(loss: Tensor, lam: Tensor, mix: Mix, objects: Tensor | None = None) -> Tensor:
    """What a micro-batch adds: (SIZE,) float64 on the loss's device, made without waiting for it.

    Args:
        loss: of the micro-batch, a scalar.
        lam: (B,), the partner's share in the labels.
        mix: how the micro-batch was mixed.
        objects: (B, H, W) bool, where the labelled objects are, where that is known.
    """
    # of float32, as the labels' lambda is: the area rule moves no label, not even by a rounding error
    label, area = torch.stack([lam.detach(), mix.lam]).double()
    sums = label.new_zeros(SIZE)
    sums[0], sums[1] = loss.detach(), 1
    if mix.pasted is not None:  # else labels are by the area, or by Mixup's blend
        sums[2], sums[3] = (label - area).abs().mean(), 1
        if objects is not None:
            sums[4:_SCALARS] = label_errors(label, area, object_share(objects, mix.partner, mix.pasted).double())
        sums[_SCALARS:] = lambda_counts(label, area)
    return sums


def label_errors(label: Tensor, area: Tensor, true: Tensor) -> Tensor:
    """How far labels and areas are from the truth, summed over the images where it is known, and how many: (3,).

    Args:
        label: (B,) float64, the partner's share in the label.
        area: (B,) its share of the area.
        true: (B,) its share of the objects' visible pixels; NaN where no object shows.
    """
    known = ~true.isnan()
    true = true.nan_to_num()
    return torch.stack([((label - true).abs() * known).sum(), ((area - true).abs() * known).sum(), known.sum()])


def lambda_counts(label: Tensor, area: Tensor) -> Tensor:
    """Histograms of the labels' lambda, of the area's, and of their difference, one after the other: (80,) float64.

    A value on an edge belongs to the bin that begins there, 1 to the last, so a label that was not moved is in the
    upper of the two middle bins. That is decided alike on every device: a float32 number times 20 is exact in float64.

    Args:
        label: (B,) float64 holding float32 values in [0, 1].
        area: (B,) the same.
    """
    label_bin, area_bin, shift_bin = (torch.stack([label, area, label - area]) * _UNIT).floor().clamp(max=_UNIT - 1)
    places = torch.cat([label_bin, area_bin + _UNIT, shift_bin + 3 * _UNIT])  # shifts begin at -1
    every = torch.arange(SIZE - _SCALARS, device=label.device)
    return (places == every[:, None]).sum(1, dtype=torch.float64)


def summary(sums: Tensor) -> dict[str, Any]:
    """An epoch's loss, mean label shift and histograms, from the sums of all its micro-batches.

    Where objects were known, also the mean absolute errors of the labels' lambda and of the area.
    """
    loss, micro_batches, moved, cutmixed, label_error, area_error, known = sums[:_SCALARS].tolist()
    counts = sums[_SCALARS:].long().split(list(LAMBDA_BINS.values()))
    errors = {"lambda_error": {"label": label_error / known, "area": area_error / known}} if known else {}
    return {
        "loss": loss / micro_batches,
        "label_shift": moved / cutmixed if cutmixed else 0.0,
        "lambda": {name: some.tolist() for name, some in zip(LAMBDA_BINS, counts, strict=True)},
        **errors,
    }
