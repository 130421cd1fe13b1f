"""The configurations: they load offline, hold their sources' values, and train: heads as published on micro models."""

from __future__ import annotations

import math
import os
import socket
import subprocess

import mmcv
import mmengine.hub
import pytest
import torch

from downstream import openmmlab
from downstream.fine_tune import PUBLISHED_GPUS
from downstream.openmmlab import config_names, load_config, multi_scale, prepare
from downstream.precision import check_precision, put_precision
from downstream.rehearsal import learning_rates, rehearse
from downstream.rows import put_backbone, row_config, rows_of
from experiments.fine_tuning import PAPER
from experiments.rows import rows
from transmix.common.errors import UserError
from transmix.training.distributed import Processes

# a model of each family small enough for a test, and blocks to take four maps from
MICRO = {
    "deit": ("deit_micro_tiny_patch8_64", (0, 1, 2, 3)),
    "xcit": ("xcit_micro_tiny_patch8_64", (0, 1, 2, 2)),
    "cait": ("cait_micro_xxs_patch8_64", (0, 1, 2, 3)),
    "pvt": ("pvt_micro_tiny_patch2_64", (0, 1, 2, 3)),
}
COCO_EPOCH = 7330  # iterations of 16 images
every_config = pytest.mark.parametrize("name", config_names())


@pytest.fixture
def afresh():
    """Configurations are read from their files, whatever was read before."""
    openmmlab._ours.cache_clear()


@pytest.fixture
def offline(monkeypatch):
    """Anything that would start a process or open a connection fails."""

    def forbidden(*arguments, **settings):
        raise AssertionError(f"not offline: {arguments}")

    for owner, names in {subprocess: ("Popen",), os: ("system", "posix_spawn"), socket: ("socket",)}.items():
        for name in names:
            monkeypatch.setattr(owner, name, forbidden)


def test_the_brief_is_covered():
    heads = {name.rsplit("_", 1)[0] for name in config_names()}
    assert heads == {
        "ade20k/upernet",
        "ade20k/semantic_fpn",
        "ade20k/segmenter_linear",
        "ade20k/segmenter_mask",
        "pascal_context/segmenter_linear",
        "pascal_context/segmenter_mask",
        "coco/mask_rcnn_1x",
        "coco/mask_rcnn_3x",
    }
    assert {row for name in config_names() for row in rows_of(name)} == set(rows())


@every_config
def test_every_row_loads_offline(name, afresh, offline):
    """Channels are compared with the model's in the rehearsal; here, that the right model is in the right place."""
    for row in rows_of(name):
        config = row_config(name, row)
        assert config.model.backbone.model == rows()[row].recipe().model
        assert config.default_scope == ("mmdet" if name.startswith("coco") else "mmseg")


def test_no_configuration_can_start_pip(afresh, offline):
    load_config("ade20k/upernet_deit")
    assert mmengine.hub.get_config("mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py").model.type
    with pytest.raises(UserError, match="mmpretrain, which is not installed: nothing was downloaded"):
        mmengine.hub.get_config("mmpretrain::resnet/resnet18_8xb32_in1k.py")


def values(part):
    """Every key of a configuration with its value, to the bottom."""
    pairs = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in pairs:
        yield key, value
        if isinstance(value, dict | list | tuple):
            yield from values(value)


@every_config
def test_no_configuration_names_weights_to_fetch(name):
    """mmengine would fetch them before it trains, even where a backbone has weights of its own."""
    config = load_config(name)
    assert not config.get("load_from")
    assert not config.get("resume")
    for key, value in values(config.model.to_dict()):
        assert key not in ("pretrained", "checkpoint", "weights") or value is None
        assert value != "Pretrained"
        assert "://" not in str(value)


def test_half_precision_is_where_the_source_has_it():
    """XCiT's Mask R-CNN, from which DeiT's and CaiT's are derived."""
    half = {protocol.config for protocol in PAPER if protocol.precision != "fp32"}
    assert half == {f"coco/mask_rcnn_{x}x_{family}" for x in (1, 3) for family in ("deit", "xcit", "cait")}
    assert {protocol.precision for protocol in PAPER if protocol.config in half} == {"fp16"}


