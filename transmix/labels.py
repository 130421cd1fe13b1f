"""The label rule of TransMix, as pure functions.

What lambda means, here and everywhere in this suite: **lam is the share of the pasted (partner) image**,
as in Algorithm 1 of the slides. ``lam = 0`` leaves an image its own label, ``lam = 1`` gives it its partner's.
(CutMix code elsewhere counts the share that is *kept*; `transmix.mixing` converts at that border.)

Shapes: B images, K classes, P = gh * gw patch tokens in row-major order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from transmix.common.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

LABEL_RULES = {  # what decides the label of a CutMix image, by the recipe's setting, and in words
    "area": "area",
    "attention": "attention",
    "mean": "mean of area and attention",
    "oracle": "true visible share",
}
READ_ATTENTION = ("attention", "mean")  # the rules that need a model's attention


class Box(NamedTuple):
    """A half-open pixel rectangle, rows ``y1 <= y < y2`` and columns ``x1 <= x < x2``."""

    y1: int
    y2: int
    x1: int
    x2: int

    @property
    def area(self) -> int:
        """Number of pixels inside."""
        return (self.y2 - self.y1) * (self.x2 - self.x1)


def area_share(box: Box, image_size: tuple[int, int]) -> float:
    """Share of the image that the box covers: CutMix's lambda."""
    height, width = image_size
    return Box(*box).area / (height * width)


def box_mask(box: Box, image_size: tuple[int, int], device: torch.device | str | None = None) -> Tensor:
    """The box as pixels: (H, W) bool, true inside."""
    y1, y2, x1, x2 = box
    mask = torch.zeros(image_size, dtype=torch.bool, device=device)
    mask[y1:y2, x1:x2] = True
    return mask


def pasted_tokens(pasted: Tensor, grid: tuple[int, int]) -> Tensor:
    """Which patch tokens were pasted: (B, P) float, 1 where pasted.

    The top-left pixel of a patch decides for the whole patch. This is the official code's nearest
    down-sampling, in two dimensions (the slides' ``downsample(M.view(-1))`` read literally would not be).

    Args:
        pasted: (B, H, W) bool, the pixels that come from the partner.
        grid: (rows, columns) of patch tokens.
    """
    (height, width), (rows, columns) = pasted.shape[-2:], grid
    top = torch.arange(rows, device=pasted.device) * height // rows
    left = torch.arange(columns, device=pasted.device) * width // columns
    return pasted[:, top[:, None], left].flatten(1).float()


def token_mask(
    box: Box, image_size: tuple[int, int], grid: tuple[int, int], device: torch.device | str | None = None
) -> Tensor:
    """`pasted_tokens` of one box: (P,) float.

    Args:
        box: (y1, y2, x1, x2) in pixels, half-open.
        image_size: (height, width) in pixels.
        grid: (rows, columns) of patch tokens.
        device: where the mask is made.
    """
    return pasted_tokens(box_mask(box, image_size, device)[None], grid)[0]


def attention_share(attention: Tensor, mask: Tensor, area: float | Tensor | None = None) -> Tensor:
    """Share of the class attention that falls on pasted tokens, per image: (B,) float32.

    ``sum(attention * mask) / sum(attention)``: the attention that the class token pays to itself is not part
    of `attention` and so belongs to nobody. Carries no gradient.

    Args:
        attention: (B, P) class-token attention on the patches, any float type; need not sum to one.
        mask: (P,) or (B, P), 1 where pasted.
        area: share given to an image without any attention on its patches (0/0 in the official code);
            by default the mask's own share of the tokens.
    """
    attention = attention.detach().float()
    mask = mask.to(attention)
    pasted, total = (attention * mask).sum(-1), attention.sum(-1)
    fallback = mask.mean(-1) if area is None else torch.as_tensor(area, dtype=torch.float32, device=total.device)
    nothing = total <= 0
    return torch.where(nothing, fallback, pasted / total.masked_fill(nothing, 1.0))


def pasted_share(area: float | Tensor, attention: Tensor | None, mask: Tensor | None, rule: str = "mean") -> Tensor:
    """Lambda under a label rule: like `area` for the rule of that name, (B,) for the rules that read attention.

    * ``area``: CutMix, the pixel share.
    * ``attention``: Algorithm 1 of the slides, the attention share alone.
    * ``mean``: the mean of both, what the official code computes and the authors confirm (issue #7 there).

    (``oracle`` needs neither: see `object_share`.)

    Args:
        area: pixel share of the partner, one for all or (B,).
        attention: (B, P), as for `attention_share`.
        mask: (P,) or (B, P), as for `attention_share`.
        rule: one of the three.
    """
    if rule == "area":
        return torch.as_tensor(area, dtype=torch.float32)
    if rule not in READ_ATTENTION:
        raise ValueError(f"unknown label rule {rule!r}: one of area, attention, mean")
    share = attention_share(attention, mask, area)
    return share if rule == "attention" else (area + share) / 2


def object_share(objects: Tensor, partner: Tensor, pasted: Tensor | Box) -> Tensor:
    """The true lambda of a mixed batch: partners' object pixels over all that the mixed image shows, (B,) float32.

    NaN where it shows none. This is the label rule ``oracle``, for data whose masks are known. Pasted pixels are taken
    to be where they were in the partner.

    Args:
        objects: (B, H, W) bool, where each image's labelled object is visible before mixing.
        partner: (B,) index of the image that was pasted in.
        pasted: (B, H, W) bool, the pixels that come from the partner; or one box for all.
    """
    if not isinstance(pasted, torch.Tensor):
        pasted = box_mask(pasted, objects.shape[-2:], objects.device)
    outside, inside = (
        seen.bool().view(torch.uint8).sum((-2, -1), dtype=torch.int32).float()  # faster than of bool, in int64
        for seen in (objects & ~pasted, objects[partner] & pasted)
    )
    return inside / (outside + inside)


def mixed_targets(
    labels: Tensor, partner_labels: Tensor, lam: float | Tensor, num_classes: int, smoothing: float = 0.1
) -> Tensor:
    """Soft targets ``(1 - lam) * y_own + lam * y_partner``: (B, K) float32, rows sum to one.

    Label smoothing (eps) goes into both one-hot vectors: ``1 - eps + eps/K`` for the class, ``eps/K`` elsewhere.

    Args:
        labels: (B,) class indices of the images themselves.
        partner_labels: (B,) class indices of the pasted images.
        lam: share of the partner, one for all or (B,).
        num_classes: K.
        smoothing: eps.
    """
    lam = torch.as_tensor(lam, dtype=torch.float32, device=labels.device).reshape(-1, 1)
    off = smoothing / num_classes
    both = torch.stack([labels, partner_labels]).long()
    smooth = torch.full((*both.shape, num_classes), off, device=labels.device)
    own, partners = smooth.scatter_(2, both[..., None], 1.0 - smoothing + off)
    return (1 - lam) * own + lam * partners
