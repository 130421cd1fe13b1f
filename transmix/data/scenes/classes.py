"""The class table: a class is a shape, a texture and a palette; ten of each give a thousand classes."""

from __future__ import annotations

from dataclasses import dataclass

SHAPES = ("star", "ring", "cross", "heart", "crescent", "flower", "triangle", "square", "arrow", "disc")
TEXTURES = ("stripes", "dots", "checks", "mesh", "plain", "ripples", "zigzag", "rays", "bricks", "camo")


@dataclass(frozen=True)
class Palette:
    """Where a class's colours lie on the colour circle; hues are in turns, 0 = red, 1/3 = green."""

    name: str
    hue: float
    accent_hue: float


PALETTES = (
    Palette("amber", hue=0.09, accent_hue=0.00),
    Palette("azure", hue=0.57, accent_hue=0.50),
    Palette("moss", hue=0.27, accent_hue=0.15),
    Palette("crimson", hue=0.98, accent_hue=0.08),
    Palette("violet", hue=0.76, accent_hue=0.88),
    Palette("rose", hue=0.89, accent_hue=0.97),
    Palette("teal", hue=0.48, accent_hue=0.36),
    Palette("indigo", hue=0.67, accent_hue=0.55),
    Palette("lemon", hue=0.16, accent_hue=0.28),
    Palette("jade", hue=0.38, accent_hue=0.46),
)


@dataclass(frozen=True)
class SceneClass:
    """One class; `name` is its folder name and sorts in class order."""

    index: int
    shape: str
    texture: str
    palette: Palette

    @property
    def name(self) -> str:
        """Its folder's name: number, shape, texture and palette, as ``000-star-stripes-amber``."""
        return f"{self.index:03d}-{self.shape}-{self.texture}-{self.palette.name}"


def scene_class(index: int) -> SceneClass:
    """The class with this index, 0 to 999.

    The decimal digits of the index pick the three parts. The shape digit shifts the other two, so that the
    first ten classes differ in all three; given the shape, the tens digit fixes the texture and then the
    hundreds digit the palette, so no two classes are the same.
    """
    units, tens, hundreds = index % 10, index // 10 % 10, index // 100
    return SceneClass(
        index=index,
        shape=SHAPES[units],
        texture=TEXTURES[(units + tens) % 10],
        palette=PALETTES[(units + 3 * tens + hundreds) % 10],
    )
