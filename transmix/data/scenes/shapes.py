"""Outlines as signed distance fields: of the ten class shapes, and of distractors that belong to no class.

An outline maps coordinates (u, v) of the figure's own frame, float arrays of one shape, to the distance from
the edge, negative inside, in the same unit. Figures lie within about one unit of the origin.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Outline = Callable[[Field, Field], Field]

REACH = 1.15
"""No outline lies farther than this from its origin."""


def _same_everywhere(function: Callable[..., NDArray[np.floating]]) -> Callable[..., Field]:
    """Compute in double precision and round once: in single, numpy's last bit depends on the kind of CPU."""
    return lambda *fields: function(*(field.astype(np.float64) for field in fields)).astype(np.float32)


arctan2, cos, hypot, sin = map(_same_everywhere, (np.arctan2, np.cos, np.hypot, np.sin))


def _box(u: Field, v: Field, half_width: float, half_height: float) -> Field:
    return np.maximum(np.abs(u) - half_width, np.abs(v) - half_height)


def _fold(u: Field, v: Field, sectors: int) -> tuple[Field, Field]:
    """Mirror and rotate the plane into half of one of `sectors` equal sectors around the u axis."""
    step = 2 * math.pi / sectors
    angle = arctan2(v, u)
    angle -= step * np.round(angle / step)
    radius = hypot(u, v)
    return radius * cos(angle), radius * np.abs(sin(angle))


def _star(u: Field, v: Field) -> Field:
    tip, notch = 1.1, 0.48
    along, across = _fold(u, v, 5)
    notch_u, notch_v = notch * math.cos(math.pi / 5), notch * math.sin(math.pi / 5)
    normal_u, normal_v = notch_v, tip - notch_u
    length = math.hypot(normal_u, normal_v)
    return ((along - tip) * normal_u + across * normal_v) / length


def _ring(u: Field, v: Field) -> Field:
    return np.abs(hypot(u, v) - 0.70) - 0.27


def _cross(u: Field, v: Field) -> Field:
    return np.minimum(_box(u, v, 1.0, 0.34), _box(u, v, 0.34, 1.0))


def _heart(u: Field, v: Field) -> Field:
    """A square standing on its corner, with a half disc on each of its two upper sides."""
    half = 0.52
    diagonal = half * math.sqrt(2)
    v = v - 0.18
    square = (np.abs(u) + np.abs(v) - diagonal) / math.sqrt(2)
    lobe = hypot(np.abs(u) - diagonal / 2, v + diagonal / 2) - half
    return np.minimum(square, lobe)


def _crescent(u: Field, v: Field) -> Field:
    return np.maximum(hypot(u, v) - 1.0, 0.78 - hypot(u - 0.52, v))


def _flower(u: Field, v: Field) -> Field:
    along, across = _fold(u, v, 6)
    return np.minimum(hypot(along - 0.70, across) - 0.33, along - 0.62)


def _triangle(u: Field, v: Field) -> Field:
    return np.maximum(v - 0.55, np.abs(u) * math.cos(math.pi / 6) - v * 0.5 - 0.55)


def _square(u: Field, v: Field) -> Field:
    return _box(u, v, 0.78, 0.78)


def _arrow(u: Field, v: Field) -> Field:
    head = np.maximum(-u, (u + np.abs(v) - 1.0) / math.sqrt(2))
    shaft = _box(u + 0.42, v, 0.54, 0.30)
    return np.minimum(head, shaft)


def _disc(u: Field, v: Field) -> Field:
    return hypot(u, v) - 0.9


OUTLINES: dict[str, Outline] = {
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "heart": _heart,
    "crescent": _crescent,
    "flower": _flower,
    "triangle": _triangle,
    "square": _square,
    "arrow": _arrow,
    "disc": _disc,
}


@functools.cache
def shape_area(name: str) -> float:
    """The area inside a class shape's outline, in squared units of its frame."""
    steps = 200
    line = (np.arange(steps, dtype=np.float32) + 0.5) * (2 * REACH / steps) - REACH
    u, v = np.meshgrid(line, line)
    return float(np.mean(OUTLINES[name](u, v) < 0)) * (2 * REACH) ** 2


def random_blob(rng: np.random.Generator) -> Outline:
    """A wobbly closed curve."""
    waves = np.arange(2, 6)
    heights = rng.uniform(0.05, 0.30, 4) / np.sqrt(waves)
    phases = rng.uniform(0, 2 * math.pi, 4)

    def outline(u: Field, v: Field) -> Field:
        angle = arctan2(v, u)
        edge = np.full_like(angle, 0.65)
        for wave, height, phase in zip(waves.tolist(), heights.tolist(), phases.tolist(), strict=True):
            edge += height * cos(wave * angle + phase)
        return hypot(u, v) - edge

    return outline


def random_polygon(rng: np.random.Generator) -> Outline:
    """An irregular convex polygon of five to seven sides."""
    sides = int(rng.integers(5, 8))
    angles = (np.arange(sides) + rng.uniform(-0.35, 0.35, sides)) * (2 * math.pi / sides)
    offsets = rng.uniform(0.45, 0.80, sides)

    def outline(u: Field, v: Field) -> Field:
        distance = np.full_like(u, -np.inf)
        for angle, offset in zip(angles.tolist(), offsets.tolist(), strict=True):
            np.maximum(distance, u * math.cos(angle) + v * math.sin(angle) - offset, out=distance)
        return distance

    return outline


def random_stroke(rng: np.random.Generator) -> Outline:
    """A bent brush stroke with round ends."""
    bend = float(rng.uniform(-0.5, 0.5))
    half_width = float(rng.uniform(0.10, 0.24))

    def outline(u: Field, v: Field) -> Field:
        steepness = np.sqrt(1 + (2 * bend * u) ** 2)
        across = (v - bend * (u * u - 0.3)) / steepness
        return hypot(np.maximum(np.abs(u) - 0.8, 0), across) - half_width

    return outline


DISTRACTORS = (random_blob, random_polygon, random_stroke)
