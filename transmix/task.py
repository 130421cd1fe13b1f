"""Ways to mix as timm training tasks: mix, forward, read attention, label, loss."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.loss import SoftTargetCrossEntropy
from timm.task import ClassificationTask
from timm.utils import unwrap_model
from torch import Tensor, nn

from transmix.attention import BlockAttention, ClassAttention, FinalTokens
from transmix.common.errors import UserError, unknown_name
from transmix.labels import LABEL_RULES, READ_ATTENTION, mixed_targets, object_share, pasted_share, pasted_tokens
from transmix.methods import methods
from transmix.methods._step import Step, evaluating
from transmix.mixing import Mix, MixPolicy, mix_batch, unmixed
from transmix.models import last_block
from transmix.models.teacher import Teacher
from transmix.recipe import Mixing


class MixingTask(ClassificationTask):
    """Mix a batch, run the model on it, label it as the method says, and take the loss.

    Drop it into a timm training script where `timm.task.ClassificationTask` stands:

    >>> task = MixingTask(model, num_classes=1000, method="transmix")

    Args:
        model: the model to train; for rules that label by its attention, one that has some (`transmix.attention`).
        num_classes: K.
        method: a way to mix, by name (`transmix.methods`), or its settings.
        policy: how Mixup and CutMix are drawn, instead of as the method says.
        rng: draws the mixes; assign a fresh generator each step for exact resume.
        grid: (rows, columns) of the patch tokens, where you want them checked; the model's own, no other.
        teacher: the frozen model, where the method needs one: one that takes images normalised as the model's, or a
            `transmix.models.teacher.Teacher`.
        class_token_only: let the training pass compute of the last block what the loss needs
            (`transmix.models.last_block`), unless the method reads tokens: the same gradients within rounding, sooner.
        device: for timm's base class.
        dtype: for timm's base class.
        settings: further settings of `transmix.recipe.Mixing`, by name: ``smoothing=0``, ``attention_of="ema"``.

    Attributes:
        epoch: of the training, from 0: assign it, where ``label_warmup_epochs`` is set.
        extra_passes: what the last step cost beside its forward and backward pass, in forward passes.
    """

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        method: str | Mixing = "transmix",
        policy: MixPolicy | None = None,
        rng: np.random.Generator | None = None,
        grid: tuple[int, int] | None = None,
        teacher: nn.Module | None = None,
        class_token_only: bool = False,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(model, criterion=SoftTargetCrossEntropy(), device=device, dtype=dtype, verbose=False)
        if isinstance(teacher, str | Path):
            raise UserError(
                f"teacher is a name, {teacher}: give a model, `transmix.models.teacher.load_teacher` reads one"
            )
        if teacher is not None:
            settings["teacher"] = type(teacher).__name__  # the settings say that there is one
        if type(num_classes) is not int or num_classes < 1:
            raise UserError(f"num_classes is {num_classes!r}: give a whole number from 1 on")
        self.rng = check_generator(np.random.default_rng() if rng is None else rng)
        mixing = _mixing(method, policy, settings)
        self.num_classes, self.mixing, self.options = num_classes, mixing, mixing.options
        self.policy = MixPolicy(mixing.mixup_alpha, mixing.cutmix_alpha, mixing.mix_prob, mixing.switch_prob)
        self.label_rule, self.smoothing = mixing.label_rule, mixing.smoothing
        self.epoch = self.extra_passes = 0
        self.own = {} if mixing.method is None else mixing.method.own
        reads = () if mixing.method is None else mixing.method.reads
        self.teacher = None if teacher is None else teacher.requires_grad_(False).eval()
        self.head = self.own["head"](model, num_classes) if "head" in self.own else None
        self._method_reads_attention = "attention" in reads
        self._labelled_by_attention = self.label_rule in READ_ATTENTION or self._method_reads_attention
        self.class_attention: ClassAttention | None = None  # of the student, or of whom the recipe says
        if self._labelled_by_attention and mixing.attention_of != "ema":  # that model is still to come
            self.class_attention = self._reader(model if mixing.attention_of == "student" else self.teacher)
        self._blocks = BlockAttention(model) if "blocks" in reads else None
        self._tokens = FinalTokens(model) if "tokens" in reads else None
        self.class_token_only = class_token_only and self._tokens is None
        self._grid = None if grid is None else tuple(grid)

    @property
    def grid(self) -> tuple[int, int] | None:
        """(rows, columns) of the patch tokens whose attention labels; None where labels are not by attention."""
        return self._grid or (self.class_attention.grid if self.class_attention else None)

    def train(self, mode: bool = True) -> MixingTask:
        """Training or eval mode of the student; a teacher and a moving average stay in eval mode."""
        super().train(mode)
        for frozen in (self.teacher, self.get_trainable_module(ema=True)):
            if frozen is not None:
                frozen.eval()
        return self

    def get_clip_parameters(self, exclude_head: bool = False) -> list[nn.Parameter]:
        """All that is trained: the model, and the method's own head."""
        own = [] if self.head is None else list(self.head.parameters())
        return [*super().get_clip_parameters(exclude_head), *own]

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
            ``loss`` (scalar), ``output`` (logits, B x K), ``targets`` (B x K), ``lam`` ((B,), the partner's share in
            the targets) and ``mix``. In eval mode nothing is mixed.

        Raises:
            UserError: targets or outputs that are not what this takes; says what to give instead.
        """
        check_batch(input, target, self.num_classes)
        step = self._step(input, target, objects)
        if mix is not None:
            step.mix = mix
        elif not self.training:
            step.mix = unmixed(input)
        else:
            step.mix = self.own["mix"](step) if "mix" in self.own else mix_batch(input, self.policy, self.rng)
        if self.class_attention is not None:
            self.class_attention.pause(not self._needs_attention(step))
        short = self.training and self.class_token_only
        with last_block.class_token_only(step.model) if short else nullcontext():
            output = self.trainable_module(step.mix.images)
        check_output(output, self.num_classes)
        step.output = output.float()
        self._take_what_was_read(step)
        step.lam, step.targets = self._labels(step)
        loss = self.criterion(step.output, step.targets)
        if "loss" in self.own and self.training:
            loss = loss + self.own["loss"](step)
        self.extra_passes = step.extra_passes
        return {"loss": loss, "output": output, "targets": step.targets, "lam": step.lam, "mix": step.mix}

    def _step(self, images: Tensor, labels: Tensor, objects: Tensor | None) -> Step:
        return Step(
            images=images,
            labels=labels,
            rng=check_generator(self.rng),
            model=unwrap_model(self.trainable_module),
            num_classes=self.num_classes,
            objects=objects,
            smoothing=self.smoothing,
            policy=self.policy,
            label_rule=self.label_rule,
            options=self.options,
            as_published=self.mixing.as_published,
            epoch=self.epoch,
            teacher=self.teacher,
            head=self.head,
            attention_block=self.mixing.attention_block,
            attention_head=self.mixing.attention_head,
        )

    def _take_what_was_read(self, step: Step) -> None:
        if self._blocks:
            step.block_attention = self._blocks.take()
        if self._tokens:
            step.tokens = self._tokens.take()
        if not self._labelled_by_attention:
            return
        if self._needs_attention(step):
            student = self.mixing.attention_of == "student"
            step.attention = self.class_attention.take() if student else self._attention_of_another(step)
            self.class_attention.pause(True)  # passes to come, an evaluation's above all, label nothing
        step.grid = self.grid
        if self._grid and self.class_attention and self._grid != self.class_attention.grid:
            own = self.class_attention.grid
            raise UserError(f"grid={self._grid}, but the model attends to {own} patches of these images: give no other")

    def _needs_attention(self, step: Step) -> bool:
        """For the labels of a batch with a pasted region; for a method's own functions always, where it is free."""
        labels = step.mix.pasted is not None and not self._warming_up
        return labels or (self._method_reads_attention and self.mixing.attention_of == "student")

    def _attention_of_another(self, step: Step) -> Tensor:
        """Class attention of the moving average or of the teacher on the mixed batch: one more forward pass."""
        model = self.teacher
        if self.mixing.attention_of == "ema":
            if not self.has_ema():
                raise UserError("attention_of=ema needs a moving average of the weights: call setup_ema() first")
            model = unwrap_model(self.get_trainable_module(ema=True))
        if self.class_attention is None:
            self.class_attention = self._reader(model)
        with torch.no_grad(), evaluating(model):
            model(step.mix.images)
        step.extra_passes += 1
        return self.class_attention.take()

    def _reader(self, model: nn.Module) -> ClassAttention:
        bare = model.model if isinstance(model, Teacher) else model
        return ClassAttention(bare, self.mixing.attention_head, self.mixing.attention_block)

    @property
    def _warming_up(self) -> bool:
        return self.epoch < self.mixing.label_warmup_epochs

    def _labels(self, step: Step) -> tuple[Tensor, Tensor]:
        """The partners' share in the labels, and the targets."""
        lam, own = step.mix.lam, {}
        # Mixup and unmixed batches have no pasted region: they keep their pixel lambda
        if step.mix.pasted is not None and not self._warming_up:
            own = self.own
            lam = own["lam"](step) if "lam" in own else self._pasted_share(step)
        if "targets" in own:
            step.lam = lam
            return lam, own["targets"](step)
        partners = step.labels[step.mix.partner]
        return lam, mixed_targets(step.labels, partners, lam, self.num_classes, self.smoothing)

    def _pasted_share(self, step: Step) -> Tensor:
        mix, attention = step.mix, step.attention
        if self.label_rule == "oracle":
            true = object_share(step.objects, mix.partner, mix.pasted)
            return torch.where(true.isnan(), mix.lam, true)
        if self.label_rule not in READ_ATTENTION:
            return mix.lam
        mask = pasted_tokens(mix.pasted, step.grid)
        if mask.shape[1] != attention.shape[1]:
            raise UserError(
                f"the model attends to {attention.shape[1]} patch tokens, these images have {step.grid}: let it drop "
                "none (patch_drop_rate=0)"
            )
        return pasted_share(mix.lam, attention, mask, self.label_rule)


