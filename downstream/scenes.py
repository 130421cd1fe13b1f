"""The embedded data's dense views in place of ADE20K and COCO: the same heads, small enough for a laptop.

As in ADE20K, pixels of no class are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config

from downstream.rows import put_backbone
from transmix.scenes.spec import read_manifest

WIDTH = 32  # channels of necks and heads
SIDE = 128  # pixels of an image, and of a training crop: all of it

# One learning rate for short runs, from random weights or from a checkpoint.
_OPTIMIZER = {"type": "AdamW", "lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.05}


def scenes_config(config: Config, root: Path, model: str, out_indices: Sequence[int], iterations: int) -> Config:
    """`config` on the scenes in `root`, with a micro model.

    Args:
        config: of ADE20K or COCO, see `downstream.openmmlab.load_config`.
        root: of the scenes; the data set itself is ``root/ade20k`` or ``root/coco``.
        model: a micro model.
        out_indices: its blocks under the heads.
        iterations: optimizer steps.
    """
    config = deepcopy(config)
    names = read_manifest(root).dense_class_names
    necks = config.model.get("neck") or []
    for neck in necks if isinstance(necks, list) else [necks]:
        if neck["type"] == "FPN":
            neck["out_channels"] = WIDTH
    put_backbone(config, model=model, out_indices=list(out_indices), drop_path_rate=0.0, img_size=None)
    (_segmentation if config.default_scope == "mmseg" else _detection)(config, names)
    config.optim_wrapper.optimizer = _OPTIMIZER
    schedule, warm = {"by_epoch": False, "end": iterations}, max(1, iterations // 10)
    config.param_scheduler = [
        {"type": "LinearLR", "start_factor": 0.01, **schedule, "begin": 0, "end": warm},
        {"type": "PolyLR", "eta_min": 0.0, "power": 1.0, **schedule, "begin": warm},
    ]
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": iterations, "val_interval": iterations}
    config.train_dataloader.sampler = {"type": "InfiniteSampler", "shuffle": True}
    config.total_batch_size = 8
    return config


def _segmentation(config: Config, names: Sequence[str]) -> None:
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = config[name].dataset
        metainfo = {"classes": names, "palette": [[0, 0, 0]] * len(names)}
        dataset.update(type="BaseSegDataset", metainfo=metainfo, reduce_zero_label=True)
        # colours tell the classes apart, and the classifier was trained without distorting them
        dataset.pipeline = [step for step in dataset.pipeline if step["type"] != "PhotoMetricDistortion"]
        for step in dataset.pipeline:
            step.update(_STEPS.get(step["type"], {}))
    config.model.data_preprocessor.size = (SIDE, SIDE)
    config.model.test_cfg = {"mode": "whole"}
    for name in ("decode_head", "auxiliary_head"):
        head = config.model.get(name)
        if head:
            head.num_classes = len(names)
            if head.type in ("UPerHead", "FPNHead") or name == "auxiliary_head":
                head.channels = WIDTH


_STEPS = {
    "RandomResize": {"scale": (SIDE, SIDE), "ratio_range": (1.0, 1.0)},
    "RandomCrop": {"crop_size": (SIDE, SIDE)},
    "Resize": {"scale": (SIDE, SIDE)},
}


def _detection(config: Config, names: Sequence[str]) -> None:
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = config[name].dataset
        dataset.metainfo = {"classes": tuple(names), "palette": [(0, 0, 0)] * len(names)}
        for step in dataset.pipeline:
            if step["type"] == "Resize":
                step["scale"] = (SIDE, SIDE)
    model = config.model
    model.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    model.rpn_head.anchor_generator.scales = [4]  # objects of 18 to 57 px
    heads = model.roi_head
    heads.bbox_roi_extractor.out_channels = heads.mask_roi_extractor.out_channels = WIDTH
    heads.bbox_head.update(in_channels=WIDTH, fc_out_channels=4 * WIDTH, num_classes=len(names))
    heads.mask_head.update(in_channels=WIDTH, conv_out_channels=WIDTH, num_convs=2, num_classes=len(names))
    model.train_cfg.rpn.sampler.num = 64
    model.train_cfg.rcnn.sampler.num = 32
    for proposals in (model.train_cfg.rpn_proposal, model.test_cfg.rpn):
        proposals.update(nms_pre=200, max_per_img=100)
    config.train_dataloader.pop("batch_sampler")
