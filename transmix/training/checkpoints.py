"""Weights and training states on disk. Reading either never runs code."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from transmix.common.errors import UserError
from transmix.common.files import replacing
from transmix.models import create_model

FORMAT = 2  # of training states


def save_weights(model: nn.Module, path: Path, about: dict[str, Any]) -> None:
    """Write a state dict as safetensors that `timm.create_model(..., checkpoint_path=path)` loads.

    Args:
        model: the bare model.
        path: where to.
        about: JSON values kept in the file's header (model name, classes, run, ...).
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(state, temporary, metadata={"about": json.dumps(about)})


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a safetensors file, and what `save_weights` said about them (nothing in a file from elsewhere).

    Raises:
        UserError: missing or unreadable file.
    """
    if not path.is_file():
        raise UserError(f"no such weights file: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            names = file.keys()
            state = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise UserError(f"weights file {path} is not readable ({error})") from error
    return state, about


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild the model that `save_weights` wrote, in eval mode, and what it said about it.

    Raises:
        UserError: missing or unreadable file, or the weights are not this model's.
    """
    state, about = read_weights(path)
    if "model" not in about:
        raise UserError(f"weights file {path} does not say which model it holds: it was not written by this suite")
    model = create_model(about["model"], num_classes=about["num_classes"], **about.get("model_args", {}))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = shorten(str(error), 120)
        raise UserError(f"weights file {path} does not fit {about['model']}: {reason}") from error
    return model.eval(), about


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state (tensors, numbers, strings, lists, dicts) atomically."""
    with replacing(path) as temporary:
        torch.save({"format": FORMAT, **state}, temporary)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote, onto the CPU.

    Raises:
        UserError: truncated, corrupted or of another format.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler fails on broken bytes in every way there is
        raise UserError(f"checkpoint {path} is not readable: start this run afresh with --restart") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"checkpoint {path} has another format: start this run afresh with --restart")
    return state