@pytest.mark.parametrize(
    ("precision", "dtype", "scale"), [("bf16", "bfloat16", {"enabled": False}), ("fp16", "float16", "dynamic")]
)
def test_half_precision_is_mmengines_and_changes_nothing_else(precision, dtype, scale):
    config, plain = load_config("coco/mask_rcnn_3x_xcit"), load_config("coco/mask_rcnn_3x_xcit")
    put_precision(config, "fp32")
    assert config.to_dict() == plain.to_dict()
    put_precision(config, precision)
    expected = plain.optim_wrapper.to_dict() | {"type": "AmpOptimWrapper", "dtype": dtype, "loss_scale": scale}
    assert config.optim_wrapper.to_dict() == expected
    with pytest.raises(UserError, match="unknown precision 'fp8'"):
        put_precision(config, "fp8")
    check_precision(config, Processes(0, 1, torch.device("cuda")))
    with pytest.raises(UserError, match=f"is in {dtype}, for which mmengine needs a GPU"):
        check_precision(config, Processes(0, 1, torch.device("cpu")))


# every kind of head; in Mask R-CNN the plain families differ in the backbone only
@pytest.mark.parametrize(
    "name", [*(n for n in config_names() if "coco" not in n), "coco/mask_rcnn_1x_pvt", "coco/mask_rcnn_3x_xcit"]
)
def test_heads_as_published_train_on_a_micro_model(name, offline):
    """One step of the real heads: finite losses, and no parameter that DDP would wait for."""
    torch.manual_seed(0)
    config = load_config(name)
    model, indices = MICRO[name.rsplit("_", 1)[-1]]
    put_backbone(config, model=model, out_indices=indices[-1:] if "segmenter" in name else indices)
    result = rehearse(config, side=64)
    assert result.losses
    assert all(math.isfinite(loss) for loss in result.losses.values())
    assert result.without_gradient == ()
    assert result.ops in ("compiled", "torchvision")
    bare = set(result.undecayed)
    if "pvt" in name:
        assert bare == set()  # PVT spares nothing
    elif "segmenter" not in name:  # whose weight decay is 0 for all
        assert {part for part in bare if "norm1" in part}
        assert not {part for part in bare if part.endswith(("qkv.weight", "mlp.fc1.weight"))}
        assert ("backbone.model.pos_embed" in bare) == ("xcit" not in name)


def poly(peak: float, power: float, last: float, length: int, warmup: int = 0):
    """Linear warm-up from a millionth of the peak, then a polynomial from it to `last`."""

    def rate(iteration: int) -> float:
        if iteration < warmup:
            return peak * (1e-6 + (1 - 1e-6) * iteration / (warmup - 1))
        return (peak - last) * (1 - (iteration - warmup) / (length - 1 - warmup)) ** power + last

    return rate


def steps(peak: float, epochs: tuple[int, int]):
    """500 iterations of linear warm-up from a thousandth, then a tenth after each of two epochs."""

    def rate(iteration: int) -> float:
        warm = min(1.0, 0.001 + 0.999 * iteration / 499)
        return peak * warm * 0.1 ** sum(iteration >= epoch * COCO_EPOCH for epoch in epochs)

    return rate


