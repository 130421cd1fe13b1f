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
_TOGETHER = 64  # micro-batches that are counted in one go: small operations, many of them and slow one at a time


class EpochSums:
    """What an epoch's micro-batches add up to, so far.

    Args:
        device: of their losses.
    """

    def __init__(self, device: torch.device) -> None:
        self._total = torch.zeros(SIZE, dtype=torch.float64, device=device)
        self._noted: list[tuple[Tensor, Tensor, bool]] = []

    @property
    def total(self) -> Tensor:
        """(SIZE,) float64: loss and counts of all micro-batches since it was last set to zero; may be written to."""
        self._count()
        return self._total

    def note(self, loss: Tensor, lam: Tensor, mix: Mix, objects: Tensor | None = None) -> None:
        """Add a micro-batch, without waiting for it; all have as many images.

        Args:
            loss: of the micro-batch, a scalar.
            lam: (B,), the partner's share in the labels.
            mix: how the micro-batch was mixed.
            objects: (B, H, W) bool, where the labelled objects are, where that is known.
        """
        true = torch.full_like(mix.lam, torch.nan, dtype=torch.float32)
        if mix.pasted is not None and objects is not None:
            true = object_share(objects, mix.partner, mix.pasted)
        # of float32, as the labels' lambda is: the area rule moves no label, not even by a rounding error
        self._noted.append(
            (loss.detach().reshape(()), torch.stack([lam.detach(), mix.lam, true]), mix.pasted is not None)
        )
        if len(self._noted) == _TOGETHER:
            self._count()

    def _count(self) -> None:
        if not self._noted:
            return
        losses, shares, pasted = zip(*self._noted, strict=True)
        # one by one, so that rounding does not depend on how many are counted together: a resumed run counts otherwise
        for sums in micro_batch_sums(torch.stack(losses), torch.stack(shares).double(), torch.tensor(pasted)):
            self._total += sums
        self._noted.clear()


def micro_batch_sums(loss: Tensor, shares: Tensor, pasted: Tensor) -> Tensor:
    """What each of n micro-batches adds: (n, SIZE) float64 on the losses' device.

    Args:
        loss: (n,).
        shares: (n, 3, B) float64, the partner's in the label, of the area and, NaN where it is not known, in truth.
        pasted: (n,) bool, whether it has a pasted region; else its labels are by the area, or by Mixup's blend.
    """
    label, area, true = shares.unbind(1)
    pasted = pasted.to(loss.device, torch.float64)
    known = ~true.isnan()
    label_error, area_error = (((share - true.nan_to_num()).abs() * known).sum(1) for share in (label, area))
    moved = (label - area).abs().mean(1)
    scalars = [loss.double(), torch.ones_like(pasted), moved * pasted, pasted, label_error, area_error, known.sum(1)]
    return torch.cat([torch.stack(scalars, 1), lambda_counts(label, area) * pasted[:, None]], 1)


def lambda_counts(label: Tensor, area: Tensor) -> Tensor:
    """Histograms of the labels' lambda, of the area's, and of their difference, one after the other: (n, 80) float64.

    A value on an edge belongs to the bin that begins there, 1 to the last, so a label that was not moved is in the
    upper of the two middle bins. That is decided alike on every device: a float32 number times 20 is exact in float64.

    Args:
        label: (n, B) float64 holding float32 values in [0, 1].
        area: (n, B) the same.
    """
    label_bin, area_bin, shift_bin = (torch.stack([label, area, label - area]) * _UNIT).floor().clamp(max=_UNIT - 1)
    places = torch.cat([label_bin, area_bin + _UNIT, shift_bin + 3 * _UNIT], 1)  # shifts begin at -1
    every = torch.arange(SIZE - _SCALARS, device=label.device)
    return (places[:, None] == every[:, None]).sum(2, dtype=torch.float64)


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