class TransMixTask(MixingTask):
    """`MixingTask` by label rule: Mixup and CutMix as timm draws them, labels by area or by class attention.

    ``label_rule="area"`` is plain Mixup + CutMix (any model, no attention read); ``"mean"`` is TransMix. Nothing else
    differs, so a baseline and its TransMix run differ by one setting.

    Args:
        model: a model with class attention (see `transmix.attention`); any model for ``"area"``.
        num_classes: K.
        label_rule: ``area``, ``attention``, ``mean`` or ``oracle`` (see `transmix.labels`).
        policy: what is mixed how often.
        smoothing: label smoothing, in both labels of a mixture.
        rng: draws the mixes; assign a fresh generator each step for exact resume.
        grid: (rows, columns) of patch tokens, where you want them checked; the model's own, no other.
        class_token_only: as `MixingTask` has it.
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
        class_token_only: bool = False,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if label_rule not in LABEL_RULES:
            raise ValueError(f"unknown label rule {label_rule!r}: one of {', '.join(LABEL_RULES)}")
        mixing = Mixing(label_rule=label_rule, smoothing=smoothing)
        further = {"class_token_only": class_token_only, "device": device, "dtype": dtype}
        super().__init__(model, num_classes, mixing, policy, rng, grid, **further)


def check_generator(rng: Any) -> np.random.Generator:
    """The same; `UserError` where it is none of NumPy's generators."""
    if not isinstance(rng, np.random.Generator):
        raise UserError(f"rng is {type(rng).__name__}: give a generator, numpy.random.default_rng(seed)")
    return rng


