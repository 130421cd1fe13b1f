"""Models to be measured: any that timm knows, with weights from a local file. Nothing is downloaded."""

from __future__ import annotations

import logging
from pathlib import Path
from textwrap import shorten
from typing import Any

from safetensors import SafetensorError, safe_open
from timm.data import resolve_data_config
from timm.models import get_pretrained_cfg, load_state_dict
from torch import Tensor, nn

from experiments.trained import TrainedModel
from transmix.common.errors import UserError
from transmix.data.loaders import Normalizer
from transmix.models import create_model
from transmix.recipe import Recipe
from transmix.training.checkpoints import load_model

DINO = "vit_small_patch16_224.dino"  # its architecture; the published weights are dino_deitsmall16_pretrain.pth

# what timm would say about weights that do not fit is an error here
logging.getLogger("timm.models").setLevel(logging.ERROR)


def load_trained_model(name: str, weights: Path, precision: str = "fp32", batch_size: int = 256) -> TrainedModel:
    """A timm model, or one that this suite trained, with weights that classify.

    Images are resized, cropped and normalised as timm's configuration of the model says.

    Args:
        name: a timm name, or one of transmix.models.
        weights: safetensors, or a PyTorch file with nothing but tensors and plain values in it.
        precision: of the forward pass, as `Recipe.precision`.
        batch_size: images of a forward pass.

    Raises:
        UserError: an unknown name; weights that are missing, unreadable, another model's or without a classifier.
    """
    if suite_about(weights):
        model, about = load_model(weights)
        if about["model"] != name:
            raise UserError(f"weights file {weights} holds {about['model']}, not {name}: name that model")
        config = resolve_data_config(model=model) | {name: about[name] for name in ("mean", "std")}
        config["input_size"] = (3, about["image_size"], about["image_size"])
    else:
        state = read_weights(weights)
        model = fill(name, weights, state, num_classes=count_classes(name, weights, state))
        config = resolve_data_config(model=model)
    recipe = Recipe(
        model=name,
        image_size=config["input_size"][-1],
        interpolation=config["interpolation"],
        eval_crop=config["crop_pct"],
        eval_batch_size=batch_size,
        precision=precision,
    )
    return TrainedModel(model.eval(), Normalizer(config["mean"], config["std"]).eval(), recipe, config["crop_mode"])


def load_dino(weights: Path, image_size: int) -> nn.Module:
    """DINO's ViT-S/16 for images of a size, from the published file of its backbone."""
    return fill(DINO, weights, read_weights(weights), num_classes=0, img_size=image_size).eval()


def suite_about(weights: Path) -> bool:
    """Whether this suite wrote the file: then it says itself which model it holds."""
    if weights.suffix != ".safetensors" or not weights.is_file():
        return False
    try:
        with safe_open(weights, framework="pt") as file:
            return "about" in (file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UserError(f"weights file {weights} is not readable ({error})") from error


def read_weights(weights: Path) -> dict[str, Tensor]:
    """The tensors of a file by name; reading it never runs code."""
    if not weights.is_file():
        raise UserError(f"no such weights file: {weights}")
    try:
        state = load_state_dict(str(weights), weights_only=True)
    except Exception as error:  # the unpickler fails on broken bytes in every way there is
        reason = shorten(str(error), 160)
        raise UserError(f"weights file {weights} is not readable ({reason})") from error
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"weights file {weights} holds no state dict: save model.state_dict()")
    return state


def count_classes(name: str, weights: Path, state: dict[str, Tensor]) -> int:
    """How many classes the weights' classifier tells apart."""
    config = get_pretrained_cfg(name)
    if config is None:
        create_model(name)  # says what is wrong with the name
    classifier = config.classifier if isinstance(config.classifier, str) else config.classifier[0]
    found = state.get(f"{classifier}.weight")
    if found is None:
        raise UserError(f"weights file {weights} has no classifier {classifier}.weight: {name} cannot classify with it")
    return len(found)


def fill(name: str, weights: Path, state: dict[str, Tensor], num_classes: int, **settings: Any) -> nn.Module:
    """A timm model with a state dict, which timm converts where it knows other layouts, and which must fit."""
    overlay = {"state_dict": state, "num_classes": num_classes}
    try:
        return create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=num_classes, **settings)
    except (RuntimeError, KeyError) as error:
        reason = shorten(str(error), 160)
        raise UserError(f"weights file {weights} does not fit {name}: {reason}") from error
