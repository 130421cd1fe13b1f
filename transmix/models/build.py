"""The model that a recipe asks for."""

from __future__ import annotations

from typing import Any

from timm.models import get_pretrained_cfg
from torch import nn

from transmix.models import create_model
from transmix.recipe import Recipe


def build_model(recipe: Recipe, num_classes: int) -> tuple[nn.Module, dict[str, Any]]:
    """The recipe's model, freshly initialised, and what `load_model` needs to rebuild it."""
    default = get_pretrained_cfg(recipe.model)
    resized = default is not None and default.input_size[-1] != recipe.image_size
    model_args = {"img_size": recipe.image_size} if resized else {}
    model = create_model(recipe.model, num_classes=num_classes, drop_path_rate=recipe.drop_path, **model_args)
    about = {"model": recipe.model, "num_classes": num_classes, "model_args": model_args}
    return model, about | {"image_size": recipe.image_size, "mean": default.mean, "std": default.std}
