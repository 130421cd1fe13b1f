"""Figures that are there already and would come out the same are not drawn again.

The figures of a report lie beside ``drawn.json``, which holds for each of them a hash of what it was drawn from (the
data, this code, matplotlib) and of its two files. A figure is drawn if any of these differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

import experiments
import reports
from reports.figures.style import Drawing, Picture, draw_figure
from transmix.common.files import replacing, sha256, write_text

MANIFEST = "drawn.json"
_SUFFIXES = (".svg", ".png")
_MANY = 24


def write_figures(pictures: Sequence[Picture], folder: Path) -> None:
    """Write the figures that `folder` lacks, take the others from it, and remove those that are no longer wanted."""
    known = _read_manifest(folder / MANIFEST)
    files = {picture.name: [folder / f"{picture.name}{suffix}" for suffix in _SUFFIXES] for picture in pictures}
    drawn_from = {picture.name: ingredients(picture) for picture in pictures}
    missing = []
    for picture in pictures:
        svg, png = files[picture.name]
        if _kept(known.get(picture.name), drawn_from[picture.name], [svg, png]):
            picture.drawing = Drawing(svg.read_text(encoding="utf-8"), png.read_bytes())
        else:
            missing.append(picture)
    _draw(missing)
    for picture in missing:
        svg, png = files[picture.name]
        write_text(svg, picture.svg)
        with replacing(png) as file:
            file.write(picture.png)
    if files or known:
        manifest = {name: [drawn_from[name], *map(sha256, paths)] for name, paths in files.items()}
        write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    for name in known.keys() - files.keys():
        for suffix in _SUFFIXES:
            (folder / f"{name}{suffix}").unlink(missing_ok=True)


def _draw(pictures: list[Picture]) -> None:
    """Draw figures; many of them on all cores, whose start takes as long as drawing a few."""
    if len(pictures) < _MANY:
        drawings = [draw_figure(picture.inches, picture.paint) for picture in pictures]
    else:
        from joblib import Parallel, delayed

        drawings = Parallel(n_jobs=-1)(delayed(draw_figure)(picture.inches, picture.paint) for picture in pictures)
    for picture, drawing in zip(pictures, drawings, strict=True):
        picture.drawing = drawing


def _kept(entry: Any, drawn_from: str, files: list[Path]) -> bool:
    """Whether the files are there, whole, and of the same ingredients."""
    if not all(file.is_file() for file in files):
        return False
    return entry == [drawn_from, *map(sha256, files)]


def _read_manifest(path: Path) -> dict[str, Any]:
    """What was drawn; nothing where that is not known."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def ingredients(picture: Picture) -> str:
    """A hash of all that decides how a figure looks."""
    from joblib import hash as hash_of  # takes a while to import

    return hash_of([_code(), picture.inches, closure(picture.paint)])


def closure(function: Callable) -> list[Any]:
    """What a function closes over, functions by what they close over themselves."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [function.__qualname__, *(closure(value) if isinstance(value, FunctionType) else value for value in cells)]


@cache
def _code() -> str:
    """A hash of the code that figures are drawn by, and of the published numbers that some of them show."""
    digest = hashlib.sha256(f"{version('matplotlib')} {version('numpy')}".encode())
    for package in (reports, experiments):
        folder = Path(package.__file__).parent
        for path in sorted([*folder.rglob("*.py"), *(folder / "published").glob("*")]):
            digest.update(f"{path.name} {sha256(path)}\n".encode())
    return digest.hexdigest()