def check_batch(images: Tensor, labels: Tensor, num_classes: int) -> None:
    """Raise `UserError` unless these are images (B, C, H, W) and their class indices (B,)."""
    for what, given in (("images", images), ("targets", labels)):
        if not isinstance(given, Tensor):
            raise UserError(f"{what} are {type(given).__name__}: give a tensor")
    if images.ndim != 4 or not images.is_floating_point() or not len(images):
        raise UserError(f"images are {_described(images)}: give normalised floats (B, C, H, W), one image or more")
    if labels.ndim == 2 and labels.shape[1] == num_classes:
        raise UserError(
            f"targets are {_described(labels)}, one-hot or soft: give class indices (B,); this task mixes and smooths"
        )
    if labels.shape != images.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        raise UserError(f"targets are {_described(labels)}: give whole class indices ({len(images)},)")
    if labels.device.type == "cpu" and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise UserError(f"targets are {int(labels.min())} to {int(labels.max())}, the classes 0 to {num_classes - 1}")


def check_output(output: Any, num_classes: int) -> None:
    """Raise `UserError` unless a model returned logits (B, `num_classes`)."""
    if not isinstance(output, Tensor):
        several = f"{len(output)} outputs" if isinstance(output, list | tuple) else f"a {type(output).__name__}"
        raise UserError(
            f"the model returns {several}, this task takes logits (B, K): a distilled model has "
            "set_distilled_training(False) for that"
        )
    if output.ndim != 2 or output.shape[1] != num_classes:
        raise UserError(f"the model returns {_described(output)}, num_classes is {num_classes}: make the two agree")


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _mixing(method: str | Mixing, policy: MixPolicy | None, settings: dict[str, Any]) -> Mixing:
    """The settings of a method by name, or those given, with some of them changed."""
    known = [field.name for field in fields(Mixing)]
    if isinstance(method, Mixing):
        found = {name: getattr(method, name) for name in known}
    elif method in methods():
        found = {name: value for name, value in methods()[method].settings.items() if name in known}
    else:
        raise unknown_name("method", method, methods())
    for name in settings:
        if name not in known:
            raise unknown_name("setting", name, known)
    drawn = {}
    if policy is not None:
        drawn = asdict(policy)
        drawn["mix_prob"] = drawn.pop("prob")
    return Mixing(**(found | drawn | settings))
