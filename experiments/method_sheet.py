"""A contact sheet of the ways to mix: two scenes, what a method makes of them, its mask, and its lambda.

Needs no run: a small model with its first weights looks on where a method asks one. With the weights of a run
(``--weights FILE``) that run's model does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from transmix.common.files import replacing
from transmix.common.seeding import derive_seed
from transmix.data.scenes import ScenesSpec
from transmix.data.scenes.compose import Scene, single_object_scene
from transmix.labels import object_share
from transmix.methods import Method, methods
from transmix.mixing import Mix
from transmix.models import create_model
from transmix.task import MixingTask
from transmix.training.checkpoints import load_model

MODEL = "deit_micro_tiny_patch8_64"
BATCH, TRIES = 8, 40  # scenes of which the first is shown; draws until something well seen is pasted
COLUMNS = ("own", "partner", "mixed", "from the partner")
_TILE, _GAP, _NAME, _NUMBERS = 128, 8, 280, 190


@dataclass(frozen=True)
class Sample:
    """What a method made of the first image of a batch.

    Attributes:
        tiles: own, partner and mixed image, and the mask: (H, W, 3) uint8.
        lam: the partner's share in the label.
        area: its share of the pixels.
        truth: its share of the objects' visible pixels; None where nothing is pasted, or not where it was.
    """

    tiles: tuple[np.ndarray, ...]
    lam: float
    area: float
    truth: float | None


def write_sheet(path: Path, weights: Path | None = None) -> None:
    """Draw a row for each method into a PNG file.

    Args:
        path: the file.
        weights: of the model that looks on; by default `MODEL` before its training.
    """
    spec = ScenesSpec()
    scenes = [single_object_scene(spec, "train", index) for index in range(BATCH)]
    rows = [(method, sample(name, method, scenes, spec.classes, weights)) for name, method in methods().items()]
    width = _NAME + len(COLUMNS) * (_TILE + _GAP) + _NUMBERS
    sheet = Image.new("RGB", (width, (len(rows)) * (_TILE + _GAP) + 4 * _GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for column, title in enumerate(COLUMNS):
        pen.text((_NAME + column * (_TILE + _GAP), _GAP), title, fill="black", font=font)
    for row, (method, made) in enumerate(rows):
        top = 4 * _GAP + row * (_TILE + _GAP)
        pen.text((2 * _GAP, top + _TILE // 2), method.title, fill="black", font=font, anchor="lm")
        for column, tile in enumerate(made.tiles):
            picture = Image.fromarray(tile).resize((_TILE, _TILE), Image.Resampling.NEAREST)
            sheet.paste(picture, (_NAME + column * (_TILE + _GAP), top))
        truth = "not known" if made.truth is None else f"{made.truth:.2f}"
        numbers = f"lambda {made.lam:.2f}\narea {made.area:.2f}\ntruth {truth}"
        pen.text((width - _NUMBERS + _GAP, top + _TILE // 4), numbers, fill="black", font=font)
    with replacing(path) as file:
        sheet.save(file, "PNG")


def sample(name: str, method: Method, scenes: list[Scene], classes: int, weights: Path | None) -> Sample:
    """The first of some draws in which the partner has a good part of the first image; else the last draw."""
    student, mean, std = _looking_on(weights, classes)
    pixels = torch.from_numpy(np.stack([scene.image for scene in scenes]))
    images = (pixels.permute(0, 3, 1, 2) / 255 - mean) / std
    objects = torch.from_numpy(np.stack([scene.masks.any(0) for scene in scenes]))
    labels = torch.tensor([scene.labels[0] for scene in scenes])
    has_teacher = "teacher" in method.reads or method.settings.get("attention_of") == "teacher"
    task = MixingTask(student, classes, name, teacher=_looking_on(weights, classes)[0] if has_teacher else None)
    if task.mixing.attention_of == "ema":
        task.setup_ema(decay=0.9)
    task.train()
    for attempt in range(TRIES):
        task.rng = np.random.default_rng(derive_seed(0, "method sheet", attempt))
        with torch.enable_grad():
            result = task(images, labels, objects=objects)
        mix, lam = result["mix"], float(result["lam"][0].detach())
        if mix.pasted is not None and 0.15 < float(mix.lam[0]) < 0.6:
            break
    partner, shown = int(mix.partner[0]), (mix.images[0] * std + mean).clamp(0, 1) * 255
    pasted = torch.zeros(images.shape[-2:], dtype=torch.bool) if mix.pasted is None else mix.pasted[0]
    mask = (pasted[..., None].expand(-1, -1, 3) * 255).byte()
    tiles = (pixels[0], pixels[partner], shown.round().byte().permute(1, 2, 0), mask)
    return Sample(
        tuple(tile.contiguous().numpy() for tile in tiles), lam, float(mix.lam[0]), _truth(mix, images, objects)
    )


def _looking_on(weights: Path | None, classes: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The model, and the mean and standard deviation by which its images are normalised."""
    if weights is None:
        torch.manual_seed(0)
        model = create_model(MODEL, num_classes=classes)
        torch.nn.init.normal_(model.head.weight, std=0.02)  # zero at first, and no pixel would matter to PuzzleMix
        about = model.pretrained_cfg
    else:
        model, about = load_model(weights)
    mean, std = (torch.tensor(about[name]).view(-1, 1, 1) for name in ("mean", "std"))
    return model, mean, std


def _truth(mix: Mix, images: Tensor, objects: Tensor) -> float | None:
    if mix.pasted is None:
        return None
    in_place = torch.where(mix.pasted[0], images[mix.partner[0]], images[0])
    if not torch.equal(in_place, mix.images[0]):  # moved, made small or blended: the masks do not say what is seen
        return None
    return float(object_share(objects, mix.partner, mix.pasted)[0])
