"""One fine-tuning step of each configuration on a GPU, in the precision that it is trained in."""

from __future__ import annotations

import gc
import time
from functools import partial

import torch

from experiments.check_paper import Part
from experiments.fine_tuning import PAPER
from experiments.protocols import FineTuning

_LINE = "{:40} {:>9} {:>8} {:>4}".format
HEADING = f"\nA fine-tuning step of each configuration.\n{_LINE('configuration', 'precision', 'loss', 's')}"
ON_GPU = {"segmentation": "bf16", "detection": "fp16"}  # mmcv's kernels know no bf16


def part(device: torch.device) -> Part:
    """The checks of the configurations, one each."""
    by_name = {protocol.config: protocol for protocol in reversed(PAPER)}  # the first of a name: the file's own model
    names = dict.fromkeys(protocol.config for protocol in PAPER)
    return Part(HEADING, {name: partial(check, by_name[name], device) for name in names})


def check(protocol: FineTuning, device: torch.device) -> str:
    """One configuration; returns its line.

    Raises:
        UserError: a loss is not finite, or does not reach every parameter.
    """
    from downstream.check_configs import judge_step  # here, as the rest can be checked without OpenMMLab
    from downstream.openmmlab import load_config
    from downstream.rehearsal import rehearse

    began = time.monotonic()
    precision = protocol.precision if protocol.precision != "fp32" else ON_GPU[protocol.kind]
    found = rehearse(load_config(protocol.config), device=device, precision=precision)
    judge_step(found)
    gc.collect()
    loss = sum(found.losses.values())
    return _LINE(protocol.config, precision, f"{loss:.2f}", f"{time.monotonic() - began:.0f}")
