"""The published configurations at the small scales: the same heads, small enough for a laptop or one GPU."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from mmengine.config import Config

from downstream.backbone import blueprint
from downstream.openmmlab import multi_scale
from downstream.rows import put_backbone, put_classes
from experiments.protocols import FineTuning

WIDTH = 32  # channels of necks and heads


def small_config(config: Config, names: Sequence[str] | None, model: str, protocol: FineTuning) -> Config:
    """`config` with a small model, small heads and a short training.

    Args:
        config: of ADE20K or COCO, see `downstream.openmmlab.load_config`.
        names: of the classes; None for those of the data set as published.
        model: one of `transmix.models.micro`, or another for small images.
        protocol: batch size, learning rate, image size and iterations.
    """
    config = deepcopy(config)
    necks = config.model.get("neck") or []
    for neck in necks if isinstance(necks, list) else [necks]:
        if neck["type"] == "FPN":
            neck["out_channels"] = WIDTH
    blocks = spread(len(blueprint(model).feature_info), len(config.model.backbone.out_indices))
    put_backbone(config, model=model, out_indices=blocks, drop_path_rate=0.0, img_size=None)
    if names is not None:
        put_classes(config, names)
    (_segmentation if config.default_scope == "mmseg" else _detection)(config, protocol.image_size)
    config.optim_wrapper.optimizer = {
        "type": "AdamW",
        "lr": protocol.lr,
        "betas": (0.9, 0.999),
        "weight_decay": 0.05,
    }
    iterations = protocol.iterations
    schedule, warm = {"by_epoch": False, "end": iterations}, max(1, iterations // 10)
    config.param_scheduler = [
        {"type": "LinearLR", "start_factor": 0.01, **schedule, "begin": 0, "end": warm},
        {"type": "PolyLR", "eta_min": 0.0, "power": 1.0, **schedule, "begin": warm},
    ]
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": iterations, "val_interval": iterations}
    config.train_dataloader.sampler = {"type": "InfiniteSampler", "shuffle": True}
    config.total_batch_size = protocol.batch_size
    return config


def spread(depth: int, maps: int) -> list[int]:
    """The blocks after each of `maps` equal parts of a model: 2, 5, 8 and 11 of 12."""
    return [-(-depth * (part + 1) // maps) - 1 for part in range(maps)]


def _segmentation(config: Config, size: tuple[int, int]) -> None:
    steps = {
        "RandomResize": {"scale": size[::-1], "ratio_range": (1.0, 1.0)},
        "RandomCrop": {"crop_size": size},
        "Resize": {"scale": size[::-1]},
    }
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = config[name].dataset
        # colours tell the classes apart, and the classifier was trained without distorting them
        dataset.pipeline = [step for step in dataset.pipeline if step["type"] != "PhotoMetricDistortion"]
        for step in dataset.pipeline:
            step.update(steps.get(step["type"], {}))
    config.tta_pipeline = multi_scale(config.test_dataloader.dataset.pipeline)
    config.model.data_preprocessor.size = size
    config.model.test_cfg = {"mode": "whole"}
    for name in ("decode_head", "auxiliary_head"):
        head = config.model.get(name)
        if head and (head.type in ("UPerHead", "FPNHead") or name == "auxiliary_head"):
            head.channels = WIDTH


def _detection(config: Config, size: tuple[int, int]) -> None:
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for step in config[name].dataset.pipeline:
            if step["type"] == "Resize":
                step["scale"] = size[::-1]
    model = config.model
    model.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    model.rpn_head.anchor_generator.scales = [4]  # objects of 18 to 57 px
    heads = model.roi_head
    heads.bbox_roi_extractor.out_channels = heads.mask_roi_extractor.out_channels = WIDTH
    heads.bbox_head.update(in_channels=WIDTH, fc_out_channels=4 * WIDTH)
    heads.mask_head.update(in_channels=WIDTH, conv_out_channels=WIDTH, num_convs=2)
    model.train_cfg.rpn.sampler.num = 64
    model.train_cfg.rcnn.sampler.num = 32
    for proposals in (model.train_cfg.rpn_proposal, model.test_cfg.rpn):
        proposals.update(nms_pre=200, max_per_img=100)
    config.train_dataloader.pop("batch_sampler")
