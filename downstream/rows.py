"""Rows of the downstream tables: a configuration, and the model of a row of Table 1 under its heads.

A configuration is complete for one model of its family, and another is a matter of a few numbers: this file holds
them, and lets the heads' channels follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from downstream.backbone import map_info
from downstream.openmmlab import config_names, load_config
from experiments.rows import family, rows
from transmix.common.errors import unknown_name

PYRAMID = (4, 8, 16, 32)  # the strides that mmseg's Feature2Pyramid makes of a patch of 16, or of 8

_PVT_LARGE = {"model.backbone.drop_path_rate": 0.0}
_XCIT_24 = {"model.backbone.out_indices": [7, 11, 15, 23]}

# What differs from the configuration besides the model itself. Sources: those of the configurations; XCiT-T24 and -L24
# have no dense recipe there, and get the drop path of T12 and M24.
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "xcit_t": {"": {**_XCIT_24, "model.backbone.drop_path_rate": 0.0}},
    "xcit_m": {"": {**_XCIT_24, "model.backbone.drop_path_rate": 0.15}},
    "xcit_l": {"": {**_XCIT_24, "model.backbone.drop_path_rate": 0.15}},
    "pvt_m": {"coco/mask_rcnn_1x_pvt": _PVT_LARGE},
    "pvt_l": {
        "coco/mask_rcnn_1x_pvt": {
            **_PVT_LARGE,
            "optim_wrapper.optimizer.lr": 2e-4 / 1.4,  # for 8 x 1 images
            "train_dataloader.batch_size": 1,
        }
    },
}


def rows_of(name: str) -> list[str]:
    """The rows that a configuration serves, ``["pvt_t", ...]``: those of its family, which ends its name."""
    return list(family(name.rsplit("_", 1)[-1]))


def row_config(name: str, row: str) -> Config:
    """The configuration `name` for a row of Table 1, as ``row_config("ade20k/upernet_deit", "deit_b")``.

    Raises:
        UserError: no such configuration, or it does not serve that row.
    """
    if name not in config_names():
        raise unknown_name("configuration", name, config_names())
    if row not in rows_of(name):
        raise unknown_name(f"row of {name}", row, rows_of(name))
    config = load_config(name)
    for of_config in ("", name):
        config.merge_from_dict(SETTINGS.get(row, {}).get(of_config, {}))
    put_backbone(config, model=rows()[row].recipe().model)
    return config


def put_backbone(config: Config, **settings: Any) -> None:
    """Change the backbone of `config`; necks and heads get the channels and strides that it has.

    Args:
        config: an mmseg or mmdet configuration with a `TimmTransformer`.
        settings: arguments of `TimmTransformer`, where they differ.
    """
    model = config.model
    model.backbone.update(settings)
    channels, strides = map_info(model.backbone.model, model.backbone.out_indices)
    neck = model.get("neck")
    for part in [] if neck is None else neck if isinstance(neck, list) else [neck]:
        channels, strides = _fit_neck(part, channels, strides)
    for name in ("decode_head", "auxiliary_head"):
        if model.get(name):
            _fit_head(model[name], channels, strides)
    if "rpn_head" in model:
        model.rpn_head.anchor_generator.strides = strides
        for name in ("bbox_roi_extractor", "mask_roi_extractor"):
            model.roi_head[name].featmap_strides = strides[:4]  # the coarsest map proposes only


def put_classes(config: Config, names: Sequence[str]) -> None:
    """Change the classes of `config`, in its data sets and in its heads.

    Args:
        config: an mmseg or mmdet configuration.
        names: in label order. For mmseg, the annotations' 0 is no class and not counted, as in ADE20K.
    """
    names = tuple(names)
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = config[loader].dataset
        if config.default_scope == "mmseg":
            dataset.update(type="BaseSegDataset", reduce_zero_label=True)
        dataset.metainfo = {"classes": names, "palette": [(0, 0, 0)] * len(names)}
    model = config.model
    for head in filter(None, (model.get("decode_head"), model.get("auxiliary_head"))):
        head.num_classes = len(names)
    if "roi_head" in model:
        model.roi_head.bbox_head.num_classes = model.roi_head.mask_head.num_classes = len(names)


def _fit_neck(neck: dict[str, Any], channels: list[int], strides: list[int]) -> tuple[list[int], list[int]]:
    """Give a neck its input; returns the channels and strides of its output."""
    if neck["type"].endswith("Feature2Pyramid"):
        neck["embed_dim"] = channels[0]
        neck["rescales"] = [strides[0] / stride for stride in PYRAMID]
        return channels, list(PYRAMID)
    if neck["out_channels"] == neck["in_channels"][0]:  # XCiT's semantic FPN is as wide as XCiT
        neck["out_channels"] = channels[0]
    neck["in_channels"] = channels
    outs = neck["num_outs"]
    while len(strides) < outs:
        strides = [*strides, 2 * strides[-1]]
    return [neck["out_channels"]] * outs, strides


def _fit_head(head: dict[str, Any], channels: list[int], strides: list[int]) -> None:
    if "feature_strides" in head:
        head["feature_strides"] = strides
    if isinstance(head["in_channels"], list):
        head["in_channels"] = channels
        return
    width = channels[head.get("in_index", -1)]
    if head["channels"] == head["in_channels"]:  # Segmenter's are as wide as the transformer
        head["channels"] = width
    head["in_channels"] = width
    if "embed_dims" in head:
        head["embed_dims"], head["num_heads"] = width, max(1, width // 64)
