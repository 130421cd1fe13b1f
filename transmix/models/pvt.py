"""Pyramid Vision Transformer, version 1 (Wang et al., ICCV 2021, arXiv 2102.12122), as a timm model.

timm has version 2 only, which has no class token. Parameter names are those of whai362/PVT, so its checkpoints
load as they are, and mmdet's ``pvt_convert`` reads what is trained here.

* ``pvt_{tiny,small,medium,large}``: the paper's models.
* ``pvt_micro_*_patch2_64``: an eighth of the width and a third of the depth, for 64 px images on a laptop's CPU.

Shapes: B images, C channels of a stage, h heads of d channels, a grid of H x W patches, N tokens: H*W, or 1 + H*W
with the class token (first, stage 4 only), M <= N tokens that keys and values are made from. Stages count from 1,
as in the paper and in the parameter names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from operator import mul
from typing import Any

import torch
from timm.layers import DropPath, Mlp, PatchEmbed, calculate_drop_path_rates, resample_abs_pos_embed, use_fused_attn
from timm.models import build_model_with_cfg, checkpoint, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.init import trunc_normal_

from transmix.models.micro import _cfg

Grid = tuple[int, int]
CLASS_STAGE = 4  # the class token enters here, and the last stage is also where it is read

# The official code sets 1e-6 for the blocks and the final norm and leaves PyTorch's default to the other two.
_block_norm = partial(nn.LayerNorm, eps=1e-6)
_patch_norm = _reduction_norm = partial(nn.LayerNorm, eps=1e-5)


class SpatialReductionAttention(nn.Module):
    """Self-attention whose keys and values come from a grid made ``sr_ratio`` times coarser (section 3.3).

    Nothing is reduced where ``sr_ratio`` is 1: plain attention, and the only kind that takes a class token.
    """

    def __init__(self, dim: int, num_heads: int, sr_ratio: int = 1, attn_drop: float = 0.0) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.scale = self.head_dim**-0.5
        self.sr_ratio = sr_ratio
        self.fused_attn = use_fused_attn()
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(dim, dim)
        if sr_ratio > 1:
            self.sr = nn.Conv2d(dim, dim, kernel_size=sr_ratio, stride=sr_ratio)
            self.norm = _reduction_norm(dim)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Attend among the tokens of one stage: (B, N, C) to (B, N, C)."""
        source = x
        if self.sr_ratio > 1:
            reduced = self.sr(x.transpose(1, 2).unflatten(2, grid))
            source = self.norm(reduced.flatten(2).transpose(1, 2))  # (B, M, C)
        q = self._split_heads(self.q(x))
        k, v = (self._split_heads(half) for half in self.kv(source).chunk(2, dim=-1))
        if self.fused_attn:
            dropout = self.attn_drop.p if self.training else 0.0
            x = scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=self.scale)
        else:
            attention = (q * self.scale @ k.transpose(-2, -1)).softmax(dim=-1)  # (B, h, N, M)
            x = self.attn_drop(attention) @ v
        return self.proj(x.transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)  # (B, h, N or M, d)


