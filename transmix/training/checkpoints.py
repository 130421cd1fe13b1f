"""Weights and training states on disk. Reading either never runs code."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from transmix.common.errors import UserError
from transmix.common.files import replacing
from transmix.models import create_model
from transmix.training.about import check_about
from transmix.training.pickles import AGAIN, opening, read_pickled, unreadable
from transmix.training.state_dicts import pick

FORMAT = 2  # of training states


def save_weights(model: nn.Module, path: Path, about: dict[str, Any]) -> None:
    """Write a state dict as safetensors that `timm.create_model(..., checkpoint_path=path)` loads.

    Args:
        model: the bare model.
        path: where to.
        about: JSON values kept in the file's header (model name, classes, run, ...).
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as file:  # in one piece: safetensors writes to names only, with an error of its own
        file.write(save(state, metadata={"about": json.dumps(about)}))


@dataclass(frozen=True)
class Checkpoint:
    """The model's tensors in a weights file.

    Attributes:
        path: the file.
        tensors: by name.
        taken: which of the file's tensors these are, for a person (`transmix.training.state_dicts` has the rule).
        about: what `save_weights` said about them; nothing in a file from elsewhere.
    """

    path: Path
    tensors: dict[str, Tensor]
    taken: str
    about: dict[str, Any]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read any weights file, safetensors or PyTorch's: what it is, its content says. Nothing in it is run.

    Raises:
        UserError: the file is missing, unreadable, something else than weights, or holds values that are not finite.
    """
    head = opening(path)
    loaded, about = _read_safetensors(path) if _is_safetensors(head) else (read_pickled(path), {})
    if about:
        tensors, taken = loaded, f"{len(loaded)} tensors of this suite"
    else:
        try:
            tensors, taken = pick(loaded)
        except ValueError as error:
            raise UserError(f"weights file {path} {error}") from error
    _check_values(path, tensors)
    return Checkpoint(path, tensors, taken, about)


def read_anything(path: Path, device: Any = "cpu", real: Iterable[tuple[Any, str]] = ()) -> Any:
    """All that a checkpoint holds, for those who continue from it: not its model's tensors alone.

    Args:
        path: PyTorch's, or safetensors, whose tensors are given as a state dict.
        device: where tensors go.
        real: see `transmix.training.pickles.read_pickled`.

    Raises:
        UserError: the file is missing, unreadable, would run code, or its state dict holds values that are not finite.
    """
    held = _read_safetensors(path)[0] if _is_safetensors(opening(path)) else read_pickled(path, device, real)
    tensors = held.get("state_dict", held) if isinstance(held, dict) else {}
    if isinstance(tensors, dict):
        _check_values(path, {str(name): value for name, value in tensors.items() if isinstance(value, Tensor)})
    return held


def _is_safetensors(head: bytes) -> bool:
    # eight bytes of the header's length (less than 4 GiB), and the header is JSON
    return head[8:9] == b"{" and head[4:8] == bytes(4)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            said = (file.metadata() or {}).get("about", "{}")
            names = file.keys()
            state = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(path, shorten(str(error), 100), AGAIN) from error
    try:
        about = json.loads(said)
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise unreadable(path, "its header's 'about' is no JSON object", "give the tensors in a file without it")
    return state, about


def _check_values(path: Path, tensors: dict[str, Tensor]) -> None:
    """Raise `UserError` unless every tensor is plain and finite."""
    for name, tensor in tensors.items():
        name = shorten(name, 80)
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise UserError(f"weights file {path}: {name} is sparse, quantised or without values: save plain tensors")
        coarse = not tensor.is_floating_point() or tensor.element_size() < 2
        if tensor.is_complex() or (coarse and name.endswith((".weight", ".bias"))):
            raise UserError(
                f"weights file {path}: {name} is of {tensor.dtype}: save it in floating point, as it was trained"
            )
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise UserError(f"weights file {path}: {name} repeats a few values: save contiguous tensors")
        if tensor.is_floating_point() and not (finite := torch.isfinite(tensor)).all():
            raise UserError(
                f"weights file {path} holds NaN or infinity ({int((~finite).sum()):,} of {tensor.numel():,} values of "
                f"{name}): that training diverged, take weights from before"
            )


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild the model that `save_weights` wrote, in eval mode, and what it said about it.

    Raises:
        UserError: missing or unreadable file, or the weights are not this model's.
    """
    return rebuild(read_checkpoint(path))


