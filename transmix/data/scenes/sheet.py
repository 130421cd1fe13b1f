"""The contact sheet: what the classes look like, for a person."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from transmix.data.opening import open_image
from transmix.data.scenes.classes import scene_class
from transmix.data.scenes.spec import ScenesSpec

MAX_CLASSES = 20
SAMPLES = 8
_TILE, _GAP, _NAME_WIDTH = 128, 8, 260


def draw_sheet(spec: ScenesSpec, out: Path) -> Image.Image:
    """A row a class, for the first 20: its name and its first eight training images, enlarged to 128 px."""
    rows = min(spec.classes, MAX_CLASSES)
    width, height = _NAME_WIDTH + SAMPLES * (_TILE + _GAP), rows * (_TILE + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for row in range(rows):
        name, top = scene_class(row).name, _GAP + row * (_TILE + _GAP)
        pen.text((_GAP * 2, top + _TILE // 2), name, fill="black", font=font, anchor="lm")
        for column, index in enumerate(range(row, spec.train, spec.classes)[:SAMPLES]):
            with open_image(out / "imagenet" / "train" / name / f"train_{index:08d}.JPEG") as photo:
                tile = photo.resize((_TILE, _TILE), Image.Resampling.BICUBIC)
            sheet.paste(tile, (_NAME_WIDTH + column * (_TILE + _GAP), top))
    return sheet
