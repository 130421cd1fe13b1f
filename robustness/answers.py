"""Which images a model got right under each setting of a sweep, kept on disk while the answers come in."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from experiments.kinds.occlusion import ANSWERS
from robustness.settings import Setting
from transmix.common.errors import UserError
from transmix.common.files import replacing
from transmix.training.distributed import Processes

UNKNOWN = -1
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


class Answers:
    """The answers of one model.

    Attributes:
        keys: of the settings, in the order of the rows.
        indices: (N,) which images, by their places in the data set, in the order of the columns.
        right: (settings, N) int8: 1 right, 0 wrong, -1 not asked yet.
        seconds: that interrupted sessions took.

    Args:
        folder: where they are kept; what is there already is taken over, whatever processes wrote it.
        settings: of the sweep.
        indices: of the images.

    Raises:
        UserError: the folder holds answers about other images, or some that cannot be read.
    """

    def __init__(self, folder: Path, settings: Sequence[Setting], indices: np.ndarray) -> None:
        self.folder, self.indices = folder, indices
        self.keys = [setting.key for setting in settings]
        self.right = np.full((len(self.keys), len(indices)), UNKNOWN, np.int8)
        self.seconds = 0.0
        for path in self._files():
            self._take_over(path)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{ANSWERS}"))

    def _take_over(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as file:
                keys, indices, right = file["keys"].tolist(), file["indices"], file["right"]
                seconds = float(file["seconds"]) if "seconds" in file else 0.0
        except _UNREADABLE as error:
            raise UserError(f"answers {path} cannot be read: delete the file, then run the same command") from error
        if not np.array_equal(indices, self.indices):
            raise UserError(f"answers {path} are about other images: delete the file, then run the same command")
        self.seconds = max(self.seconds, seconds)  # processes work at the same time
        rows = {key: row for row, key in enumerate(keys)}
        for row, key in enumerate(self.keys):
            if key in rows:
                np.maximum(self.right[row], right[rows[key]], out=self.right[row])

    def lacking(self, columns: range) -> np.ndarray:
        """(settings,) bool: which ones some of these images are still to be asked under."""
        return (self.right[:, columns] == UNKNOWN).any(1)

    def keep(self, name: str, **more: float) -> None:
        """Write all answers so far, atomically; what is finished depends on nothing else."""
        with replacing(self.folder / name) as file:
            np.savez_compressed(file, keys=np.array(self.keys), indices=self.indices, right=self.right, **more)

    def keep_part(self, processes: Processes, seconds: float) -> None:
        """Write what this process knows, `seconds` after it began, into a file of its own."""
        self.keep(f"rank{processes.rank}.{ANSWERS}", seconds=self.seconds + seconds)

    def gather(self, processes: Processes, mine: Sequence[int]) -> None:
        """Put together what all processes know, each about the columns that are its own, and write that once."""
        known = np.zeros_like(self.right)
        known[:, mine] = self.right[:, mine] + 1
        total = processes.total(torch.from_numpy(known).to(processes.device))
        self.right = total.cpu().numpy() - 1
        processes.lead(self._keep_whole)

    def _keep_whole(self) -> None:
        self.keep(ANSWERS)
        for path in self._files():
            if path.name != ANSWERS:
                path.unlink()
