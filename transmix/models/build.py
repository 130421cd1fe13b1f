"""The model that a recipe asks for."""

from __future__ import annotations

from textwrap import shorten
from typing import Any

import torch
from timm.models import get_pretrained_cfg
from torch import nn

from transmix.attention import FAMILIES, ClassAttention
from transmix.common.errors import UserError
from transmix.labels import READ_ATTENTION
from transmix.models import check_name, create_model
from transmix.recipe import Recipe


def build_model(recipe: Recipe, num_classes: int) -> tuple[nn.Module, dict[str, Any]]:
    """The recipe's model, freshly initialised, and what `load_model` needs to rebuild it.

    Raises:
        UserError: there is no such model, or it cannot take images of the recipe's size.
    """
    check_name(recipe.model)
    default = get_pretrained_cfg(recipe.model)
    if default is None:
        raise UserError(
            f"model {recipe.model} has no configuration in timm that says how it takes images: take another"
        )
    resized = default.input_size[-1] != recipe.image_size
    model_args = {"img_size": recipe.image_size} if resized and _asks_for_size(recipe.model, default) else {}
    wanted = f"model={recipe.model} for image_size={recipe.image_size}"
    try:
        model = create_model(recipe.model, num_classes=num_classes, drop_path_rate=recipe.drop_path, **model_args)
    except (TypeError, ValueError, AssertionError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(f"{wanted} cannot be made ({shorten(str(error), 100)}): choose others") from error
    stride = max((info["reduction"] for info in getattr(model, "feature_info", ())), default=1)
    if isinstance(model, tuple(family.models for family in FAMILIES)) and recipe.image_size % stride:
        raise UserError(f"{wanted}: the size must be a multiple of {stride} px, the model's patches")
    about = {"model": recipe.model, "num_classes": num_classes, "model_args": model_args}
    return model, about | {"image_size": recipe.image_size, "mean": default.mean, "std": default.std}


def _asks_for_size(name: str, default: Any) -> bool:
    """Whether a model is made for a size; a convolutional one, say, takes images of any."""
    with torch.device("meta"):
        try:
            create_model(name, img_size=default.input_size[-1])
        except TypeError:
            return False
    return True


def check_model(recipe: Recipe) -> None:
    """Raise `UserError` if the recipe's model cannot be made, or has not the attention that its labels are made of."""
    model, _ = build_model(recipe, num_classes=2)
    reads = () if recipe.method is None else recipe.method.reads
    if recipe.attention_of == "teacher":
        return
    if recipe.label_rule in READ_ATTENTION or "attention" in reads:
        try:
            ClassAttention(model, recipe.attention_head, recipe.attention_block)
        except UserError as error:
            raise UserError(f"model={recipe.model}: {error}") from error
