"""The seam for perturbations: one pure function each, ``(images, severity, draws) -> images``, pixels in [0, 1].

A further one is such a function and its name in `CORRUPTIONS` (and in that of `experiments.protocols`, for the plan).
`images` (B, C, H, W) lie on the model's device and are not to be changed; every random number comes from `draws`, whose
row i belongs to image i.

Strengths at severities 1 to 5: "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"
(Hendrycks and Dietterich, 2019), make_imagenet_c.py; there they were chosen for 224 px.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

from robustness.draws import Draws

Corruption = Callable[[Tensor, int, Draws], Tensor]


def gaussian_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Sensor noise, independent in each pixel and channel."""
    scale = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    return (images + scale * draws.normal(*images.shape[1:])).clamp_(0, 1)


def gaussian_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blur; its radius is given at 224 px and scales with the image."""
    sigma = (1, 2, 3, 4, 6)[severity - 1] * images.shape[-1] / 224
    reach = max(1, min(int(4 * sigma + 0.5), min(images.shape[-2:]) - 1))
    return vision.gaussian_blur(images, 2 * reach + 1, sigma).clamp_(0, 1)


def contrast(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Pull every pixel towards the image's mean colour."""
    kept = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    mean = images.mean((2, 3), keepdim=True)
    return mean + kept * (images - mean)


def jpeg_compression(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Artefacts of JPEG compression, by torchvision's codec, which works on the CPU."""
    pixels = (images * 255).round().to("cpu", torch.uint8)
    return vision.jpeg(pixels, quality=(25, 18, 15, 10, 7)[severity - 1]).to(images) / 255


CORRUPTIONS: dict[str, Corruption] = {
    corruption.__name__: corruption for corruption in (gaussian_noise, gaussian_blur, contrast, jpeg_compression)
}
