"""What is in an image: objects of a class, the clutter around them, and what hides them."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transmix.common.seeding import derive_seed
from transmix.data.scenes.classes import Palette, SceneClass, scene_class
from transmix.data.scenes.render import Canvas, Colour, Figure, develop, render, render_background
from transmix.data.scenes.shapes import DISTRACTORS, OUTLINES, Outline, shape_area
from transmix.data.scenes.spec import ScenesSpec
from transmix.data.scenes.textures import TEXTURES, Texture

MIN_VISIBLE = 10
"""An object of which fewer pixels show is no object: the dense views leave it out."""

MAX_HIDDEN = 0.30
"""Distractors hide at most this share of an object."""

ANY_HUE = 0.3
"""Share of objects that take an arbitrary hue, so that colour alone does not give the class away."""

_TEXTURE_LIST = tuple(TEXTURES.values())


@dataclass(frozen=True)
class Scene:
    """An image (H, W, 3) uint8, and the visible pixels of its objects: masks (N, H, W) bool, labels (N,)."""

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    labels: tuple[int, ...]


def single_object_scene(spec: ScenesSpec, split: str, index: int) -> Scene:
    """Classification image `index` of a split ("train" or "val"): one object, of class index % classes."""
    rng = np.random.default_rng(derive_seed(spec.seed, "imagenet", split, index))
    label = index % spec.classes
    figure = draw_object(scene_class(label), float(rng.uniform(spec.min_share, spec.max_share)), rng)
    return compose_scene(figure, label, spec.size, behind=int(rng.integers(2, 5)), rng=rng)


def draw_object(kind: SceneClass, share: float, rng: np.random.Generator) -> Figure:
    """An object of a class that covers about `share` of the image, before it is painted."""
    return _object(kind, _place(kind, share, rng), rng)


def compose_scene(figure: Figure, label: int, size: int, behind: int, rng: np.random.Generator) -> Scene:
    """A square image of one object in front of `behind` distractors."""
    return _compose([figure], (label,), size, behind, rng)


def dense_scene(spec: ScenesSpec, split: str, index: int) -> Scene:
    """Image `index` of the ADE20K and COCO views: two to six objects, those hidden too well left out."""
    rng = np.random.default_rng(derive_seed(spec.seed, "dense", split, index))
    labels = rng.integers(0, spec.dense_classes, int(rng.integers(2, 7))).tolist()
    figures: list[Figure] = []
    for label in labels:
        share = math.exp(rng.uniform(math.log(0.02), math.log(0.20)))
        candidates = [_place(scene_class(label), share, rng) for _ in range(8)]
        roomiest = max(candidates, key=lambda place: _clearance(place, figures))
        figures.append(_object(scene_class(label), roomiest, rng))
    scene = _compose(figures, tuple(labels), spec.dense_size, behind=int(rng.integers(4, 9)), rng=rng)
    seen = scene.masks.sum(axis=(1, 2)) >= MIN_VISIBLE
    kept = tuple(label for label, visible in zip(labels, seen, strict=True) if visible)
    return Scene(scene.image, scene.masks[seen], kept)


@dataclass(frozen=True)
class _Place:
    """Where an object goes and how large it is, in image widths."""

    centre: tuple[float, float]
    radius: float


def _place(kind: SceneClass, share: float, rng: np.random.Generator) -> _Place:
    """A random place for an object that covers about `share` of the image, mostly inside it."""
    radius = min(math.sqrt(share / shape_area(kind.shape)), 0.55)
    margin = min(0.8 * radius, 0.45)
    x, y = rng.uniform(margin, 1 - margin, 2).tolist()
    return _Place((x, y), radius)


def _clearance(place: _Place, figures: list[Figure]) -> float:
    """How far a place is from the nearest figure, relative to their sizes; 1 = they just touch."""
    distances = (math.dist(place.centre, figure.centre) / (place.radius + figure.radius) for figure in figures)
    return min(distances, default=math.inf)


def _compose(objects: list[Figure], labels: tuple[int, ...], size: int, behind: int, rng: np.random.Generator) -> Scene:
    """Paint background, `behind` distractors, the objects, and up to two distractors that hide a part."""
    canvas = Canvas(render_background(rng, size))
    for _ in range(behind):
        centre = rng.uniform(0, 1, 2).tolist()
        canvas.paint(render(_distractor((centre[0], centre[1]), float(rng.uniform(0.06, 0.20)), rng), size))
    numbers = [canvas.paint(render(figure, size)) for figure in objects]
    areas = np.bincount(canvas.owner.ravel(), minlength=numbers[-1] + 1)[numbers]
    for _ in range(int(rng.integers(0, 3))):
        patch = render(_occluder(objects[int(rng.integers(len(objects)))], rng), size)
        if np.all(canvas.areas_under(patch, numbers) >= (1 - MAX_HIDDEN) * areas):
            canvas.paint(patch)
    masks = canvas.owner == np.array(numbers, np.int16)[:, None, None]
    return Scene(develop(canvas.rgb, rng), masks, labels)


def _object(kind: SceneClass, place: _Place, rng: np.random.Generator) -> Figure:
    colours = _object_colours(kind.palette, rng)
    return _figure(OUTLINES[kind.shape], TEXTURES[kind.texture], colours, place.centre, place.radius, rng)


def _distractor(centre: tuple[float, float], radius: float, rng: np.random.Generator) -> Figure:
    """A figure of no class, with a texture and colours from anywhere."""
    outline = DISTRACTORS[int(rng.integers(len(DISTRACTORS)))](rng)
    patterned = rng.uniform() < 0.4
    texture = _TEXTURE_LIST[int(rng.integers(len(_TEXTURE_LIST)))] if patterned else TEXTURES["plain"]
    return _figure(outline, texture, _any_colours(rng), centre, radius, rng)


def _occluder(hidden: Figure, rng: np.random.Generator) -> Figure:
    """A distractor that lies across the rim of another figure."""
    angle, distance = rng.uniform(0, 2 * math.pi), hidden.radius * rng.uniform(0.4, 1.1)
    x, y = hidden.centre[0] + distance * math.cos(angle), hidden.centre[1] + distance * math.sin(angle)
    centre = (min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))
    return _distractor(centre, hidden.radius * float(rng.uniform(0.25, 0.6)), rng)


def _figure(
    outline: Outline,
    texture: Texture,
    colours: tuple[Colour, Colour],
    centre: tuple[float, float],
    radius: float,
    rng: np.random.Generator,
) -> Figure:
    """Fill in what varies the same way for objects and distractors."""
    turn = 2 * math.pi
    phase_s, phase_t = rng.uniform(-0.5, 0.5, 2).tolist()
    return Figure(
        outline=outline,
        texture=texture,
        main=colours[0],
        accent=colours[1],
        centre=centre,
        radius=radius,
        aspect=math.exp(rng.uniform(-0.16, 0.16)),
        angle=rng.uniform(-0.8, 0.8),
        # like a cloth, whatever is cut from it; on small images it must not be finer than a few pixels
        period=rng.uniform(0.11, 0.18),
        phase=(phase_s, phase_t),
        texture_angle=rng.uniform(-0.3, 0.3),
        light=rng.uniform(0, turn),
        shadow=rng.uniform(0.2, 0.5),
    )


def _object_colours(palette: Palette, rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Main and accent colour of an object: around its palette's hues, or for some objects anywhere."""
    shift = rng.uniform(0, 1) if rng.uniform() < ANY_HUE else rng.normal(0, 0.06)
    return _two_tones(palette.hue + shift, palette.accent_hue + shift + rng.normal(0, 0.03), rng)


def _any_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    hue = rng.uniform(0, 1)
    return _two_tones(hue, hue + rng.normal(0, 0.12), rng)


def _two_tones(hue: float, accent_hue: float, rng: np.random.Generator) -> tuple[Colour, Colour]:
    """A strong main colour, and an accent that is either much darker or much paler than it."""
    main = colorsys.hsv_to_rgb(hue % 1, rng.uniform(0.55, 0.95), rng.uniform(0.65, 0.95))
    if rng.uniform() < 0.5:
        accent = colorsys.hsv_to_rgb(accent_hue % 1, rng.uniform(0.5, 0.9), rng.uniform(0.15, 0.35))
    else:
        accent = colorsys.hsv_to_rgb(accent_hue % 1, rng.uniform(0.05, 0.25), rng.uniform(0.9, 1.0))
    return main, accent
