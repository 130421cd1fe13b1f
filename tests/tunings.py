"""Fine-tunings small enough to run many times in a test, on a few scenes."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config

from downstream.openmmlab import load_config
from downstream.small import small_config
from experiments.protocols import FineTuning
from transmix.data.scenes import ScenesSpec, read_manifest
from transmix.data.scenes.write import write_scenes
from transmix.models import create_model
from transmix.training.checkpoints import save_weights

MODEL = "deit_micro_tiny_patch8_64"
SPEC = ScenesSpec(classes=4, size=32, train=4, val=4, dense_size=64, dense_train=8, dense_val=3)


def small_scenes(folder: Path) -> Path:
    """Eight training images and three for validation."""
    root = folder / SPEC.key
    write_scenes(SPEC, root)
    return root


def classifier_weights(folder: Path) -> Path:
    """Of an untrained classifier."""
    torch.manual_seed(0)
    path = folder / "weights.safetensors"
    save_weights(create_model(MODEL, num_classes=4), path, {"model": MODEL, "num_classes": 4})
    return path


def segmentation(scenes: Path, iterations: int = 6, batch_size: int = 3) -> Config:
    """The cheapest head, with everything random switched on."""
    protocol = FineTuning("ade20k/segmenter_linear_deit", batch_size, 1e-3, (128, 128), iterations=iterations)
    config = small_config(load_config(protocol.config), names(scenes), MODEL, protocol)
    config.model.backbone.drop_path_rate = 0.3
    return config


def detection(scenes: Path, classes: tuple[str, ...] | None = None, family: str = "deit") -> Config:
    """Mask R-CNN in a loop that counts epochs, as at paper scale: two of four iterations, images grouped by aspect."""
    protocol = FineTuning(f"coco/mask_rcnn_1x_{family}", 2, 1e-3, (128, 128), iterations=12)
    published, model = load_config(protocol.config), {"deit": MODEL, "xcit": "xcit_micro_tiny_patch8_64"}[family]
    config = small_config(published, classes or names(scenes), model, protocol)
    config.model.backbone.drop_path_rate = 0.3
    config.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 2, "val_interval": 2}
    config.train_dataloader.sampler = {"type": "DefaultSampler", "shuffle": True}
    config.train_dataloader.batch_sampler = published.train_dataloader.batch_sampler
    return config


def names(scenes: Path) -> tuple[str, ...]:
    """The classes of the scenes."""
    return read_manifest(scenes).dense_class_names


def view(scenes: Path, config: Config) -> Path:
    """The folder that a configuration reads."""
    return scenes / ("coco" if config.default_scope == "mmdet" else "ade20k")
