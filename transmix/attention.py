"""Read what a model computes in passing: class-token attention above all, almost for free.

A forward pre-hook sees the tokens that enter an attention module and recomputes only the class token's row. The model's
own computation (fused attention included) is not touched, so its outputs stay as they were to the bit, and nothing of
size N x N is made (but by `BlockAttention`, for methods that need it).

The keys are not even projected: with ``u_h = W_k,h^T q_h`` the logits of head h are ``x u_h``; the key bias adds
the same constant to a whole row and cancels in the softmax.

Shapes: B images, N tokens (prefix tokens first), P patch tokens, C channels, h heads of d channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

import torch
from timm.layers import Attention, to_2tuple
from timm.models import Cait, VisionTransformer, Xcit
from timm.models.cait import ClassAttn
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from transmix.common.errors import UserError
from transmix.models.pvt import PyramidVisionTransformer, SpatialReductionAttention


@dataclass(frozen=True)
class Family:
    """Where a family of models keeps its class attention.

    Attributes:
        name: what the family is called in messages.
        models: the model class.
        find: the attention modules of a model of that class, of those blocks that have a class token; a module that
            cannot be read is None.
        query_key: the (W_q, b_q, W_k) of one: (h*d, C), (h*d,) or None, (h*d, C).
        grid: (rows, columns) of the patch tokens they attend to, for images of the configured size.
        entry: the module that takes the images, and (height, width) of a patch token in pixels.
    """

    name: str
    models: type[nn.Module]
    find: Callable[[nn.Module], list[nn.Module | None]]
    query_key: Callable[[nn.Module], tuple[Tensor, Tensor | None, Tensor]]
    grid: Callable[[nn.Module], tuple[int, int]]
    entry: Callable[[nn.Module], tuple[nn.Module, tuple[int, int]]]


def _self_attention(model: VisionTransformer) -> list[nn.Module | None]:
    if model.cls_token is None:
        return [None]
    modules = [getattr(block, "attn", None) for block in model.blocks]
    return [attn if type(attn) is Attention else None for attn in modules]


def _attention_in(blocks: str) -> Callable[[nn.Module], list[nn.Module | None]]:
    return lambda model: [block.attn for block in getattr(model, blocks)]


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


def _patches(model: nn.Module) -> tuple[nn.Module, tuple[int, int]]:
    return model.patch_embed, to_2tuple(model.patch_embed.patch_size)


def _pyramid_patches(model: PyramidVisionTransformer) -> tuple[nn.Module, tuple[int, int]]:
    return model.patch_embed1, to_2tuple(model.feature_info[-1]["reduction"])


FAMILIES = (
    Family("DeiT/ViT", VisionTransformer, _self_attention, _fused_query_key, _patch_grid, _patches),
    Family("CaiT", Cait, _attention_in("blocks_token_only"), _separate_query_key, _patch_grid, _patches),
    # the class-attention layers at the end, not the cross-covariance (channel) attention before them
    Family("XCiT", Xcit, _attention_in("cls_attn_blocks"), _separate_query_key, _patch_grid, _patches),
    # stage 4: the class token exists there only, and its keys are not spatially reduced
    Family(
        "PVT",
        PyramidVisionTransformer,
        _attention_in("block4"),
        _shared_key_value,
        attrgetter("grid_size"),
        _pyramid_patches,
    ),
)
SELF_ATTENTION = ("DeiT/ViT", "PVT")  # families whose patches attend to each other in the blocks with a class token


def _family(model: nn.Module, block: int = -1) -> tuple[Family, list[nn.Module]]:
    """The family of a model and its readable attention modules, `block` among them."""
    for family in FAMILIES:
        if isinstance(model, family.models) and model.global_pool == "token":
            modules = family.find(model)
            if not -len(modules) <= block < len(modules):
                raise UserError(
                    f"attention_block={block}: {type(model).__name__} has class attention in {len(modules)} blocks "
                    f"(0 to {len(modules) - 1}, or counted from the end: -1 to {-len(modules)})"
                )
            if modules[block] is not None:
                return family, modules
    if any(isinstance(getattr(model, name, None), nn.Module) for name in ("module", "_orig_mod")):
        raise UserError(f"{type(model).__name__} wraps a model: give the bare one here, and wrap it afterwards")
    raise UserError(
        f"{type(model).__name__} has no class attention to mix labels by; families that work: "
        f"{', '.join(family.name for family in FAMILIES)} (with a class token and token pooling)"
    )


def token_grid(model: nn.Module) -> tuple[int, int]:
    """(rows, columns) of the patch tokens that the model's class token attends to, at its configured image size."""
    family, _ = _family(model)
    return tuple(family.grid(model))


