"""Predictions beside the truth, for people: a few validation images as rows, image | ground truth | prediction."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import nn
from torch.utils.data import Dataset

from downstream.openmmlab import quiet
from transmix.data.opening import read_pixels, to_rgb

ROWS = 4  # validation images, evenly spaced, so that every run of a data set shows the same
SIDE = 256  # longer side of a picture, in pixels
GAP, LINE = 8, 22  # between pictures, and of a heading
SCORE = 0.3  # below it a detection is not drawn
IGNORED = 255
ROOM = 13  # height of a name
MIN_NAMED = 0.01  # share of an image from which a class is named
TITLES = ("image", "ground truth", "prediction")

Pixels = NDArray[np.uint8]
Mark = tuple[NDArray[np.bool_], int, str, Sequence[float] | None]  # where, its class, its name, its box if it has one


def predictions(model: nn.Module, images: Dataset) -> Image.Image:
    """Draw what a fine-tuned model predicts on a few of the images it was evaluated on.

    Args:
        model: of mmseg or mmdet.
        images: a test data set of that library.
    """
    count = min(ROWS, len(images))
    chosen = [round(row * (len(images) - 1) / max(1, count - 1)) for row in range(count)]
    names = images.metainfo["classes"]
    segments = hasattr(model, "decode_head")
    with quiet():
        rows = [_row(model, images[index], names, segments) for index in chosen]
    titles = list(TITLES)
    titles[2] += " (where a class is known)" if segments else f" (score {SCORE} and more)"
    return _sheet(rows, titles)


@torch.inference_mode()
def _row(model: nn.Module, item: dict, names: Sequence[str], segments: bool) -> list[Image.Image]:
    (sample,) = model.test_step(pseudo_collate([item]))
    photo = to_rgb(read_pixels(sample.img_path))
    scale = SIDE / max(photo.size)
    photo = photo.resize([round(side * scale) for side in photo.size], Image.Resampling.BICUBIC)
    marks = _segments(sample, names) if segments else _objects(sample, names)
    return [photo, *(_marked(photo, found, scale) for found in marks)]


def _segments(sample: BaseDataElement, names: Sequence[str]) -> list[list[Mark]]:
    truth, found = (part.data.squeeze(0).cpu().numpy() for part in (sample.gt_sem_seg, sample.pred_sem_seg))
    found = np.where(truth == IGNORED, IGNORED, found)
    return [[(labels == c, c, names[c], None) for c in np.unique(labels) if c != IGNORED] for labels in (truth, found)]


def _objects(sample: BaseDataElement, names: Sequence[str]) -> list[list[Mark]]:
    truth, found = sample.gt_instances, sample.pred_instances
    kept = found[found.scores >= SCORE].cpu()
    written = [f"{names[c]} {score:.2f}" for c, score in zip(kept.labels.tolist(), kept.scores.tolist(), strict=True)]
    true_labels, true_boxes = truth.labels.tolist(), truth.bboxes.tolist()
    return [
        list(zip(truth.masks.masks > 0, true_labels, [names[c] for c in true_labels], true_boxes, strict=True)),
        list(zip(kept.masks.numpy(), kept.labels.tolist(), written, kept.bboxes.tolist(), strict=True)),
    ]


def _marked(photo: Image.Image, marks: Sequence[Mark], scale: float) -> Image.Image:
    """`photo`, `scale` times the size of the marks, with them in the colours of their classes."""
    pixels, names = np.asarray(photo).astype(np.float32), []
    for mask, label, text, box in marks:
        mask = np.asarray(Image.fromarray(mask).resize(photo.size, Image.Resampling.NEAREST))
        pixels[mask] = 0.4 * pixels[mask] + 0.6 * np.array(_colour(label))
        if box is not None:
            names.append((text, scale * box[0] + 1, scale * box[1], False))
        elif mask.mean() >= MIN_NAMED:
            names.append((text, *_middle(mask), True))
    picture = Image.fromarray(pixels.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _, label, _, box in marks:
        if box is not None:
            draw.rectangle([scale * side for side in box], outline=_colour(label))
    _write(draw, names if marks else [("none", 2, 0, False)], picture.size)
    return picture


def _middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """x and y of the pixel of a mask that is nearest to its centre."""
    ys, xs = mask.nonzero()
    nearest = np.argmin((xs - xs.mean()) ** 2 + (ys - ys.mean()) ** 2)
    return float(xs[nearest]), float(ys[nearest])


def _write(draw: ImageDraw.ImageDraw, names: Sequence[tuple[str, float, float, bool]], size: tuple[int, int]) -> None:
    """Names (text, x, y, whether these are its middle or its corner) inside the picture, where there is room."""
    font = ImageFont.load_default(11)
    wanted = [(draw.textlength(text, font) + 2, x, y, centred) for text, x, y, centred in names]
    for (text, *_), place in zip(names, places(wanted, size), strict=True):
        if place is not None:
            draw.text(place, text, "white", font, stroke_width=1, stroke_fill="black")


def places(
    names: Sequence[tuple[float, float, float, bool]], size: tuple[int, int]
) -> list[tuple[float, float] | None]:
    """Left and top, in pixels, of names in a picture; they do not cover one another.

    Each is moved up or down by as little as it takes, the first names first; None where no place is left.

    Args:
        names: width, x and y in pixels, and whether these are the name's middle or its top left corner.
        size: (width, height) of the picture in pixels.
    """
    found: list[tuple[float, float] | None] = []
    taken: list[tuple[float, float, float]] = []
    most = size[1] // ROOM
    rows = sorted(range(-most * ROOM, most * ROOM + 1, ROOM), key=abs)  # nearest first
    for width, x, y, centred in names:
        left = max(1, min(x - centred * width / 2, size[0] - width))
        tops = (max(0, min(y - centred * ROOM / 2 + row, size[1] - ROOM)) for row in rows)
        free = (
            top
            for top in tops
            if all(abs(top - other) >= ROOM or left >= end or left + width <= start for start, end, other in taken)
        )
        top = next(free, None)
        found.append(None if top is None else (left, top))
        taken += [] if top is None else [(left, left + width, top)]
    return found


def _colour(label: int) -> tuple[int, int, int]:
    """Neighbouring labels lie a golden ratio of the colour circle apart."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618 % 1, 0.75, 0.95)
    return int(255 * red), int(255 * green), int(255 * blue)


def _sheet(rows: list[list[Image.Image]], titles: Sequence[str]) -> Image.Image:
    step = SIDE + GAP
    sheet = Image.new("RGB", (step * len(titles) + GAP, LINE + sum(row[0].height + GAP for row in rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, title in enumerate(titles):
        draw.text((GAP + step * column, 4), title, "black", font)
    top = LINE
    for row in rows:
        for column, picture in enumerate(row):
            sheet.paste(picture, (GAP + step * column, top))
        top += row[0].height + GAP
    return sheet
