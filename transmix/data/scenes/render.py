"""From figures to pixels: antialiased painting of signed distance fields, back to front.

Lengths are in image widths unless they say otherwise, so that a scene is the same at every image size.
Arrays of colour hold the channels first, (3, height, width), which numpy blends several times faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transmix.data.scenes.shapes import REACH, Field, Outline
from transmix.data.scenes.textures import Texture

HALO = 0.03
"""Width of the soft shadow around a figure."""

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Figure:
    """A class object or a distractor, before it is painted.

    `centre` (x, y), `radius` (the length of one unit of the outline) and `period` (of the texture) are in
    image widths; `aspect` stretches the figure by its square along its own u axis, keeping its area;
    `angle`, `texture_angle` and `light` (where the light comes from) are in radians; `phase` is in periods;
    `shadow` is the strength of the soft shadow, 0 to 1; colours are RGB from 0 to 1.
    """

    outline: Outline
    texture: Texture
    main: Colour
    accent: Colour
    centre: tuple[float, float]
    radius: float
    aspect: float
    angle: float
    period: float
    phase: tuple[float, float]
    texture_angle: float
    light: float
    shadow: float


@dataclass(frozen=True)
class Patch:
    """A rendered figure at `window` of an image: `rgb` (3, h, w), `coverage` and `shade` (h, w), 0 to 1."""

    window: tuple[slice, slice]
    rgb: Field
    coverage: Field
    shade: Field


def _window(centre: float, half: float, size: int) -> slice:
    return slice(max(0, math.floor((centre - half) * size)), min(size, math.ceil((centre + half) * size)))


def _rotate(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    cos, sin = math.cos(angle), math.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def render(figure: Figure, size: int) -> Patch:
    """Render a figure for a square image of `size` pixels a side; only its bounding box is computed."""
    squeeze = max(figure.aspect, 1 / figure.aspect)
    half = figure.radius * squeeze * REACH + HALO
    columns, rows = (_window(centre, half, size) for centre in figure.centre)
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = _rotate(line[columns] - figure.centre[0], line[rows, None] - figure.centre[1], figure.angle)

    u, v = x / (figure.radius * figure.aspect), y * (figure.aspect / figure.radius)
    distance = figure.outline(u, v) * (figure.radius / squeeze)
    s, t = _rotate(x, y, figure.texture_angle)
    tone = figure.texture(s / figure.period + figure.phase[0], t / figure.period + figure.phase[1])

    # one pixel of transition on either kind of edge is the antialiasing
    coverage = np.clip(0.5 - distance * size, 0, 1)
    accent = np.clip(0.5 + tone * (figure.period * size), 0, 1)
    main = np.array(figure.main, np.float32)[:, None, None]
    rgb = main + accent * (np.array(figure.accent, np.float32)[:, None, None] - main)
    rgb *= 1 + 0.22 * (u * math.cos(figure.light) + v * math.sin(figure.light))
    shade = np.clip(1 - np.maximum(distance, 0) / HALO, 0, 1)
    return Patch((rows, columns), rgb, coverage, figure.shadow * shade * shade)


class Canvas:
    """An image in the making; `owner` (size, size) holds the number of the figure on top, 0 = background."""

    def __init__(self, background: Field) -> None:
        self.rgb = background
        self.owner: NDArray[np.int16] = np.zeros(background.shape[1:], np.int16)
        self._painted = 0

    def paint(self, patch: Patch) -> int:
        """Paint over what is there; returns the figure's number, counted from 1."""
        region = self.rgb[(slice(None), *patch.window)]
        region *= 1 - patch.shade
        region += patch.coverage * (patch.rgb - region)
        self._painted += 1
        self.owner[patch.window][patch.coverage >= 0.5] = self._painted
        return self._painted

    def areas_under(self, patch: Patch, numbers: list[int]) -> NDArray[np.int64]:
        """How many pixels the figures `numbers` would still show if `patch` were painted."""
        owner = self.owner.copy()
        owner[patch.window][patch.coverage >= 0.5] = 0
        return np.bincount(owner.ravel(), minlength=self._painted + 1)[numbers]


def render_background(rng: np.random.Generator, size: int) -> Field:
    """Smooth noise (3, size, size) in random hues: lattices of random colours, coarse to fine, added up."""
    saturation = rng.uniform(0.3, 0.8)
    total = np.full((size, size, 3), -0.05 * 255, np.float32)
    for cells, weight in ((3, 0.55), (7, 0.35), (15, 0.20)):
        colours = rng.uniform(0, 255, (cells, cells, 3))
        grey = colours.mean(axis=2, keepdims=True)
        lattice = Image.fromarray((grey + saturation * (colours - grey)).astype(np.uint8))
        total += np.asarray(lattice.resize((size, size), Image.Resampling.BICUBIC)) * np.float32(weight)
    return np.ascontiguousarray(total.transpose(2, 0, 1)) / np.float32(255)


def develop(rgb: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photograph, (size, size, 3): random brightness and contrast, and sensor noise."""
    contrast, brightness, noise = rng.uniform(0.8, 1.1), rng.uniform(-0.1, 0.1), rng.uniform(0.005, 0.02)
    grain = rng.standard_normal(rgb.shape, dtype=np.float32) * np.float32(noise)
    photo = (rgb - 0.5) * contrast + (0.5 + brightness) + grain
    levels = np.clip(photo * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))
