"""Runs of kind ``lambda``: how far attention moves the labels, and whether towards the truth.

The embedded scenes come with masks, so the true share of the partner's object in a mixed image is known: its
visible pixels inside the box over all object pixels that are left to see. Nobody publishes that error, because
ImageNet has no masks. On data without masks the errors are null and the pictures remain.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.kinds.lambda_ import EXAMPLES
from experiments.protocols import LambdaStudy
from experiments.run import Outcome
from experiments.runs import Run
from experiments.trained import TrainedModel, load_trained
from transmix.attention import ClassAttention
from transmix.common.files import replacing
from transmix.common.plain import built
from transmix.common.runtime import Runtime
from transmix.common.seeding import derive_seed
from transmix.data.loaders import Batch, Samples, eval_transform, readable
from transmix.data.objects import ObjectMasks, masks_beside
from transmix.data.sources import Images, ImageSource
from transmix.data.view import View
from transmix.labels import Box, area_share, object_share, pasted_share, pasted_tokens
from transmix.mixing import cutmix, draw_box
from transmix.training.distributed import Processes

BATCH = 16  # images that share a box


def execute(run: Run, source: ImageSource, processes: Processes, runtime: Runtime) -> Outcome:
    """Mix validation images and compare each lambda with the true share."""
    protocol, trained = built(LambdaStudy, run.settings), load_trained(run.needs[0])
    trained.model.to(processes.device)
    trained.normalise.to(processes.device)
    rng = np.random.default_rng(derive_seed(run.seed, "lambda"))
    rows: list[dict[str, np.ndarray]] = []
    for batch in batches(trained.view, source.open("val"), protocol.mixes, rng):
        box = box_within(rng, batch.images.shape[-2:], protocol)
        rows.append(measure(trained, box, batch, processes.device))
    if processes.leads:
        save_examples(run.folder / EXAMPLES, rows, protocol.examples)
    lam = {name: np.concatenate([row[name] for row in rows]) for name in rows[0] if name.startswith("lam_")}
    metrics: dict[str, Any] = {
        "mixes": len(lam["lam_area"]),
        "label_shift": label_shift(lam, trained.recipe.label_rule),
    }
    known = ~np.isnan(lam["lam_true"])
    for rule in ("area", "attention", "mean"):
        error = np.abs(lam[f"lam_{rule}"] - lam["lam_true"])[known]
        metrics[f"error_{rule}"] = float(error.mean()) if known.any() else None
    return Outcome(metrics, (EXAMPLES,), extra={"classes": list(source.classes)})


def batches(view: View, val: Images, mixes: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Batches in a random order, with object masks where the data have them."""
    samples, masks = Samples(val, eval_transform(view)), masks_beside(val)
    if masks is not None:
        masks = ObjectMasks(masks, samples.names(), view.image_size, view.crop)
    order = rng.permutation(len(samples))[:mixes].tolist()
    size = min(BATCH, len(order))
    for start in range(0, len(order) - size + 1, size):
        chosen = order[start : start + size]
        images, labels = zip(*(readable(samples[0, 0, index]) for index in chosen), strict=True)
        objects = None if masks is None else torch.stack([masks[index] for index in chosen])
        yield Batch(torch.stack(images), torch.tensor(labels), objects)


def box_within(rng: np.random.Generator, image_size: tuple[int, int], protocol: LambdaStudy) -> Box:
    """CutMix's box, drawn again until its area is within the protocol's bounds."""
    low, high = (share * image_size[0] * image_size[1] for share in (protocol.min_area, protocol.max_area))
    while True:
        box = draw_box(rng, image_size, float(rng.beta(1, 1)))
        if low <= box.area <= high:
            return box


@torch.inference_mode()
def measure(trained: TrainedModel, box: Box, batch: Batch, device: torch.device) -> dict[str, np.ndarray]:
    """Pictures, attention and the four lambdas of a batch that is mixed by one box."""
    images, labels, objects = batch
    mix, area = cutmix(images, box), area_share(box, images.shape[-2:])
    reader = ClassAttention(trained.model, trained.recipe.attention_head, trained.recipe.attention_block)
    trained.model(trained.normalise(mix.images.to(device)))
    attention = reader.take().cpu()
    reader.remove()
    mask = pasted_tokens(mix.pasted, reader.grid)
    share, mean = (pasted_share(area, attention, mask, rule) for rule in ("attention", "mean"))
    true = torch.full_like(share, torch.nan) if objects is None else object_share(objects, mix.partner, mix.pasted)
    pictures = {"mixed": mix.images, "own": images, "partner": images[mix.partner]}
    return {
        **{name: picture.permute(0, 2, 3, 1).numpy() for name, picture in pictures.items()},
        "box": np.tile(np.array(box), (len(images), 1)),
        "attention": attention.unflatten(1, reader.grid).numpy(),
        "lam_area": np.full(len(images), area),
        "lam_attention": share.numpy(),
        "lam_mean": mean.numpy(),
        "lam_true": true.numpy(),
        "own_class": labels.numpy(),
        "partner_class": labels[mix.partner].numpy(),
    }


def label_shift(lam: dict[str, np.ndarray], label_rule: str) -> float:
    """Mean distance from area-lambda of the lambda that a rule labels by (the oracle's is the area where it is NaN)."""
    used = lam["lam_true" if label_rule == "oracle" else f"lam_{label_rule}"]
    return float(np.nan_to_num(np.abs(used - lam["lam_area"])).mean())


def save_examples(path: Path, rows: list[dict[str, np.ndarray]], count: int) -> None:
    """One example a box, of two different classes, for the report's picture."""
    chosen = []
    for row in rows:
        differ = np.flatnonzero(row["own_class"] != row["partner_class"])
        if len(differ) and len(chosen) < count:
            chosen.append({name: values[differ[0]] for name, values in row.items()})
    arrays = {name: np.stack([example[name] for example in chosen]) for name in rows[0]} if chosen else {}
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)
