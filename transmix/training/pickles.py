"""PyTorch's files read as data: nothing that lies in one is run, and what cannot be read is called by its name."""

from __future__ import annotations

import re
import stat
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from transmix.common.errors import UserError
from transmix.common.files import OTHERS, what_else

AGAIN = "download or copy it again"
_NO_WEIGHTS = {name: found for name, found in OTHERS.items() if name != b"PK\x03\x04"} | {  # torch writes zip files
    b"{": ("it is text: the answer of a server, or an index of several files", "download the file itself"),
    b"\x89HDF": ("it is HDF5, as Keras writes it", "convert it to safetensors"),
    b"\x93NUMPY": ("it is an array of NumPy", "convert it to safetensors"),
}
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


class Inert:
    """Stands in for an object of a harmless class that checkpoints carry along: its values are not kept."""

    def __new__(cls, *_: Any) -> Inert:
        """Whatever such an object is made of."""
        return object.__new__(cls)

    def __init__(self, *_: Any) -> None:
        """Nothing is kept."""

    def __setstate__(self, _: Any) -> None:
        """Nothing is kept."""


def _inert(*names: str) -> list[tuple[Any, str]]:
    # the unpickler knows allowed classes by identity: each name needs one of its own
    return [(type(name.rpartition(".")[2], (Inert,), {}), name) for name in names]


_PATHLIB, _PATHS = ("pathlib", "pathlib._local"), ("Path", "PosixPath", "WindowsPath")

# What training scripts keep beside tensors (their options, paths, best accuracies), by the names in a pickle
HARMLESS = [
    *_inert("argparse.Namespace", "types.SimpleNamespace", "datetime.datetime", "datetime.timedelta"),
    *_inert(*(f"{module}.{kind}{name}" for module in _PATHLIB for kind in ("", "Pure") for name in _PATHS)),
    *_inert("numpy.dtype", "numpy.ndarray", "_codecs.encode", "__builtin__.slice", "builtins.slice"),
    *_inert(*(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct"))),
    *_inert(*(f"numpy.{name}" for name in ("float64", "float32", "int64", "int32", "bool_", "str_"))),
    *_inert("mmengine.logging.history_buffer.HistoryBuffer"),
    *_inert("__builtin__.getattr", "builtins.getattr"),  # a pickle's way to name a method of a class
]


def opening(path: Path) -> bytes:
    """The first bytes of a weights file.

    Raises:
        UserError: there is no such file, or it is empty or no file at all.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UserError(f"weights file {path} is a folder: name the file in it")
        if not stat.S_ISREG(mode):
            raise UserError(f"weights file {path} is no regular file: give one")
        with open(path, "rb") as file:
            head = file.read(64)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a null byte
        raise UserError(f"no such weights file: {path}") from None
    except OSError as error:
        raise unreadable(path, str(error.strerror), "see to its name and rights") from None
    if not head:
        raise unreadable(path, "it is empty", AGAIN)
    return head


def unreadable(path: Path, cause: str, remedy: str) -> UserError:
    """The one line about a file that cannot be read."""
    return UserError(f"weights file {path} is not readable ({cause}): {remedy}")


def read_pickled(path: Path, device: Any = "cpu", real: Iterable[tuple[Any, str]] = ()) -> Any:
    """What ``torch.save`` wrote: tensors and plain values, with `Inert` objects in the place of other harmless ones.

    Args:
        path: the file.
        device: where its tensors go (torch's ``map_location``).
        real: (callable, name in a pickle) of what is to be made after all; it is called with what the file says.

    Raises:
        UserError: names what the file is instead, or the class whose loading could run code.
    """
    head = opening(path)
    if (other := what_else(head, _NO_WEIGHTS)) is not None:
        raise unreadable(path, *other)
    if head.startswith(_ZIP):
        _check_zip(path)
    real = list(real)
    named = {name for _, name in real}
    allowed = [*real, *(pair for pair in HARMLESS if pair[1] not in named)]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # the unpickler fails on broken bytes in every way there is
        raise _what_failed(path, head, error) from error


def _check_zip(path: Path) -> None:
    """Raise `UserError` for a zip file that is cut off, or that ``torch.save`` did not write."""
    try:
        with zipfile.ZipFile(path) as file:
            names = {name.rpartition("/")[2] for name in file.namelist()}
            sums = all(entry.CRC for entry in file.infolist() if entry.file_size)  # they can be left out
            changed = file.testzip() if sums else None  # torch itself does not look at them
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise unreadable(path, "its end is missing or damaged", AGAIN) from None
    if changed is not None:
        raise unreadable(path, f"it is damaged: {changed} is not what its sum says", AGAIN)
    if "constants.pkl" in names:
        raise unreadable(path, "it is a TorchScript program, not weights", "save model.state_dict()")
    if "data.pkl" not in names:
        arrays = any(name.endswith(".npy") for name in names)
        what = "arrays of NumPy, as JAX models are published" if arrays else "a zip file of something else"
        raise unreadable(path, f"it is {what}", "convert it to safetensors" if arrays else "unpack it")


def _what_failed(path: Path, head: bytes, error: Exception) -> UserError:
    found = re.search(r"GLOBAL (\S+)", str(error))
    if found is not None or "reduce for unrecognized function" in str(error):
        what = "a call of a function" if found is None else found[1]
        return UserError(
            f"weights file {path} is not readable without running code (it holds {what}, not only tensors and plain "
            "values): save model.state_dict() where it was made, or give it as safetensors"
        )
    if head.startswith(_ZIP):
        return unreadable(path, "it is damaged", AGAIN)
    if head.startswith(_PICKLE):
        return unreadable(
            path, "it is damaged, or a pickle that torch.save did not write", f"{AGAIN}, or use torch.save"
        )
    return unreadable(path, "it is neither PyTorch's nor safetensors", "give a .pth or .safetensors file")
