"""What JPEG compression does to pixels, as tensor operations on whole batches: no file, no codec, any device.

Baseline JPEG with half the colour resolution (4:2:0) and the quantisation tables of the standard's annex K, scaled by
quality as libjpeg scales them. Entropy coding loses nothing, so it is left out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))  # 99 elsewhere
_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def compress(images: Tensor, quality: int) -> Tensor:
    """RGB images (B, 3, H, W) in [0, 1], as they come back from a JPEG file of this quality (1 to 100)."""
    height, width = images.shape[-2:]
    padded = F.pad((images * 255).round_(), (0, -width % 16, 0, -height % 16), mode="replicate")
    pixels = torch.einsum("dc,bchw->bdhw", images.new_tensor(_TO_YCBCR), padded)
    luma, chroma = (pixels[:, :1] - 128).round_(), F.avg_pool2d(pixels[:, 1:], 2).round_()
    luma = _quantise(luma, _scaled(_luminance(images.device), quality))
    chroma = _quantise(chroma, _scaled(_chrominance(images.device), quality))
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    pixels = torch.einsum("dc,bchw->bdhw", images.new_tensor(_TO_RGB), torch.cat([luma + 128, chroma], 1))
    return pixels[..., :height, :width].round().clamp_(0, 255) / 255


def _quantise(plane: Tensor, table: Tensor) -> Tensor:
    """Round the cosine coefficients of every 8 x 8 block of (B, C, H, W) to multiples of the table's entries."""
    blocks = plane.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)  # (B, C, rows, columns, 8, 8)
    basis = _cosines(plane.device)
    coefficients = (basis @ blocks @ basis.T).div_(table).round_().mul_(table)
    return (basis.T @ coefficients @ basis).transpose(3, 4).reshape(plane.shape).round_().clamp_(-128, 127)


def _cosines(device: torch.device) -> Tensor:
    """The orthonormal 8-point cosine transform, a row a frequency."""
    frequency, place = torch.arange(8, device=device)[:, None], torch.arange(8, device=device)
    basis = torch.cos((2 * place + 1) * frequency * (math.pi / 16)) / 2
    basis[0] /= math.sqrt(2)
    return basis


def _luminance(device: torch.device) -> Tensor:
    return torch.tensor(_LUMINANCE, device=device)


def _chrominance(device: torch.device) -> Tensor:
    return F.pad(torch.tensor(_CHROMINANCE, device=device), (0, 4, 0, 4), value=99)


def _scaled(table: Tensor, quality: int) -> Tensor:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((table * scale + 50) // 100).clamp(1, 255).float()
