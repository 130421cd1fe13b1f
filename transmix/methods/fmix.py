"""FMix: cut along a contour of low-frequency noise; label by the share drawn.

Harris et al., 2020, arXiv 2002.12047. Source: ecs-vlc/FMix@e5991dc, fmix.py and implementations/*.py (openmixup's mask
is the same). Noise in Fourier space falls with frequency^decay; of the grey image that it makes, the brightest
share lambda ~ Beta(alpha, alpha) is the own image's. One mask a batch, partners are a random permutation. The label has
the share that was drawn, not the mask's (less than a pixel apart); ``max_soft`` blends at the contour.

The published code takes the spectrum's real and imaginary parts from the first two rows of the noise instead of from
its last axis: all rows of its masks have a single interval. Numbers published for FMix are with such masks:
``SET=as_published=true``. The reformulated loss, with own labels alone, is not offered.

Cost: a small Fourier transform on the CPU, no pass. Expected: ImageNet top-1 of DeiT-T 74.41, DeiT-S 77.37, DeiT-B
79.84, PVT-T 75.28, PVT-S 78.72 with alpha .2 (``SET=cutmix_alpha=.2``; openmixup,
docs/en/mixup_benchmarks/Mixup_imagenet.md). ``make table2 METHODS=cutmix,fmix``.
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

from transmix.common.lazy import np, torch
from transmix.common.ranges import Range
from transmix.methods import Method
from transmix.methods._draws import batch_share, draw_partners, draw_share, in_place_of_cutmix
from transmix.methods._step import Step
from transmix.mixing import Mix

if TYPE_CHECKING:
    import numpy
    from torch import Tensor

METHOD = Method(
    title="FMix",
    settings={"mixup_alpha": 0.0},
    position=130,
    options={"decay": 3.0, "max_soft": 0.0},
    published=("FMix",),
    ranges={"decay": Range(0, 10), "max_soft": Range(0, 0.5)},
)


def mix(step: Step) -> Mix:
    """One mask of low-frequency noise for the batch."""
    return in_place_of_cutmix(step, _mix)


def _mix(step: Step) -> Mix:
    images, rng, options = step.images, step.rng, step.options
    height, width = images.shape[-2:]
    kept, partner = 1 - draw_share(step), draw_partners(step)
    noise = rng.standard_normal((height, width // 2 + 1 + width % 2, 2))
    field = low_frequencies(noise, (height, width), options["decay"], step.as_published)
    own = own_mask(field, kept, bool(rng.random() < 0.5), options["max_soft"])
    return blend(images, torch.from_numpy(own).to(images), 1 - kept, partner)


def blend(images: Tensor, own: Tensor, lam: float, partner: Tensor) -> Mix:
    """Mix by the own images' weights (H, W); pixels of which the partner has the larger part count as pasted."""
    mixed = torch.lerp(images[partner], images, own)
    return Mix(mixed, partner, batch_share(lam, images), (own < 0.5).expand(len(images), -1, -1))


def low_frequencies(
    noise: numpy.ndarray, size: tuple[int, int], decay: float, as_published: bool = False
) -> numpy.ndarray:
    """A grey image (H, W) in [0, 1] with a spectrum that falls with frequency.

    Args:
        noise: (H, W // 2 + 1, 2) standard normal, real and imaginary parts; of an odd width a column more, unused.
        size: (H, W).
        decay: the power of the frequency.
        as_published: real and imaginary parts from the first two rows instead, (2, columns, 2): see the card.
    """
    height, width = size
    columns = np.fft.fftfreq(width)[: noise.shape[1]]
    frequency = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + columns**2)
    scaled = noise / np.maximum(frequency, 1 / max(size))[..., None] ** decay
    if as_published:
        field = np.fft.irfftn(scaled[0] + 1j * scaled[1], size, axes=(0, 1))
    else:
        field = np.fft.irfftn(scaled[..., 0] + 1j * scaled[..., 1], size, axes=(0, 1))
    return (field - field.min()) / (field.max() - field.min())


def own_mask(field: numpy.ndarray, kept: float, round_up: bool, max_soft: float = 0.0) -> numpy.ndarray:
    """The own image's weight at each pixel: 1 at the brightest of the field, 0 at the rest, (H, W).

    Args:
        field: (H, W).
        kept: share of the pixels that is bright.
        round_up: whether their number is rounded up or down.
        max_soft: largest share of the pixels on each side of the contour whose weights fall linearly.
    """
    pixels = field.size
    bright = (ceil if round_up else floor)(kept * pixels)
    soft = int(pixels * min(max_soft, kept, 1 - kept))
    weights = np.zeros(pixels)
    weights[: bright + soft] = 1
    weights[bright - soft : bright + soft] = np.linspace(1, 0, 2 * soft)
    mask = np.empty(pixels)
    mask[np.argsort(-field, axis=None, kind="stable")] = weights
    return mask.reshape(field.shape)
