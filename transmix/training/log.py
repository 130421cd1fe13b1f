"""What a training run says while it runs: a line for each epoch as JSON, and TensorBoard where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transmix.common.files import write_text

NAME = "log.jsonl"
# a line's ``lambda``: histograms over the epoch's CutMix images, as many equal bins each. The partner's share in the
# label and in the area, from 0 to 1, and the label's minus the area's, from -1 to 1; see transmix.training.epoch_sums
LAMBDA_BINS = {"label": 20, "area": 20, "shift": 40}


class EpochLog:
    """The log of a run's folder, written anew from what the run knows: a file that was changed or lost is mended.

    Args:
        folder: the run's.
        history: of the epochs before this session; what an interrupted one told TensorBoard beyond them is dropped.
    """

    def __init__(self, folder: Path, history: list[dict[str, Any]]) -> None:
        self.path = folder / NAME
        self._write(history)
        try:
            from torch.utils.tensorboard import SummaryWriter  # needs the tensorboard package, which is optional
        except ImportError:
            self.board = None
        else:
            self.board = SummaryWriter(folder / "tensorboard", purge_step=len(history))

    def write(self, history: list[dict[str, Any]]) -> None:
        """Log the last epoch of `history`; the file always holds the whole of it."""
        self._write(history)
        if self.board is None:
            return
        row = history[-1]
        for name in ("lr", "loss", "label_shift"):
            self.board.add_scalar(name, row[name], row["epoch"])
        for name in ("top1", "top5") if "accuracy" in row else ():
            self.board.add_scalar(f"val/{name}", row["accuracy"][name], row["epoch"])
        self.board.flush()

    def _write(self, history: list[dict[str, Any]]) -> None:
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in history))
