"""Models to be measured: any that timm knows, with weights from a local file. Nothing is downloaded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from timm.data import resolve_data_config
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from experiments.trained import TrainedModel
from transmix.common.errors import UserError
from transmix.data.loaders import Normalizer
from transmix.models import check_name, create_model
from transmix.recipe import Recipe
from transmix.training.about import NEEDED, check_about
from transmix.training.checkpoints import check_patches, first_reason, read_checkpoint, rebuild

DINO = "vit_small_patch16_224.dino"  # its architecture; the published weights are dino_deitsmall16_pretrain.pth
VIEW = ("image_size", "mean", "std")  # what a file of this suite says about how images are taken

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
    check_name(name)
    found = read_checkpoint(weights)
    about = found.about
    if "model" in about:
        check_about(weights, about, (*NEEDED, *VIEW))
        if about["model"] != name:
            raise UserError(f"weights file {weights} holds {about['model']}, not {name}: name that model")
        model, _ = rebuild(found)
        config = resolve_data_config(model=model) | {name: about[name] for name in ("mean", "std")}
        config["input_size"] = (3, about["image_size"], about["image_size"])
    else:
        model = fill(name, weights, found.tensors, num_classes=count_classes(name, weights, found.tensors))
        config = resolve_data_config(model=model)
    recipe = Recipe(
        model=name,
        image_size=config["input_size"][-1],
        interpolation=config["interpolation"],
        eval_crop=config["crop_pct"],
        eval_batch_size=batch_size,
        precision=precision,
    )
    normalise = Normalizer(config["mean"], config["std"]).eval()
    return TrainedModel(model.eval(), normalise, recipe, config["crop_mode"], found.taken)


def load_dino(weights: Path, image_size: int) -> nn.Module:
    """DINO's ViT-S/16 for images of a size, from the file of its backbone or of the whole training (its teacher)."""
    return fill(DINO, weights, read_checkpoint(weights).tensors, num_classes=0, img_size=image_size).eval()


def count_classes(name: str, weights: Path, state: dict[str, Tensor]) -> int:
    """How many classes the weights' classifier tells apart."""
    config = get_pretrained_cfg(name)
    classifiers = (config.classifier,) if isinstance(config.classifier, str) else config.classifier
    if not classifiers:
        raise UserError(f"{name} is no classifier in timm: name a model that is")
    found = state.get(f"{classifiers[0]}.weight")
    if found is None or found.ndim == 0:
        raise UserError(
            f"weights file {weights} has no classifier {classifiers[0]}.weight: {name} cannot classify with it"
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