def rebuild(checkpoint: Checkpoint) -> tuple[nn.Module, dict[str, Any]]:
    """The model that a file of this suite describes, in eval mode, and what the file says about it.

    Raises:
        UserError: it describes none, or one that its tensors are not of.
    """
    about = checkpoint.about
    if "model" not in about:
        raise UserError(
            f"weights file {checkpoint.path} does not say which model it holds: it was not written by this suite"
        )
    check_about(checkpoint.path, about)
    name = about["model"]
    try:
        model = create_model(name, num_classes=about["num_classes"], **about.get("model_args", {}))
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = shorten(str(error), 120)
        raise UserError(f"weights file {checkpoint.path} describes a {name} that cannot be made: {reason}") from error
    load_into(model, checkpoint.tensors, name, checkpoint.path)
    return model.eval(), about


def load_into(model: nn.Module, tensors: dict[str, Tensor], name: str, path: Path) -> None:
    """Load tensors that must be exactly the model's.

    Raises:
        UserError: they are not; names the file and the first thing that differs.
    """
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(f"weights file {path} does not fit {name}: {first_reason(error)}") from error


def check_patches(model: nn.Module, tensors: dict[str, Tensor], name: str, path: Path, table: bool = True) -> None:
    """Refuse what timm would resize without a word: patches of another size, and with `table` a table of positions.

    Raises:
        UserError: says which of the two the file holds, and which the model has.
    """
    own, checked = model.state_dict(), ["patch_embed.proj.weight"] + ["pos_embed"] * table
    for key in checked:
        found, wanted = tensors.get(key), own.get(key)
        if found is None or wanted is None or found.ndim != wanted.ndim:
            continue
        if key == "pos_embed":
            if found.ndim == 3 and found.shape[1] != wanted.shape[1]:
                raise UserError(
                    f"weights file {path} does not fit {name}: its images have {found.shape[1]} tokens, the model's "
                    f"{wanted.shape[1]}: name the model of that image and patch size"
                )
        elif found.shape[2:] != wanted.shape[2:]:
            raise UserError(
                f"weights file {path} does not fit {name}: its patches are {tuple(found.shape[2:])} px, the model's "
                f"{tuple(wanted.shape[2:])}: name the model of that patch size"
            )


def first_reason(error: Exception) -> str:
    """What torch says first about tensors that do not fit, in one line of moderate length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return shorten(lines[1] if len(lines) > 1 and lines[0].startswith("Error(s) in loading") else lines[0], 160)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state (tensors, numbers, strings, lists, dicts) atomically; torch adds a sum to each part."""
    with replacing(path) as file:
        torch.save({"format": FORMAT, **state}, file)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote, onto the CPU, to the bit.

    Raises:
        UserError: truncated, changed since it was written, or of another format.
    """
    try:
        if not path.is_file():  # a FIFO would wait for somebody who writes
            raise ValueError(path)
        with zipfile.ZipFile(path) as file:
            changed = file.testzip()  # torch itself does not look at the sums
        if changed is not None:
            raise ValueError(changed)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler fails on broken bytes in every way there is
        raise UserError(f"checkpoint {path} is not readable: start this run afresh with --restart") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"checkpoint {path} has another format: start this run afresh with --restart")
    return state


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """While a state is put to use: whatever does not fit is one line that says so.

    Raises:
        UserError: something is missing, or of another shape or type than the run has.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"checkpoint {path} does not fit this run ({first_reason(error)}): start this run afresh with --restart"
        ) from error


def check_position(name: str, value: Any, most: int) -> int:
    """A counter of a state.

    Raises:
        ValueError: it is no whole number from 0 to `most`.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} is {value!r}, the run has {most}")
    return value


def check_shapes(optimizer: torch.optim.Optimizer) -> None:
    """Check what torch does not where an optimizer's state is loaded.

    Raises:
        ValueError: the state is of parameters of other shapes.
    """
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
                raise ValueError(f"{name} has shape {tuple(value.shape)}, its parameter {tuple(parameter.shape)}")
