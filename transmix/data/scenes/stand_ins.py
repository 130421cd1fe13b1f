"""Small stand-ins for ImageNet-A and ImageNet-O, in their layout: ``scenes-A`` and ``scenes-O`` beside ``imagenet``.

They are no part of the data set proper: they are drawn when they are asked for, and its bytes do not depend on them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from transmix.common.errors import UserError
from transmix.common.files import Unwritable
from transmix.common.seeding import derive_seed
from transmix.data.scenes.classes import scene_class
from transmix.data.scenes.compose import Scene, compose_scene, draw_object
from transmix.data.scenes.layouts import jpeg, write_named
from transmix.data.scenes.spec import MANIFEST, ScenesSpec, room_of

GENERATOR = 1
"""Version of the stand-ins; it goes up whenever the same spec would give other images."""


def hard_scene(spec: ScenesSpec, index: int) -> tuple[int, Scene]:
    """Image `index` of ``scenes-A`` and its class: a known object of a rare size, oddly textured, in heavy clutter."""
    rng = np.random.default_rng(derive_seed(spec.seed, "scenes-A", index))
    label = index % spec.classes
    share = rng.uniform(0.04, 0.10) if rng.uniform() < 0.7 else rng.uniform(0.60, 0.80)
    figure = draw_object(scene_class(label), share, rng)
    scale = math.exp(rng.choice([-1, 1]) * rng.uniform(0.5, 0.8))
    figure = replace(figure, period=figure.period * scale, texture_angle=rng.uniform(-math.pi, math.pi))
    return label, compose_scene(figure, label, spec.size, behind=int(rng.integers(8, 15)), rng=rng)


def unknown_scene(spec: ScenesSpec, index: int) -> tuple[int, Scene]:
    """Image `index` of ``scenes-O`` and the known class that it is filed under: an object of a class never trained."""
    rng = np.random.default_rng(derive_seed(spec.seed, "scenes-O", index))
    # the next hundred classes have every shape, in textures (or, from 100 classes on, colours) that are not known
    label = spec.classes + index % min(100, 1000 - spec.classes)
    figure = draw_object(scene_class(label), rng.uniform(0.12, 0.54), rng)
    return index % spec.classes, compose_scene(figure, label, spec.size, behind=int(rng.integers(2, 5)), rng=rng)


STAND_INS: dict[str, Callable[[ScenesSpec, int], tuple[int, Scene]]] = {
    "scenes-A": hard_scene,
    "scenes-O": unknown_scene,
}


def write_stand_in(spec: ScenesSpec, out: Path, name: str) -> Path:
    """Write ``out/<name>/<class>/*.JPEG``, half as many images as for validation, unless it is there; returns it.

    The folder appears whole or not at all; a second process that wants it waits for the first.

    Raises:
        UserError: every class there is was trained, or the folder is another version's.
        Unwritable: no room, a read-only disk, or the like.
    """
    if name == "scenes-O" and spec.classes >= 1000:
        raise UserError("scenes-O needs classes that were never trained: choose fewer than 1,000")
    folder, images = out / name, max(spec.classes, spec.val // 2)
    about = {"generator": GENERATOR, "spec": spec.key, "images": images}
    try:
        with open(out / f".{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                partial = out / f".{name}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                digest = _write_images(spec, partial, name, images)
                write_named(partial / MANIFEST, (json.dumps(about | {"sha256": digest}, indent=1) + "\n").encode())
                partial.replace(folder)
    except OSError as error:
        raise Unwritable(Path(error.filename or folder), error, images * room_of(spec.size)) from error
    _check(folder, about)
    return folder


def _write_images(spec: ScenesSpec, folder: Path, name: str, images: int) -> str:
    digest = hashlib.sha256()
    for index in range(images):
        label, scene = STAND_INS[name](spec, index)
        path = folder / scene_class(label).name / f"{name}_{index:08d}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = jpeg(scene.image)
        write_named(path, content)
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _check(folder: Path, about: dict[str, object]) -> None:
    try:
        found = json.loads((folder / MANIFEST).read_text())
        same = all(found[key] == value for key, value in about.items())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        same = False
    written = sum(1 for _ in folder.glob("*/*.JPEG"))
    if not same or written != about["images"]:
        raise UserError(f"data folder {folder} is not whole or of another version: delete it, it is written again")
