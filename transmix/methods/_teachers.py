"""What methods ask of a frozen teacher: the features, or the classes, of the places in an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transmix.common.errors import UserError
from transmix.common.lazy import torch
from transmix.methods._step import Step

if TYPE_CHECKING:
    from torch import Tensor, nn


def feature_map(step: Step) -> Tensor:
    """The teacher's last feature map of the clean batch: (B, C, rows, columns), without gradient. One forward pass."""
    model, images = _bare(step)
    with torch.no_grad():
        features = model.forward_features(images)
    step.extra_passes += 1
    return _as_map(model, features).float()


def class_maps(step: Step, top: int = 5) -> Tensor:
    """What the teacher's classifier says at each place of the clean batch, of the image's own class.

    A place whose best `top` classes do not include it gets 0, and so does one with a negative logit. One forward pass.

    Returns:
        (B, rows, columns), without gradient.

    Raises:
        UserError: the teacher knows other classes than the student.
    """
    model, images = _bare(step)
    classes = model.get_classifier().out_features
    if classes != step.num_classes:
        raise UserError(f"the teacher knows {classes} classes, the data have {step.num_classes}: set another teacher")
    with torch.no_grad():
        features = _as_map(model, model.forward_features(images)).permute(0, 2, 3, 1)
        logits = model.get_classifier()(features).float()  # (B, rows, columns, K)
    step.extra_passes += 1
    labels = step.labels.view(-1, 1, 1, 1).expand(*logits.shape[:3], 1)
    own = logits.gather(3, labels)
    weakest = logits.topk(min(top, classes), dim=3).values[..., -1:]
    return torch.where(own >= weakest, own, 0.0)[..., 0].clamp(min=0)


def _bare(step: Step) -> tuple[nn.Module, Tensor]:
    """The teacher itself, and the clean batch as it takes images."""
    teacher = step.teacher
    return (teacher.model, teacher.view(step.images)) if hasattr(teacher, "view") else (teacher, step.images)


def _as_map(model: nn.Module, features: Tensor) -> Tensor:
    """Features of a convolutional network as they are, patch tokens (B, N, C) of a transformer on their grid."""
    if features.dim() == 4:
        return features
    from transmix.attention import token_grid

    return features[:, model.num_prefix_tokens :].transpose(1, 2).unflatten(2, token_grid(model))