class Reader:
    """Something that hooks see in a forward pass, and that is taken away after it.

    A deep copy of the model (an EMA, say) takes along a copy of the reader that stays silent: read it with
    a reader of its own.

    Attributes:
        what: the name of what is read, for messages.
    """

    what = ""

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []
        self._silent = self._paused = False
        self._seen: Any = None

    def __deepcopy__(self, memo: dict) -> Reader:
        silent = object.__new__(type(self))
        silent._silent = True
        return silent

    def pause(self, paused: bool) -> None:
        """Let passes go unread from now on, or read them; a compiled model is read always, or it is compiled twice."""
        self._check_own()
        self._paused = paused

    def take(self) -> Any:
        """What the last forward pass showed; each pass can be taken once."""
        self._check_own()
        if self._seen is None:
            raise RuntimeError(f"no forward pass to take {self.what} from")
        seen, self._seen = self._seen, None
        return seen

    def _check_own(self) -> None:
        if self._silent:
            raise UserError(f"a deep copy reads no {self.what}: make a new one around the copied model")

    def remove(self) -> None:
        """Take the hooks off the model."""
        for handle in self._handles:
            handle.remove()


class ClassAttention(Reader):
    """The class-token attention of one of a model's class-attention blocks, by default the last.

    >>> reader = ClassAttention(model)      # the bare model, before compile and DDP
    >>> logits = model(images)
    >>> attention = reader.take()           # (B, P), mean over heads, float32, no gradient
    >>> rows, columns = reader.grid         # P = rows * columns, row by row

    Softmax over all tokens, before attention dropout; the columns of the class token (and of other prefix
    tokens) are dropped, so a row sums to less than one. Computed in float32 whatever autocast does.

    Args:
        model: the bare model.
        head: read this head of the block alone instead of the mean over all.
        block: among the blocks that have class attention, counted as Python counts.

    Raises:
        UserError: the model has no class attention this suite can read (names the families that have), or not this
            block or head.
    """

    what = "class attention"

    def __init__(self, model: nn.Module, head: int | None = None, block: int = -1) -> None:
        super().__init__()
        family, modules = _family(model, block)
        module = modules[block]
        if head is not None and not 0 <= head < module.num_heads:
            raise UserError(f"attention_head={head}: the block has heads 0 to {module.num_heads - 1}")
        self.grid = tuple(family.grid(model))
        entry, self._patch = family.entry(model)
        self._handles.append(entry.register_forward_pre_hook(self._look_at_size))
        self._head = head
        self._query_key = family.query_key
        self._prefix = model.num_prefix_tokens
        self._handles.append(module.register_forward_pre_hook(self._read))

    def _read(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self._silent or (not torch.compiler.is_compiling() and self._paused):
            return
        tokens = inputs[0].detach()
        with torch.no_grad(), _without_autocast(tokens):
            if _norms(module):
                attention = normed_class_row(tokens.float(), module)
            else:
                attention = class_row(tokens.float(), *self._query_key(module), module.num_heads, module.scale)
            attention = attention[:, :, self._prefix :]
            self._seen = attention.mean(1) if self._head is None else attention[:, self._head]

    def _look_at_size(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self._silent:
            return
        (height, width), (rows, columns) = inputs[0].shape[-2:], self._patch
        if height % rows or width % columns:
            raise UserError(
                f"images of {height} x {width} px are no whole number of patches of {rows} x {columns}, and labels by "
                "attention would be off: resize them"
            )
        self.grid = (height // rows, width // columns)


class BlockAttention(Reader):
    """The attention of all tokens on all tokens in every block that has a class token: a list of (B, N, N).

    Softmax before attention dropout, mean over heads, float32, no gradient. Made beside the model's own (fused)
    attention, so it costs time and memory for N x N numbers a head.

    Args:
        model: the bare model.
        blocks: only these, as Python counts; by default all.

    Raises:
        UserError: a model whose patches do not attend to each other there.
    """

    what = "attention of blocks"

    def __init__(self, model: nn.Module, blocks: Sequence[int] | None = None) -> None:
        super().__init__()
        family, modules = _family(model)
        if family.name not in SELF_ATTENTION or None in modules:
            raise UserError(
                f"{type(model).__name__} has no self-attention of patches to read in its blocks with a class token; "
                f"families that have: {', '.join(SELF_ATTENTION)}"
            )
        self.grid = tuple(family.grid(model))
        self._query_key = family.query_key
        chosen = modules if blocks is None else [modules[block] for block in blocks]
        for place, module in enumerate(chosen):
            self._handles.append(module.register_forward_pre_hook(partial(self._read, place)))

    def _read(self, place: int, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self._silent:
            return
        tokens = inputs[0].detach()
        with torch.no_grad(), _without_autocast(tokens):
            tokens, (weight_q, bias_q, weight_k) = tokens.float(), self._query_key(module)
            if _norms(module):
                query, key = normed_query_key(tokens, tokens, module)
            else:
                query = nn.functional.linear(tokens, weight_q.float(), None if bias_q is None else bias_q.float())
                key = nn.functional.linear(tokens, weight_k.float())  # its bias cancels in the softmax
                query, key = (part.unflatten(-1, (module.num_heads, -1)) for part in (query, key))
                query = query * module.scale
            query, key = query.transpose(1, 2), key.transpose(1, 2)
            attention = (query @ key.transpose(-2, -1)).softmax(-1).mean(1)
        self._seen = [*(self._seen or [])[:place], attention]  # a pass begins anew at its first block


class FinalTokens(Reader):
    """The tokens (B, N, C) that the model's final norm gives, with their gradient.

    Args:
        model: the bare model.

    Raises:
        UserError: the model has no ``norm`` at its end.
    """

    what = "tokens"

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not isinstance(getattr(model, "norm", None), nn.Module):
            raise UserError(f"{type(model).__name__} has no final norm to read tokens from")
        self._handles.append(model.norm.register_forward_hook(self._read))

    def _read(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if not self._silent:
            self._seen = output


def _without_autocast(tokens: Tensor) -> AbstractContextManager:
    # autocast knows no meta device, where costs are counted; and to switch off what is off takes time
    off = tokens.is_meta or not torch.is_autocast_enabled(tokens.device.type)
    return nullcontext() if off else torch.autocast(tokens.device.type, enabled=False)


def _norms(module: nn.Module) -> bool:
    """Whether an attention module normalises queries or keys (``qk_norm``)."""
    norms = (getattr(module, name, None) for name in ("q_norm", "k_norm"))
    return any(norm is not None and not isinstance(norm, nn.Identity) for norm in norms)


def normed_query_key(queried: Tensor, tokens: Tensor, module: Attention) -> tuple[Tensor, Tensor]:
    """Scaled queries of some tokens and keys of all, (B, N, h, d) each, of a module that normalises both."""
    weight_q, weight_k, _ = module.qkv.weight.float().chunk(3)
    bias_q, bias_k = (None, None) if module.qkv.bias is None else module.qkv.bias.float().chunk(3)[:2]
    query = nn.functional.linear(queried, weight_q, bias_q).unflatten(-1, (module.num_heads, -1))
    key = nn.functional.linear(tokens, weight_k, bias_k).unflatten(-1, (module.num_heads, -1))
    return module.q_norm(query) * module.scale, module.k_norm(key)


def normed_class_row(tokens: Tensor, module: Attention) -> Tensor:
    """`class_row` of a module that normalises queries and keys: here the keys have to be projected."""
    query, key = normed_query_key(tokens[:, 0], tokens, module)
    return torch.einsum("bhd,bnhd->bhn", query, key).softmax(-1)


def class_row(
    tokens: Tensor, weight_q: Tensor, bias_q: Tensor | None, weight_k: Tensor, num_heads: int, scale: float
) -> Tensor:
    """Attention probabilities of token 0 over all tokens: (B, h, N), from tokens (B, N, C) in float32."""
    bias_q = None if bias_q is None else bias_q.float()
    query = nn.functional.linear(tokens[:, 0], weight_q.float(), bias_q) * scale
    query = query.unflatten(-1, (num_heads, -1)).transpose(0, 1)  # (h, B, d)
    folded = query @ weight_k.float().unflatten(0, (num_heads, -1))  # (h, B, C)
    return (folded.transpose(0, 1) @ tokens.transpose(1, 2)).softmax(-1)
