"""Models to be measured: any that timm knows, with weights from a local file. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from experiments.trained import TrainedModel
from transmix.common.errors import UserError, unknown_name
from transmix.data.view import View
from transmix.models.local import fill, load_classifier
from transmix.recipe import PRECISIONS
from transmix.training.checkpoints import read_checkpoint

DINO = "vit_small_patch16_224.dino"  # its architecture; the published weights are dino_deitsmall16_pretrain.pth


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
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if batch_size <= 0:
        raise UserError(f"batch_size={batch_size}: must be positive")
    model, config, taken = load_classifier(name, weights)
    view = View.of_timm(config, precision=precision, batch_size=batch_size)
    return TrainedModel(name, model, view, taken=taken)


def load_dino(weights: Path, image_size: int) -> nn.Module:
    """DINO's ViT-S/16 for images of a size, from the file of its backbone or of the whole training (its teacher)."""
    return fill(DINO, weights, read_checkpoint(weights).tensors, num_classes=0, img_size=image_size).eval()
