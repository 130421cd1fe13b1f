"""Any model that timm or this suite knows, with weights from a local file. Nothing is downloaded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from timm.data import resolve_data_config
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from transmix.common.errors import UserError
from transmix.models import check_name, create_model
from transmix.training.about import NEEDED, check_about
from transmix.training.checkpoints import check_patches, first_reason, read_checkpoint, rebuild

_VIEW = ("image_size", "mean", "std")  # what a file of this suite says about how images are taken

# what timm would say about weights that do not fit is an error here
logging.getLogger("timm.models").setLevel(logging.ERROR)


def load_classifier(name: str, weights: Path) -> tuple[nn.Module, dict[str, Any], str]:
    """A model that classifies, in eval mode; how it takes images, in timm's words; which tensors of the file it has.

    Args:
        name: timm's name, or one of transmix.models; empty for a file of this suite, which says it itself.
        weights: safetensors, or a PyTorch file with nothing but tensors and plain values in it.

    Raises:
        UserError: an unknown name; weights that are missing, unreadable, another model's or without a classifier.
    """
    if name:
        check_name(name)
    found = read_checkpoint(weights)
    about = found.about
    if "model" in about or not name:
        check_about(weights, about, (*NEEDED, *_VIEW) if about else ())
        if name and about["model"] != name:
            raise UserError(f"weights file {weights} holds {about['model']}, not {name}: name that model")
        model, _ = rebuild(found)
        _check_size(model, about["image_size"], weights)
        config = resolve_data_config(model=model) | {key: about[key] for key in ("mean", "std")}
        config["input_size"] = (3, about["image_size"], about["image_size"])
    else:
        model = fill(name, weights, found.tensors, num_classes=count_classes(name, weights, found.tensors))
        config = resolve_data_config(model=model)
    return model.eval(), config, found.taken


def _check_size(model: nn.Module, size: int, weights: Path) -> None:
    """Raise `UserError` if a header names a size of which the model takes no images."""
    patches = getattr(model, "patch_embed", None)
    own = getattr(patches, "img_size", None)
    if own is not None and getattr(patches, "strict_img_size", True) and tuple(own) != (size, size):
        raise UserError(
            f"weights file {weights}: its header says image_size={size}, its model takes {own[0]} x {own[1]}: train or "
            "save it again"
        )


def count_classes(name: str, weights: Path, state: dict[str, Tensor]) -> int:
    """How many classes the weights' classifier tells apart; `UserError` where there is none, or one of zeros."""
    config = get_pretrained_cfg(name)
    classifiers = (config.classifier,) if isinstance(config.classifier, str) else config.classifier
    if not classifiers:
        raise UserError(f"{name} is no classifier in timm: name a model that is")
    found = state.get(f"{classifiers[0]}.weight")
    if found is None or found.ndim == 0:
        raise UserError(
            f"weights file {weights} has no classifier {classifiers[0]}.weight: {name} cannot classify with it"
        )
    if not found.any():
        raise UserError(
            f"weights file {weights}: all of {classifiers[0]}.weight is 0, so every image would be of class 0: give "
            "weights that were trained to classify"
        )
    return len(found)


def fill(name: str, weights: Path, state: dict[str, Tensor], num_classes: int, **settings: Any) -> nn.Module:
    """A timm model with a state dict, which timm converts where it knows other layouts, and which must fit.

    A position table is resized where ``img_size`` is among the settings; what would silently be resized otherwise (it
    is of another image or patch size) is refused.
    """
    # label_offset: timm's own files of some models have a class more, a state dict of the model has not
    overlay = {"state_dict": state, "num_classes": num_classes, "label_offset": 0}
    model = create_model(name, num_classes=num_classes, **settings)
    check_patches(model, state, name, weights, table="img_size" not in settings)
    try:
        return create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=num_classes, **settings)
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"weights file {weights} does not fit {name}: {first_reason(error)}") from error
