"""From a run of the plan to what is trained."""

from __future__ import annotations

import argparse
import sys
import threading

import pytest
import torch
from mmengine.registry import MODELS

from downstream.runs import config_of, execute, load
from experiments.dense import DenseSource
from experiments.study_options import add_study_options, study_from
from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.training.distributed import Processes


def planned(scale: str, name: str):
    parser = argparse.ArgumentParser()
    add_study_options(parser)
    return study_from(parser.parse_args(["--scale", scale])).find(name)


@pytest.mark.parametrize(
    ("scale", "name", "wrapper", "dtype"),
    [
        ("tiny", "table3.xcit_t.upernet.random.seed0", "OptimWrapper", None),
        ("lab", "table3.deit_t.upernet.random.seed0", "AmpOptimWrapper", "bfloat16"),
        ("paper", "table3.xcit_s.upernet.random.seed0", "OptimWrapper", None),
        ("paper", "table4.xcit_s.mask_rcnn_3x.random.seed0", "AmpOptimWrapper", "float16"),
    ],
)
def test_a_runs_classes_model_and_precision_reach_the_configuration(scale, name, wrapper, dtype):
    run = planned(scale, name)
    config = config_of(run, DenseSource(3, ("wren", "robin", "owl"), {"train": 4, "val": 2}, "f"))
    assert (config.optim_wrapper.type, config.optim_wrapper.get("dtype")) == (wrapper, dtype)
    assert config.model.backbone.model == run.settings["model"]
    assert config.train_dataloader.dataset.metainfo["classes"] == ("wren", "robin", "owl")
    head = config.model.roi_head.mask_head if run.kind == "detection" else config.model.decode_head
    assert head.num_classes == 3


@pytest.mark.parametrize("runtime", [Runtime(compile=True), Runtime(channels_last=True)])
def test_what_cannot_be_done_is_refused(runtime):
    run = planned("tiny", "table3.xcit_t.upernet.random.seed0")
    with pytest.raises(UserError, match="--compile and --channels-last are not for a segmentation"):
        execute(run, None, Processes(0, 1, torch.device("cpu")), runtime)


def test_what_runs_are_forked_from_has_both_libraries_and_no_thread_of_theirs():
    threads = threading.active_count()
    load()
    assert {"mmseg", "mmdet"} <= sys.modules.keys()
    assert MODELS.get("mmseg.EncoderDecoder").__name__ == "EncoderDecoder"
    assert MODELS.get("mmdet.MaskRCNN").__name__ == "MaskRCNN"
    assert threading.active_count() == threads