# configuration: images a GPU, optimizer, weight decay, iterations or epochs, learning rate by iteration
SOURCES = {
    "ade20k/upernet_deit": (2, "AdamW", 0.01, 160_000, poly(6e-5, 1.0, 0.0, 160_000, 1500)),
    "ade20k/upernet_xcit": (2, "AdamW", 0.01, 160_000, poly(6e-5, 1.0, 0.0, 160_000, 1500)),
    "ade20k/upernet_cait": (2, "AdamW", 0.01, 160_000, poly(6e-5, 1.0, 0.0, 160_000, 1500)),
    "ade20k/semantic_fpn_pvt": (4, "AdamW", 1e-4, 40_000, poly(2e-4, 0.9, 0.0, 40_000)),
    "ade20k/semantic_fpn_xcit": (2, "AdamW", 0.01, 80_000, poly(6e-5, 1.0, 0.0, 80_000, 1500)),
    "ade20k/segmenter_linear_deit": (1, "SGD", 0.0, 160_000, poly(1e-3, 0.9, 1e-5, 160_000)),
    "ade20k/segmenter_mask_deit": (1, "SGD", 0.0, 160_000, poly(1e-3, 0.9, 1e-5, 160_000)),
    "pascal_context/segmenter_linear_deit": (2, "SGD", 0.0, 80_000, poly(1e-3, 0.9, 1e-5, 80_000)),
    "pascal_context/segmenter_mask_deit": (2, "SGD", 0.0, 80_000, poly(1e-3, 0.9, 1e-5, 80_000)),
    "coco/mask_rcnn_1x_pvt": (2, "AdamW", 1e-4, 12, steps(2e-4, (8, 11))),
    **{
        f"coco/mask_rcnn_1x_{family}": (2, "AdamW", 0.05, 12, steps(1e-4, (8, 11)))
        for family in ("deit", "xcit", "cait")
    },
    **{
        f"coco/mask_rcnn_3x_{family}": (2, "AdamW", 0.05, 36, steps(1e-4, (27, 33)))
        for family in ("deit", "xcit", "cait")
    },
}


def test_what_the_plan_restates_is_what_the_configurations_hold():
    """Batch, rate, length and image size, from which the plan estimates; for every configuration and row."""
    planned = [(protocol, row) for protocol in PAPER for row in rows() if protocol.serves(row)]
    served = sorted((name, row) for name in config_names() for row in rows_of(name))
    assert sorted((protocol.config, row) for protocol, row in planned) == served
    for protocol, row in planned:
        config = row_config(protocol.config, row)
        assert config.train_dataloader.batch_size * PUBLISHED_GPUS == protocol.batch_size
        assert config.optim_wrapper.optimizer.lr == protocol.lr
        assert config.train_cfg.get("max_iters") == protocol.iterations
        assert config.train_cfg.get("max_epochs") == protocol.epochs
        if protocol.kind == "segmentation":
            assert tuple(config.model.data_preprocessor.size) == protocol.image_size
        else:  # 640 x 480 pixels, resized
            resize = next(step for step in config.test_dataloader.dataset.pipeline if step["type"] == "Resize")
            assert mmcv.rescale_size((640, 480), resize["scale"]) == protocol.image_size[::-1]


