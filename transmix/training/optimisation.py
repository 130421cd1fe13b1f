"""What happens to gradients: accumulated over micro-batches, scaled, clipped, applied; and the moving average."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.task import TrainingTask
from torch import Tensor, nn

from transmix.recipe import Recipe
from transmix.training.checkpoints import check_shapes


class Optimisation:
    """AdamW with the recipe's schedule, gradient scaling (fp16) and clipping, and the moving average of weights.

    Args:
        task: whose model is trained; the moving average is made here, so before it is compiled or distributed.
        recipe: rates, schedule, decay.
        steps: optimizer steps in an epoch.
        accumulated: micro-batches whose gradients this process adds up for a step.
        head: of the mixing method, trained along.
    """

    def __init__(
        self, task: TrainingTask, recipe: Recipe, steps: int, accumulated: int, head: nn.Module | None = None
    ) -> None:
        self.task, self.recipe, self.accumulated = task, recipe, accumulated
        self.optimizer = create_optimizer_v2(
            task.get_trainable_module(),
            opt="adamw",
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            layer_decay=recipe.layer_decay,
            fused=True,
        )
        if head is not None:
            for group in create_optimizer_v2(
                head, opt="adamw", lr=recipe.lr, weight_decay=recipe.weight_decay
            ).param_groups:
                self.optimizer.add_param_group({name: group[name] for name in ("params", "lr", "weight_decay")})
        self.scheduler, _ = create_scheduler_v2(
            self.optimizer,
            "cosine",
            num_epochs=recipe.epochs,
            cooldown_epochs=recipe.cooldown_epochs,
            min_lr=recipe.min_lr,
            warmup_lr=recipe.warmup_lr,
            warmup_epochs=recipe.warmup_epochs,
            step_on_epochs=not recipe.lr_per_step,
            updates_per_epoch=steps,
        )
        self.scaler = torch.amp.GradScaler(task.device.type, enabled=recipe.precision == "fp16")
        self.ema: nn.Module | None = None
        if recipe.ema_decay is not None:
            self.ema = task.setup_ema(decay=recipe.ema_decay, use_warmup=recipe.ema_warmup).module

    @property
    def lr(self) -> float:
        """The learning rate of the last step (with layer decay: of the head)."""
        return max(group["lr"] for group in self.optimizer.param_groups)

    def begin_step(self, epoch: int, step: int) -> None:
        """Set the learning rate for step `step`, counted from the run's start, and drop old gradients."""
        if self.recipe.lr_per_step:
            self.scheduler.step_update(step)
        else:
            self.scheduler.step(epoch)
        self.optimizer.zero_grad()

    def sharing(self, last: bool) -> Any:
        """The context of a micro-batch's passes: gradients are exchanged between processes in a step's last only."""
        return nullcontext() if last else self.task.no_sync()

    def backward(self, loss: Tensor) -> None:
        """Add a micro-batch's part to the gradient of the step's mean loss."""
        self.scaler.scale(loss / self.accumulated).backward()

    def end_step(self, step: int) -> None:
        """Take an optimizer step with the gradient that `backward` has added up, and move the average after it."""
        if self.recipe.clip_grad is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.task.get_clip_parameters(), self.recipe.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.task.update_ema(step=step + 1)

    def state(self) -> dict[str, Any]:
        """What later steps depend on, beside the model's own state."""
        ema = None if self.ema is None else self.ema.state_dict()
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(), "ema": ema}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
        check_shapes(self.optimizer)
        self.scaler.load_state_dict(state["scaler"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
