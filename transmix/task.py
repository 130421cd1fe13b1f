"""TransMix as a timm training task: forward, read attention, relabel, loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from timm.loss import SoftTargetCrossEntropy
from timm.task import ClassificationTask
from torch import Tensor, nn

from transmix.attention import ClassAttention
from transmix.labels import LABEL_RULES, mixed_targets, object_share, pasted_share, token_mask
from transmix.mixing import Mix, MixPolicy, mix_batch


class TransMixTask(ClassificationTask):
    """Mix a batch, run the model once, label by area or by class attention, and take the loss.

    Drop it into a timm training script where `timm.task.ClassificationTask` stands. ``label_rule="area"`` is
    plain Mixup + CutMix (any model, no attention read); ``"mean"`` is TransMix. Nothing else differs, so a
    baseline and its TransMix run differ by one setting.

    Args:
        model: a model with class attention (see `transmix.attention`); any model for ``"area"``.
        num_classes: K.
        label_rule: ``area``, ``attention``, ``mean`` or ``oracle`` (see `transmix.labels`).
        policy: what is mixed how often.
        smoothing: label smoothing, in both labels of a mixture.
        rng: draws the mixes; assign a fresh generator each step for exact resume.
        grid: (rows, columns) of patch tokens; by default the model's.
        device: for timm's base class.
        dtype: for timm's base class.
    """

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        label_rule: str = "mean",
        policy: MixPolicy | None = None,
        smoothing: float = 0.1,
        rng: np.random.Generator | None = None,
        grid: tuple[int, int] | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(model, criterion=SoftTargetCrossEntropy(), device=device, dtype=dtype, verbose=False)
        self.num_classes = num_classes
        self.label_rule = label_rule
        self.policy = policy or MixPolicy()
        self.smoothing = smoothing
        self.rng = rng or np.random.default_rng()
        if label_rule not in LABEL_RULES:
            raise ValueError(f"unknown label rule {label_rule!r}: one of {', '.join(LABEL_RULES)}")
        self.class_attention = ClassAttention(model) if label_rule in ("attention", "mean") else None
        self.grid = grid or (self.class_attention.grid if self.class_attention else None)

    def forward(
        self, input: Tensor, target: Tensor, mix: Mix | None = None, objects: Tensor | None = None
    ) -> dict[str, Any]:
        """One training forward pass.

        Args:
            input: (B, C, H, W) images, normalised.
            target: (B,) class indices.
            mix: use this mix instead of drawing one.
            objects: (B, H, W) bool, where the labelled objects are; for the rule ``oracle``.

        Returns:
            ``loss`` (scalar), ``output`` (logits, B x K), ``targets`` (B x K), ``lam`` (scalar or (B,): the
            partner's share in the targets) and ``mix``. In eval mode nothing is mixed.
        """
        if mix is None:
            policy = self.policy if self.training else MixPolicy(mixup_alpha=0, cutmix_alpha=0)
            mix = mix_batch(input, policy, self.rng)
        output = self.trainable_module(mix.images)
        lam = self._pasted_share(mix, objects)
        targets = mixed_targets(target, target[mix.partner], lam, self.num_classes, self.smoothing)
        return {
            "loss": self.criterion(output.float(), targets),
            "output": output,
            "targets": targets,
            "lam": lam,
            "mix": mix,
        }

    def _pasted_share(self, mix: Mix, objects: Tensor | None) -> Tensor:
        attention = self.class_attention.take() if self.class_attention else None
        # Mixup and unmixed batches have no pasted region: they keep their pixel lambda
        if mix.box is None or self.label_rule == "area":
            return pasted_share(mix.lam, None, None, "area")
        if attention is None:
            return object_share(objects, mix.partner, mix.box).nan_to_num(mix.lam)
        mask = token_mask(mix.box, mix.images.shape[-2:], self.grid, attention.device)
        if len(mask) != attention.shape[1]:
            raise ValueError(f"the model attends to {attention.shape[1]} patch tokens, the grid given is {self.grid}")
        return pasted_share(mix.lam, attention, mask, self.label_rule)