@every_config
def test_values_and_learning_rates_are_the_sources(name):
    config = load_config(name)
    batch, optimizer, decay, length, expected = SOURCES[name]
    assert config.train_dataloader.batch_size == batch
    assert config.optim_wrapper.optimizer.type == optimizer
    assert config.optim_wrapper.optimizer.weight_decay == decay
    assert config.optim_wrapper.get("constructor") is None  # no decay of the rate by layers in any of them
    by_epoch = name.startswith("coco")
    assert config.train_cfg["max_epochs" if by_epoch else "max_iters"] == length
    last = (length * COCO_EPOCH if by_epoch else length) - 1
    at = {0, 1, 250, 499, 500, 1499, 1500, 10_000, last // 2, last}
    at |= {epoch * COCO_EPOCH + shift for epoch in (8, 11, 27, 33) for shift in (-1, 0)} if by_epoch else set()
    rates = learning_rates(config, [iteration for iteration in at if iteration <= last], COCO_EPOCH)
    for iteration, rate in rates.items():
        assert rate == pytest.approx(expected(iteration), rel=1e-3, abs=1e-12), iteration


@every_config
def test_data_and_testing_are_the_sources(name):
    config = load_config(name)
    backbone = config.model.backbone
    if name.startswith("coco"):
        assert config.model.roi_head.mask_head.num_classes == 80
        assert config.model.data_preprocessor.pad_size_divisor == 32
        crops = "RandomChoice" in [step["type"] for step in config.train_dataloader.dataset.pipeline]
        assert crops == ("3x" in name)
        assert backbone.get("img_size") is None  # images of all sizes
        return
    pascal, segmenter = name.startswith("pascal"), "segmenter" in name
    side = 480 if pascal else 512
    assert tuple(config.model.data_preprocessor.size) == (side, side)
    assert config.model.data_preprocessor.mean == [123.675, 116.28, 103.53]
    assert config.model.data_preprocessor.std == [58.395, 57.12, 57.375]
    assert config.model.decode_head.num_classes == (60 if pascal else 150)
    train = {step["type"]: step for step in config.train_dataloader.dataset.pipeline}
    assert tuple(train["RandomResize"]["scale"]) == ((4160, 520) if pascal else (2048, 512))
    assert tuple(train["RandomCrop"]["crop_size"]) == (side, side)
    assert config.model.test_cfg.mode == ("slide" if segmenter else "whole")
    if segmenter:
        assert tuple(config.model.test_cfg.stride) == ((320, 320) if pascal else (480, 480))
        assert backbone.final_norm
    test = [step["type"] for step in config.val_dataloader.dataset.pipeline]
    aligned = "ResizeToMultiple" in test  # PVT's way; the others pad
    assert aligned or config.model.data_preprocessor.test_cfg.size_divisor == 32
    assert aligned == ("pvt" in name)


def test_what_is_done_to_a_configuration_stays_with_whoever_asked_for_it():
    changed = load_config("ade20k/upernet_deit")
    changed.model.backbone.drop_path_rate = 0.77
    changed.train_dataloader.dataset.pipeline.pop()
    again, read = load_config("ade20k/upernet_deit"), openmmlab._read(openmmlab.CONFIGS / "ade20k" / "upernet_deit.py")
    assert again.to_dict() == read.to_dict() != changed.to_dict()


def test_rows_differ_where_their_sources_do():
    large, small = row_config("coco/mask_rcnn_1x_pvt", "pvt_l"), row_config("coco/mask_rcnn_1x_pvt", "pvt_s")
    assert (large.model.backbone.drop_path_rate, small.model.backbone.drop_path_rate) == (0.0, 0.1)
    assert large.optim_wrapper.optimizer.lr == pytest.approx(2e-4 / 1.4)
    assert (large.train_dataloader.batch_size, small.train_dataloader.batch_size) == (1, 2)
    medium = row_config("ade20k/upernet_xcit", "xcit_m").model
    assert (medium.backbone.drop_path_rate, list(medium.backbone.out_indices)) == (0.15, [7, 11, 15, 23])
    assert (medium.neck.embed_dim, medium.decode_head.in_channels, medium.auxiliary_head.in_channels) == (
        512,
        [512] * 4,
        512,
    )
    base = row_config("ade20k/segmenter_mask_deit", "deit_b").model.decode_head
    assert (base.in_channels, base.channels, base.embed_dims, base.num_heads) == (768, 768, 768, 12)


def test_multi_scale_starts_from_the_resized_image():
    config = load_config("ade20k/upernet_deit")
    load, views = config.tta_pipeline
    assert load["type"] == "LoadImageFromFile"
    sizes, flips, labels, pack = views["transforms"]
    assert [size["scale"] for size in sizes] == [
        (1024, 256),
        (1536, 384),
        (2048, 512),
        (2560, 640),
        (3072, 768),
        (3584, 896),
    ]
    assert [flip["prob"] for flip in flips] == [0.0, 1.0]
    assert labels == [{"type": "LoadAnnotations", "reduce_zero_label": True}]
    assert [step["type"] for step in pack] == ["PackSegInputs"]
    pvt = multi_scale(load_config("ade20k/semantic_fpn_pvt").test_dataloader.dataset.pipeline)
    assert [step["type"] for step in pvt[1]["transforms"][1]] == ["RandomFlip", "RandomFlip"]
    assert pvt[1]["transforms"][2][0]["type"] == "ResizeToMultiple"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_config("ade20k/upernet_dei"), "did you mean 'ade20k/upernet_deit'"),
        (lambda: load_config("nowhere/config.py"), "unknown configuration 'nowhere/config.py'"),
        (lambda: row_config("ade20k/upernet_deit", "pvt_s"), "unknown row of ade20k/upernet_deit 'pvt_s'"),
        (lambda: prepare("mmpose"), "unknown library 'mmpose'"),
    ],
)
def test_unknown_names(call, message):
    with pytest.raises(UserError, match=message):
        call()