class Block(nn.Module):
    """Pre-norm transformer block: attention, then MLP, each with a residual."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, sr_ratio: int, attn_drop: float, drop_path: float):
        super().__init__()
        self.norm1 = _block_norm(dim)
        self.attn = SpatialReductionAttention(dim, num_heads, sr_ratio, attn_drop)
        self.drop_path1 = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = _block_norm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path2 = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        x = x + self.drop_path1(self.attn(self.norm1(x), grid))
        return x + self.drop_path2(self.mlp(self.norm2(x)))


class PyramidVisionTransformer(nn.Module):
    """Four stages of transformer blocks on ever coarser grids; the last one carries a class token.

    Args (sequences hold one number per stage):
        img_size: the size that the position tables are made for; images of other sizes work too.
        patch_sizes: by how much each stage makes the grid coarser; rows and columns left over are dropped.
        global_pool: "token" (the class token), or "" to leave the tokens as they are.
        sr_ratios: spatial reduction of keys and values; 1 in stage 4, whose class token is on no grid.
        drop_rate, attn_drop_rate: dropout before the head, and of attention probabilities.
        drop_path_rate: stochastic depth of the last block; linear from 0 over all blocks.
    """

    def __init__(
        self,
        img_size: int | Grid = 224,
        patch_sizes: Sequence[int] = (4, 2, 2, 2),
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "token",
        embed_dims: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (1, 2, 5, 8),
        mlp_ratios: Sequence[float] = (8, 8, 4, 4),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if sr_ratios[CLASS_STAGE - 1] != 1:
            raise ValueError("stage 4 has a class token, which is on no grid to be reduced: its sr_ratio must be 1")
        self.in_chans = in_chans
        self.num_features = self.head_hidden_size = embed_dims[-1]
        self.num_prefix_tokens = 1  # of stage 4
        self.grad_checkpointing = False
        strides = list(accumulate(patch_sizes, mul))
        rows, columns = (img_size, img_size) if isinstance(img_size, int) else img_size
        self.grid_sizes = [(rows // stride, columns // stride) for stride in strides]
        self.grid_size = self.grid_sizes[-1]
        self.feature_info = []
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        sources = [in_chans, *embed_dims]
        for i, (dim, (height, width)) in enumerate(zip(embed_dims, self.grid_sizes, strict=True)):
            # Without img_size, timm's patch projection takes any size and drops what is left over, as PVT does.
            embed = PatchEmbed(None, patch_sizes[i], sources[i], dim, norm_layer=_patch_norm)
            table = torch.zeros(1, height * width + (i + 1 == CLASS_STAGE), dim)
            blocks = [
                Block(dim, num_heads[i], mlp_ratios[i], sr_ratios[i], attn_drop_rate, rate) for rate in drop_paths[i]
            ]
            self.feature_info.append({"num_chs": dim, "reduction": strides[i], "module": f"block{i + 1}"})
            setattr(self, f"patch_embed{i + 1}", embed)
            setattr(self, f"pos_embed{i + 1}", nn.Parameter(trunc_normal_(table, std=0.02)))
            setattr(self, f"block{i + 1}", nn.ModuleList(blocks))
        self.cls_token = nn.Parameter(trunc_normal_(torch.zeros(1, 1, self.num_features), std=0.02))
        self.norm = _block_norm(self.num_features)
        self.head_drop = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes, global_pool)
        self.apply(_init_weights)

    def no_weight_decay(self) -> set[str]:
        """Parameters exempt from weight decay: as in PVT the class token alone; the position tables do decay."""
        return {"cls_token"}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Layers for layer-wise learning rates: one per block (coarse: per stage), with what feeds its first block."""
        first, block = ((), r"^block(\d)") if coarse else ((0,), r"^block(\d)\.(\d+)")
        feeds = [(r"^(?:patch_embed|pos_embed)(\d)", first), (r"^cls_token", (CLASS_STAGE, *first))]
        return {"stem": r"^(?:patch_embed|pos_embed)1", "blocks": [(block, None), *feeds, (r"^norm", (99999,))]}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block's activations in the backward pass instead of keeping them."""
        self.grad_checkpointing = enable

    def get_classifier(self) -> nn.Module:
        """The head: a Linear, or an Identity without classes."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a fresh head of so many classes (0: none) in place of the present one."""
        if global_pool not in (None, "", "token"):
            raise ValueError(f'global_pool is "token" or "" for PVT, not "{global_pool}"')
        self.global_pool = self.global_pool if global_pool is None else global_pool
        self.num_classes = num_classes
        head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.head = head.apply(_init_weights).to(self.pos_embed1).train(self.training)

    def prune_intermediate_layers(
        self, indices: int | Sequence[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what these stages (from 0) do not need, and with the head the class token, as PVT's detection code."""
        taken, last = feature_take_indices(len(self.grid_sizes), indices)
        cut = last + 1 < len(self.grid_sizes)
        for stage in range(last + 2, len(self.grid_sizes) + 1):
            for name in ("patch_embed", "pos_embed", "block"):
                delattr(self, f"{name}{stage}")
        del self.grid_sizes[last + 1 :]
        self.grid_size = self.grid_sizes[-1]
        if cut or prune_norm:
            self.norm = nn.Identity()  # the final norm is stage 4's
        if cut or prune_head:
            self.cls_token, self.num_prefix_tokens = None, 0
            self.num_features = self.head_hidden_size = self.feature_info[last]["num_chs"]
            self.reset_classifier(0, "")
        return taken

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """The pyramid, one (B, C, H, W) per stage; with the final tokens before it unless ``intermediates_only``.

        Stage 4's map comes without the class token and, unless ``norm``, before the final norm; the other stages
        have none. ``indices`` are the last n stages or a list from 0; all by default.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"a pyramid's maps are NCHW, not {output_fmt}")
        taken, last = feature_take_indices(len(self.grid_sizes), indices)
        maps = []
        for stage in range(1, (last + 1 if stop_early else len(self.grid_sizes)) + 1):
            tokens, grid = self._forward_stage(x, stage)
            final = self.norm(tokens) if stage == CLASS_STAGE else tokens
            x = _to_map(tokens, grid)
            if stage - 1 in taken:
                maps.append(_to_map(final, grid) if norm else x)
        return maps if intermediates_only else (final, maps)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to stage 4's normalised tokens, the class token first: (B, 3, height, width) to (B, N, C)."""
        last = len(self.grid_sizes)
        for stage in range(1, last):
            x = _to_map(*self._forward_stage(x, stage))
        return self.norm(self._forward_stage(x, last)[0])

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Tokens (B, N, C) to logits (B, classes), or to the features (B, C) that the head would see."""
        x = self.head_drop(x[:, 0] if self.global_pool == "token" else x)
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, height, width) to logits (B, classes)."""
        return self.forward_head(self.forward_features(x))

    def _forward_stage(self, x: Tensor, stage: int) -> tuple[Tensor, Grid]:
        """Image or map (B, C, H, W) to the tokens of one stage, (B, N, C), and their grid."""
        patch_embed = getattr(self, f"patch_embed{stage}")
        grid = patch_embed.dynamic_feat_size(x.shape[-2:])
        x = patch_embed(x)
        prefix = int(stage == CLASS_STAGE)
        table = resize_table(getattr(self, f"pos_embed{stage}"), grid, self.grid_sizes[stage - 1], prefix)
        if prefix and self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = x + table[:, table.shape[1] - x.shape[1] :]  # without the class entry if the class token was pruned
        for block in getattr(self, f"block{stage}"):
            x = checkpoint(block, x, grid) if self.grad_checkpointing else block(x, grid)
        return x, grid


def _to_map(tokens: Tensor, grid: Grid) -> Tensor:
    patches = tokens[:, -grid[0] * grid[1] :]  # the class token, where there is one, comes before them
    return patches.transpose(1, 2).unflatten(2, grid).contiguous()  # (B, C, H, W)


def _init_weights(module: nn.Module) -> None:
    """As in PVT: Linear weights truncated normal; LayerNorm and convolutions keep PyTorch's initialisation."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def resize_table(table: Tensor, grid: Grid, old_grid: Grid | None = None, prefix: int = 0) -> Tensor:
    """Position table (1, prefix + tokens, C) for another grid: bilinear as in PVT; the table itself on its own grid.

    Each stage's own grid counts: PVT compares with stage 1's, which fails at 448 px. No old grid means a square one.
    """
    return resample_abs_pos_embed(table, list(grid), old_grid, prefix, interpolation="bilinear", antialias=False)


def checkpoint_filter_fn(state_dict: dict[str, Any], model: PyramidVisionTransformer) -> dict[str, Tensor]:
    """A checkpoint's weights, bare or under "model" or "state_dict", with position tables resized to the model's.

    A table of the model's length stays as it is; the grid of another one must have been square: no table says.
    """
    state_dict = state_dict.get("model", state_dict)
    state_dict = dict(state_dict.get("state_dict", state_dict))
    for stage, grid in enumerate(model.grid_sizes, start=1):
        name = f"pos_embed{stage}"
        if name in state_dict and state_dict[name].shape[1] != getattr(model, name).shape[1]:
            state_dict[name] = resize_table(state_dict[name], grid, prefix=int(stage == CLASS_STAGE))
    return state_dict


# The micro models keep PVT's heads and ratios, at an eighth of its widths and a third of its depths; two blocks stay
# in stage 4, as the class token that asks in the last one must have seen the image before. With 2 for the first patch
# instead of 4, stage 4 has 4 x 4 patches of a 64 px image (2 x 2 would be too few to weigh labels by), all grids halve
# from stage to stage, and reduction leaves every stage just as many keys as stage 4 has patches: 16, and 49 in PVT.
_SMALL_IMAGE = {"img_size": 64, "patch_sizes": (2, 2, 2, 2)}
_MICRO = {**_SMALL_IMAGE, "embed_dims": (8, 16, 40, 64)}
_DEPTHS = {"tiny": (2, 2, 2, 2), "small": (3, 4, 6, 3), "medium": (3, 4, 18, 3), "large": (3, 8, 27, 3)}

_ARGUMENTS: dict[str, dict[str, Any]] = {
    **{f"pvt_{size}": {"depths": depths} for size, depths in _DEPTHS.items()},
    # the paper's widths and depths for 64 px images, for one GPU
    **{f"pvt_{size}_patch2_64": {"depths": depths, **_SMALL_IMAGE} for size, depths in _DEPTHS.items()},
    "pvt_micro_tiny_patch2_64": {"depths": (1, 1, 1, 2), **_MICRO},
    "pvt_micro_small_patch2_64": {"depths": (1, 1, 2, 2), **_MICRO},
    "pvt_micro_medium_patch2_64": {"depths": (1, 1, 6, 2), **_MICRO},
    "pvt_micro_large_patch2_64": {"depths": (1, 3, 9, 2), **_MICRO},
}
_CFG = _cfg(first_conv="patch_embed1.proj", input_size=(3, 224, 224), crop_pct=0.875)  # tested as 256 px, centre 224
_SMALL_IMAGE_CFG = _cfg(first_conv="patch_embed1.proj")
default_cfgs = generate_default_cfgs(
    {
        f"{name}.untrained": _SMALL_IMAGE_CFG if "img_size" in arguments else _CFG
        for name, arguments in _ARGUMENTS.items()
    }
)


def _entry_point(variant: str) -> Callable[..., PyramidVisionTransformer]:
    def create(pretrained: bool = False, **kwargs: Any) -> PyramidVisionTransformer:
        features = {"out_indices": kwargs.pop("out_indices", (0, 1, 2, 3)), "feature_cls": "getter"}
        arguments = {"feature_cfg": features, **_ARGUMENTS[variant], **kwargs}
        return build_model_with_cfg(
            PyramidVisionTransformer, variant, pretrained, pretrained_filter_fn=checkpoint_filter_fn, **arguments
        )

    create.__name__ = create.__qualname__ = variant  # timm registers a function under its name
    return create


for _variant in _ARGUMENTS:
    globals()[_variant] = register_model(_entry_point(_variant))
