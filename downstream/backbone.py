"""One backbone for both libraries: any DeiT/ViT, CaiT or XCiT of timm, and the suite's PVT.

Registered with mmengine, so that ``type="TimmTransformer"`` means the same in an mmseg and in an mmdet configuration.
Any image size works; what the maps do not need (classifier, class attention, later blocks) is pruned, so that every
parameter gets a gradient and DDP needs no ``find_unused_parameters``.

A plain transformer's maps all have the stride of its patches; PVT's are a pyramid. Where a head wants a pyramid of a
plain one, the configuration adds mmseg's ``Feature2Pyramid`` as a neck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from timm.layers import resample_abs_pos_embed
from timm.models import Cait, VisionTransformer, Xcit, cait, checkpoint, vision_transformer, xcit
from torch import Tensor, nn

from downstream.weights import KeyReport, load_weights
from transmix.common.errors import UserError
from transmix.models import create_model, pvt

State = dict[str, Tensor]


@dataclass(frozen=True)
class Family:
    """What differs between families of models.

    Attributes:
        convert: a checkpoint's tensors as (a model of this family) names and shapes them.
        arguments: with which a model is made to take images of any size.
    """

    convert: Callable[[State, nn.Module], State]
    arguments: dict[str, Any] = field(default_factory=dict)


def _convert_cait(state: State, model: Cait) -> State:
    state = cait.checkpoint_filter_fn(state)
    if "pos_embed" in state:  # timm leaves this table as it is
        grid = list(model.patch_embed.grid_size)
        state["pos_embed"] = resample_abs_pos_embed(state["pos_embed"], grid, num_prefix_tokens=0)
    return state


FAMILIES: dict[type[nn.Module], Family] = {
    VisionTransformer: Family(
        vision_transformer.checkpoint_filter_fn, {"dynamic_img_size": True, "dynamic_img_pad": True}
    ),
    Cait: Family(_convert_cait),  # see TimmTransformer._cait_maps
    Xcit: Family(xcit.checkpoint_filter_fn),
    pvt.PyramidVisionTransformer: Family(pvt.checkpoint_filter_fn),
}


@cache
def blueprint(name: str) -> nn.Module:
    """The whole model `name` without its numbers (on the meta device), to be looked at only.

    Raises:
        UserError: unknown model, or one that no backbone can be made of.
    """
    with torch.device("meta"):
        model = create_model(name)
    if type(model) not in FAMILIES:
        known = ", ".join(family.__name__ for family in FAMILIES)
        raise UserError(f"model {name!r} is a {type(model).__name__}: a backbone can be made of {known}")
    return model


def map_info(name: str, out_indices: Sequence[int]) -> tuple[list[int], list[int]]:
    """Channels and strides of the maps that a `TimmTransformer` returns."""
    info = [blueprint(name).feature_info[index] for index in out_indices]
    return [part["num_chs"] for part in info], [part["reduction"] for part in info]


@MODELS.register_module()
class TimmTransformer(BaseModule):
    """Feature maps of a vision transformer that was trained to classify.

    Args:
        model: a timm model name, or one of transmix.models.
        out_indices: blocks (of PVT: stages) whose maps are returned, counted from 0; one may come more than once.
        weights: a weights file of this suite, or another that timm reads; None: random weights.
        img_size: the size that position tables are resized to once, when loading; None keeps the model's own.
            Images of any other size have theirs resized at every step.
        drop_path_rate: stochastic depth, as the model's family spreads it over blocks.
        final_norm: apply the model's last norm to every map.
        with_cp: recompute activations in the backward pass instead of keeping them.

    Raises:
        UserError: unknown model, a model without maps, or weights that are not this model's.
    """

    def __init__(
        self,
        model: str,
        out_indices: Sequence[int],
        weights: str | None = None,
        img_size: int | tuple[int, int] | None = None,
        drop_path_rate: float = 0.0,
        final_norm: bool = False,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.report: KeyReport | None = None  # once weights are loaded
        self.name, self.weights, self.final_norm = model, weights, final_norm
        self.out_indices = list(out_indices)
        arguments = {"drop_path_rate": drop_path_rate} | ({"img_size": img_size} if img_size else {})
        self._arguments = arguments | FAMILIES[type(blueprint(model))].arguments
        self.model = create_model(model, **self._arguments)
        self.channels = [self.model.feature_info[index]["num_chs"] for index in self.out_indices]
        self.model.prune_intermediate_layers(sorted(set(self.out_indices)), prune_norm=not final_norm, prune_head=True)
        self.model.set_grad_checkpointing(with_cp)
        if isinstance(self.model, Cait):
            self.model.patch_embed.strict_img_size, self.model.patch_embed.dynamic_img_pad = False, True

    def init_weights(self) -> None:
        """Load the weights, if any; mmengine's Runner calls this before it trains."""
        if self.weights is None:
            print_log(f"backbone {self.name}: random weights", logger="current")
            return
        with torch.device("meta"):
            whole = create_model(self.name, **self._arguments)
        self.report = load_weights(self.model, self.name, whole, FAMILIES[type(whole)].convert, self.weights)
        print_log(str(self.report), logger="current")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, height, width) to one map (B, C, H, W) for each of `out_indices`."""
        taken = sorted(set(self.out_indices))
        if isinstance(self.model, Cait):
            maps = self._cait_maps(images, taken)
        else:
            maps = self.model.forward_intermediates(
                images, taken, norm=self.final_norm, output_fmt="NCHW", intermediates_only=True
            )
        return tuple(maps[taken.index(index)] for index in self.out_indices)

    def _cait_maps(self, images: Tensor, taken: list[int]) -> list[Tensor]:
        """What timm's ``Cait.forward_intermediates`` returns, but for any image size."""
        model, embed = self.model, self.model.patch_embed
        grid = embed.dynamic_feat_size(images.shape[-2:])
        table = resample_abs_pos_embed(model.pos_embed, list(grid), list(embed.grid_size), num_prefix_tokens=0)
        x = model.pos_drop(embed(images) + table)
        maps = []
        for index, block in enumerate(model.blocks):
            x = checkpoint(block, x) if model.grad_checkpointing else block(x)
            if index in taken:
                tokens = model.norm(x) if self.final_norm else x
                maps.append(tokens.transpose(1, 2).unflatten(2, grid).contiguous())
        return maps
