"""Runs of kind ``occlusion``: top-1 against the share of patches dropped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from experiments.protocols import PatchDrop
from experiments.run import Outcome
from experiments.runs import Run
from experiments.trained import load_trained
from robustness.patch_drop import drop_patches, dropped_count, random_patches
from transmix.attention import token_grid
from transmix.data import Shard, eval_loader
from transmix.distributed import Processes
from transmix.progress import progress_bar
from transmix.seeding import derive_seed
from transmix.sources import ImageSource
from transmix.train import Runtime


@torch.inference_mode()
def execute(run: Run, source: ImageSource, processes: Processes, runtime: Runtime) -> Outcome:
    """Sweep the ratios and mask seeds; every image is read and decoded once for all of them."""
    protocol, trained, device = PatchDrop(**run.settings), load_trained(run.needs[0]), processes.device
    model, normalise = trained.model.to(device), trained.normalise.to(device)
    grid = (protocol.grid, protocol.grid) if protocol.grid else token_grid(model)
    counts = [dropped_count(grid[0] * grid[1], tenths) for tenths in protocol.tenths]
    batches = eval_loader(
        replace(trained.recipe, eval_batch_size=protocol.batch_size),
        source.open("val"),
        runtime.workers,
        Shard(processes.rank, processes.world),
        device.type == "cuda",
        order_seed=run.seed,  # a batch shares its mask, so it should not be all of one class
    )
    hits = torch.zeros(protocol.mask_seeds, len(counts), device=device)
    images_seen = torch.zeros(1, device=device)
    with progress_bar(runtime.progress and processes.leads) as bar:
        line = bar.add_task(run.name, total=len(batches), note="")
        for number, (images, labels) in enumerate(batches):
            images, labels = images.to(device), labels.to(device)
            for seed in range(protocol.mask_seeds):
                rng = np.random.default_rng(derive_seed(run.seed, "masks", seed, processes.rank, number))
                for setting, count in enumerate(counts):
                    dropped = drop_patches(images, random_patches(rng, grid, count))
                    hits[seed, setting] += (model(normalise(dropped)).argmax(1) == labels).sum()
            images_seen += len(labels)
            bar.advance(line)
    images = int(processes.total(images_seen).item())
    top1 = 100 * processes.total(hits).double().cpu().numpy() / images
    metrics = {
        "images": images,
        "tokens": grid[0] * grid[1],
        "grid": list(grid),
        "tenths": list(protocol.tenths),
        "dropped": counts,
        "top1": top1.tolist(),
        "area_under_curve": float(top1.mean()),
    }
    return Outcome(metrics)
