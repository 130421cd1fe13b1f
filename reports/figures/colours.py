"""Colours of figures: one for each method, on a light page and on a dark one.

Any two of the palette can be told apart with every common colour blindness, on both grounds, and text in them is
legible there (`tests/test_colours.py` measures both). A dark page has the same hues, dark ones turned light.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from transmix.methods import methods

INK, MUTED, RULE = "#1d2126", "#626a73", "#d5d9de"
BLUE, ORANGE = "#0072b2", "#bf5200"  # Okabe and Ito's; their vermilion is darkened until text in it is legible
PALETTE = (BLUE, ORANGE, "#4a174e", "#687a51", "#8d507a", "#015658", "#6d2400")
AMBER = "#e69f00"  # for areas, not for text
HEAT = ("#57106e", "#82206c", "#ae305c", "#d54a41", "#f06f20", "#fca108", "#f6d746")  # inferno's, without its dark end
_DARK = {INK: "#e8eaed", MUTED: "#9ba4ae", RULE: "#3a4048"}
# linear sRGB to cone responses, and their cube roots to OKLab (Ottosson 2020)
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


@cache
def method_colours() -> dict[str, str]:
    """Every method's colour as ``#rrggbb``: its own, or the next of the palette that no method has declared."""
    declared = {name: method.colour.lower() for name, method in methods().items() if method.colour}
    free = [colour for colour in PALETTE if colour not in declared.values()]
    others = [name for name in methods() if name not in declared]
    return declared | {name: free[place % len(free)] for place, name in enumerate(others)}


def colour_of(method: str) -> str:
    """A method's colour on a light page; grey for one that is not declared."""
    return method_colours().get(method, MUTED)


def darkened(svg: str) -> str:
    """The same picture for a dark page: every colour of this module in its dark variant."""
    known = {INK, MUTED, RULE, *PALETTE, *method_colours().values()}
    return re.sub("#[0-9a-f]{6}", lambda found: dark(found[0]) if found[0] in known else found[0], svg)


@cache
def dark(colour: str) -> str:
    """A colour for a dark page: grey ones are chosen, of others the lightness is mirrored and the hue kept."""
    if colour in _DARK:
        return _DARK[colour]
    lightness, *hue = to_oklab(linear(colour))
    lightness = 0.72 + 0.6 * (0.58 - lightness)  # the lightest that is legible on white is the darkest here
    for chroma in np.linspace(1, 0, 101):  # as colourful as the screen can show
        found = np.linalg.solve(_CONES, np.linalg.solve(_LAB, [lightness, *chroma * np.array(hue)]) ** 3)
        if found.min() >= -1e-4 and found.max() <= 1 + 1e-4:
            break
    found = np.clip(found, 0, 1)
    coded = np.where(found <= 0.0031308, 12.92 * found, 1.055 * found ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * part):02x}" for part in coded.tolist())


def heat(shares: np.ndarray) -> np.ndarray:
    """Colours for shares in [0, 1], from little to much: (..., 3) in [0, 1]."""
    stops = np.array([[int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)] for colour in HEAT])
    places = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(shares, places, channel) for channel in stops.T], axis=-1)


def linear(colour: str) -> np.ndarray:
    """``#rrggbb`` as (3,) linear intensities in [0, 1]."""
    coded = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def to_oklab(intensities: np.ndarray) -> np.ndarray:
    """(3,) lightness, green to red, blue to yellow of linear intensities: equal steps look about equally large."""
    return _LAB @ np.cbrt(_CONES @ intensities)
