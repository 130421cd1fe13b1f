"""How the libraries read a checkpoint, closed to code: ``test FILE``, ``--resume``, ``load_from``, ``init_cfg``.

mmengine reads weights-only at first, and where that fails it runs whatever the file holds. Here it does not, and what
is not on this machine is not fetched.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint as mmengine_checkpoint
import numpy as np
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from transmix.common.errors import UserError
from transmix.training.checkpoints import read_anything

FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch.load obeys it whatever its caller says
LOCAL = ""  # the prefix of a path
STATISTICS = ("min", "max", "mean", "current")


def read_data_only() -> None:
    """From now on mmengine reads checkpoints as data, and nothing else in this process loads code from one."""
    os.environ[FORCE] = "1"
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    for prefix in tuple(CheckpointLoader._schemes):
        CheckpointLoader.register_scheme(prefix, load_from_file if prefix == LOCAL else load_from_elsewhere, force=True)
    mmengine_checkpoint._safe_torch_load = load_from_file


def load_from_file(filename: str | Path, map_location: Any = None) -> Any:
    """What a checkpoint on this machine holds, of any kind that `read_checkpoint` reads, mmengine's own included.

    Raises:
        UserError: it is missing, unreadable, or would run code.
    """
    return _made(read_anything(Path(filename).expanduser(), map_location, REAL))


def load_from_elsewhere(filename: str, map_location: Any = None) -> Any:
    """Refuse an address.

    Raises:
        UserError: always.
    """
    raise UserError(f"checkpoint {filename} is not on this machine, and nothing is downloaded: fetch it, give its file")


class _Type:
    """A NumPy type of numbers as a pickle describes it."""

    def __init__(self, code: str, *_: Any) -> None:
        kind = np.dtype(code)
        if kind.kind not in "biuf":
            raise ValueError(f"no type of numbers: {code}")
        self.kind = kind

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """The byte order."""
        if state[1] in ("<", ">"):
            self.kind = self.kind.newbyteorder(state[1])


class _Array:
    """An array of numbers as a pickle describes it."""

    def __init__(self, *_: Any) -> None:
        self.values = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Version, shape, type, order, bytes."""
        _, shape, kind, by_column, raw = state
        values = np.frombuffer(raw if isinstance(raw, bytes) else raw.encode("latin1"), kind.kind)
        self.values = values.reshape(shape, order="F" if by_column else "C").copy()


def _number(kind: _Type, raw: bytes | str) -> Any:
    return np.frombuffer(raw if isinstance(raw, bytes) else raw.encode("latin1"), kind.kind)[0].item()


class _History:
    """mmengine's record of a logged value as a pickle describes it."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Its attributes, of which both histories and their greatest length count."""
        self.values, self.counts = (state[name].values for name in ("_log_history", "_count_history"))
        self.most = int(state["max_length"])


def _made(value: Any) -> Any:
    """The same with mmengine's and NumPy's own objects in the place of what describes them."""
    if isinstance(value, dict):
        for key in value:
            value[key] = _made(value[key])
        return value
    if isinstance(value, list | tuple):
        return type(value)(map(_made, value)) if type(value) in (list, tuple) else value
    if isinstance(value, _History):
        return HistoryBuffer(value.values, value.counts, value.most)
    return value.values if isinstance(value, _Array) else value


def _method(owner: type, name: str) -> Any:
    """What mmengine's pickles ask of ``getattr``: a statistic of a history."""
    if owner is not _History or name not in STATISTICS:
        raise ValueError(f"no statistic: {name}")
    return getattr(HistoryBuffer, name)


_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")
REAL = [  # what mmengine needs again from its own checkpoints, made here
    (_History, "mmengine.logging.history_buffer.HistoryBuffer"),
    *((_method, name) for name in ("__builtin__.getattr", "builtins.getattr")),
    (_Type, "numpy.dtype"),
    *((_number, f"{core}.scalar") for core in _CORES),
    *((_Array, f"{core}._reconstruct") for core in _CORES),
]
