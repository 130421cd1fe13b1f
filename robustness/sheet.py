"""The contact sheet: what each setting of a sweep does to one image, for a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from experiments.protocols import Sweep, curve_name
from robustness.saliency import Saliency
from robustness.settings import Setting, label
from robustness.sweep import Subject
from transmix.common.files import replacing
from transmix.data.loaders import Samples, eval_transform
from transmix.data.sources import Images

_TILE, _GAP, _NAMES, _LABELS = 96, 6, 130, 18


@torch.inference_mode()
def write_sheet(
    path: Path, subject: Subject, images: Images, sweep: Sweep, settings: Sequence[Setting], saliency: Saliency | None
) -> None:
    """A row a curve, a column a severity, the clean image first: the first image of the sweep, in its first draw."""
    trained, index = subject.trained, int(subject.answers.indices[0])
    pixels, _ = Samples(images, eval_transform(trained.view))[0, 0, index]
    image = torch.as_tensor(pixels)[None].to(trained.normalise.mean.device) / 255
    maps = saliency(trained, image, [index]) if saliency is not None else None
    ids = torch.tensor([index if sweep.protocol == "per_image" else 0], device=image.device)
    tiles: dict[str, list[tuple[str, Image.Image]]] = {curve: [("clean", _tile(image))] for curve in sweep.curves}
    for setting in settings:
        if setting.curve in tiles and setting.draw == 0:
            extra = (maps,) if setting.salient else ()
            perturbed = setting.perturb(image, setting.severity, setting.draws(sweep.seed, ids), *extra)
            tiles[setting.curve].append((label(setting.curve, setting.severity), _tile(perturbed)))
    with replacing(path) as file:
        _draw(tiles).save(file, "PNG")


def _tile(image: Tensor) -> Image.Image:
    levels = (image[0].clamp(0, 1) * 255).round().to("cpu", torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(levels)).resize((_TILE, _TILE), Image.Resampling.NEAREST)


def _draw(tiles: dict[str, list[tuple[str, Image.Image]]]) -> Image.Image:
    step, row = _TILE + _GAP, _TILE + _LABELS + _GAP
    width = _NAMES + step * max(map(len, tiles.values()))
    sheet = Image.new("RGB", (width, row * len(tiles) + _GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (curve, shown) in enumerate(tiles.items()):
        top = _GAP + number * row
        pen.text((_GAP, top + _TILE // 2), curve_name(curve), fill="black", font=font, anchor="lm")
        for column, (text, tile) in enumerate(shown):
            left = _NAMES + column * step
            sheet.paste(tile, (left, top))
            pen.text((left + _TILE // 2, top + _TILE + 3), text, fill="black", font=font, anchor="mt")
    return sheet
