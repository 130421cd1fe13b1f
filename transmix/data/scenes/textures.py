"""Two-tone textures: where a figure shows its accent colour instead of its main colour.

A texture maps coordinates (s, t), float arrays of one shape measured in pattern periods, to the signed
distance from the border between the two tones, positive where the accent colour is, in periods.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from transmix.data.scenes.shapes import Field, arctan2, hypot, sin

Texture = Callable[[Field, Field], Field]


def _to_line(s: Field) -> Field:
    """Distance to the nearest whole number, 0 to 0.5."""
    return np.abs(s - np.round(s))


def _stripes(s: Field, t: Field) -> Field:
    return _to_line(s) - 0.25


def _dots(s: Field, t: Field) -> Field:
    return 0.33 - hypot(_to_line(s), _to_line(t))


def _checks(s: Field, t: Field) -> Field:
    """The period spans two checks, hence fields a bit larger than the other patterns' details."""
    a, b = _to_line(s * 0.75) - 0.25, _to_line(t * 0.75) - 0.25
    return np.sign(a * b) * np.minimum(np.abs(a), np.abs(b)) / 0.75


def _mesh(s: Field, t: Field) -> Field:
    return 0.16 - np.minimum(_to_line(s), _to_line(t))


def _plain(s: Field, t: Field) -> Field:
    return np.full_like(s, -1.0)


def _ripples(s: Field, t: Field) -> Field:
    return _to_line(hypot(s, t)) - 0.25


def _zigzag(s: Field, t: Field) -> Field:
    return (_to_line(t + 1.2 * _to_line(s * 0.6)) - 0.25) / 1.23


def _rays(s: Field, t: Field) -> Field:
    sectors = 8
    angle = arctan2(t, s) * (sectors / (2 * math.pi))
    return (_to_line(angle) - 0.25) * hypot(s, t) * (2 * math.pi / sectors)


def _bricks(s: Field, t: Field) -> Field:
    """Courses half a brick apart, each brick twice as wide as high."""
    course = np.floor(t)
    joint = _to_line((s + course) * 0.5) / 0.5
    return 0.14 - np.minimum(_to_line(t), joint)


def _camo(s: Field, t: Field) -> Field:
    """Patches without a period: two crossed waves that bend each other."""
    wave = sin(4.1 * s + 1.7 * sin(2.3 * t)) + sin(3.7 * t + 1.9 * sin(2.9 * s + 1.0))
    return wave * 0.16


TEXTURES: dict[str, Texture] = {
    "stripes": _stripes,
    "dots": _dots,
    "checks": _checks,
    "mesh": _mesh,
    "plain": _plain,
    "ripples": _ripples,
    "zigzag": _zigzag,
    "rays": _rays,
    "bricks": _bricks,
    "camo": _camo,
}
