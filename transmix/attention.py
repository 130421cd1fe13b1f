"""Read the class-token attention of the last class-attention block, almost for free.

A forward pre-hook sees the tokens that enter that one attention module and recomputes only the class token's
row. The model's own computation (fused attention included) is not touched, so its outputs stay as they were
to the bit, and nothing of size N x N is made.

The keys are not even projected: with ``u_h = W_k,h^T q_h`` the logits of head h are ``x u_h``; the key bias adds
the same constant to a whole row and cancels in the softmax.

Shapes: B images, N tokens (prefix tokens first), P patch tokens, C channels, h heads of d channels.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from operator import attrgetter

import torch
from timm.layers import Attention, to_2tuple
from timm.models import Cait, VisionTransformer, Xcit
from timm.models.cait import ClassAttn
from torch import Tensor, nn

from transmix.common.errors import UserError
from transmix.models.pvt import PyramidVisionTransformer, SpatialReductionAttention


@dataclass(frozen=True)
class Family:
    """Where a family of models keeps its class attention.

    Attributes:
        name: what the family is called in messages.
        models: the model class.
        find: the attention module of a model of that class, or None if this one has no class attention.
        query_key: its (W_q, b_q, W_k): (h*d, C), (h*d,) or None, (h*d, C).
        grid: (rows, columns) of the patch tokens it attends to.
    """

    name: str
    models: type[nn.Module]
    find: Callable[[nn.Module], nn.Module | None]
    query_key: Callable[[nn.Module], tuple[Tensor, Tensor | None, Tensor]]
    grid: Callable[[nn.Module], tuple[int, int]]


def _last_self_attention(model: VisionTransformer) -> nn.Module | None:
    attn = getattr(model.blocks[-1], "attn", None)
    readable = type(attn) is Attention and isinstance(attn.q_norm, nn.Identity)
    return attn if readable and model.cls_token is not None else None


def _fused_query_key(attn: Attention) -> tuple[Tensor, Tensor | None, Tensor]:
    weight_q, weight_k, _ = attn.qkv.weight.chunk(3)
    return weight_q, None if attn.qkv.bias is None else attn.qkv.bias.chunk(3)[0], weight_k


def _separate_query_key(attn: ClassAttn) -> tuple[Tensor, Tensor | None, Tensor]:
    return attn.q.weight, attn.q.bias, attn.k.weight


def _shared_key_value(attn: SpatialReductionAttention) -> tuple[Tensor, Tensor | None, Tensor]:
    return attn.q.weight, attn.q.bias, attn.kv.weight.chunk(2)[0]


def _patch_grid(model: nn.Module) -> tuple[int, int]:
    height, width = to_2tuple(model.patch_embed.img_size)
    rows, columns = to_2tuple(model.patch_embed.patch_size)
    return height // rows, width // columns


FAMILIES = (
    Family("DeiT/ViT", VisionTransformer, _last_self_attention, _fused_query_key, _patch_grid),
    Family("CaiT", Cait, lambda model: model.blocks_token_only[-1].attn, _separate_query_key, _patch_grid),
    # the class-attention layers at the end, not the cross-covariance (channel) attention before them
    Family("XCiT", Xcit, lambda model: model.cls_attn_blocks[-1].attn, _separate_query_key, _patch_grid),
    # stage 4: the class token exists there only, and its keys are not spatially reduced
    Family(
        "PVT", PyramidVisionTransformer, lambda model: model.block4[-1].attn, _shared_key_value, attrgetter("grid_size")
    ),
)


def _family(model: nn.Module) -> tuple[Family, nn.Module]:
    for family in FAMILIES:
        if isinstance(model, family.models) and model.global_pool == "token":
            module = family.find(model)
            if module is not None:
                return family, module
    raise UserError(
        f"{type(model).__name__} has no class attention to mix labels by; families that work: "
        f"{', '.join(family.name for family in FAMILIES)} (with a class token and token pooling)"
    )


def token_grid(model: nn.Module) -> tuple[int, int]:
    """(rows, columns) of the patch tokens that the model's class token attends to, at its configured image size."""
    family, _ = _family(model)
    return tuple(family.grid(model))


class ClassAttention:
    """The class-token attention of a model's last class-attention block.

    >>> reader = ClassAttention(model)      # the bare model, before compile and DDP
    >>> logits = model(images)
    >>> attention = reader.take()           # (B, P), mean over heads, float32, no gradient
    >>> rows, columns = reader.grid         # P = rows * columns, row by row

    Softmax over all tokens, before attention dropout; the columns of the class token (and of other prefix
    tokens) are dropped, so a row sums to less than one. Computed in float32 whatever autocast does.

    A deep copy of the model (an EMA, say) takes along a copy of the reader that stays silent: read it with
    a reader of its own.

    Args:
        model: the bare model.
        head: read this head of the block alone instead of the mean over all.

    Raises:
        UserError: the model has no class attention this suite can read; names the families that have.
    """

    def __init__(self, model: nn.Module, head: int | None = None) -> None:
        family, module = _family(model)
        self.grid = token_grid(model)
        self._head = head
        self._query_key = family.query_key
        self._prefix = model.num_prefix_tokens
        self._attention: Tensor | None = None
        self._silent = False
        self._handle = module.register_forward_pre_hook(self._read)

    def __deepcopy__(self, memo: dict) -> ClassAttention:
        silent = object.__new__(ClassAttention)
        silent._silent = True
        return silent

    def _read(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self._silent:
            return
        tokens = inputs[0].detach()
        # autocast knows no meta device, where costs are counted
        plain = nullcontext() if tokens.is_meta else torch.autocast(tokens.device.type, enabled=False)
        with torch.no_grad(), plain:
            attention = class_row(tokens.float(), *self._query_key(module), module.num_heads, module.scale)
            attention = attention[:, :, self._prefix :]
            self._attention = attention.mean(1) if self._head is None else attention[:, self._head]

    def take(self) -> Tensor:
        """The attention of the last forward pass, (B, P); each pass can be taken once."""
        if self._attention is None:
            raise RuntimeError("no forward pass to take class attention from")
        attention, self._attention = self._attention, None
        return attention

    def remove(self) -> None:
        """Take the hook off the model."""
        self._handle.remove()


def class_row(
    tokens: Tensor, weight_q: Tensor, bias_q: Tensor | None, weight_k: Tensor, num_heads: int, scale: float
) -> Tensor:
    """Attention probabilities of token 0 over all tokens: (B, h, N), from tokens (B, N, C) in float32."""
    bias_q = None if bias_q is None else bias_q.float()
    query = nn.functional.linear(tokens[:, 0], weight_q.float(), bias_q) * scale
    query = query.unflatten(-1, (num_heads, -1))  # (B, h, d)
    folded = torch.einsum("bhd,hdc->bhc", query, weight_k.float().unflatten(0, (num_heads, -1)))
    return (folded @ tokens.transpose(1, 2)).softmax(-1)
