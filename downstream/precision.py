"""Half precision of a fine-tuning: mmengine's AMP, as the libraries' tools switch it on with ``--amp``."""

from __future__ import annotations

from mmengine.config import Config

from transmix.common.errors import UserError, unknown_name
from transmix.training.distributed import Processes

# bfloat16 has float32's range, so that its gradients need no scaling
_AMP = {"fp16": ("float16", "dynamic"), "bf16": ("bfloat16", {"enabled": False})}
PRECISIONS = ("fp32", *_AMP)


def put_precision(config: Config, precision: str) -> None:
    """Let `config` train in ``fp32``, ``bf16`` or ``fp16``; it is evaluated in ``fp32``.

    Raises:
        UserError: unknown precision.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if precision in _AMP:
        dtype, scale = _AMP[precision]
        config.optim_wrapper.update(type="AmpOptimWrapper", dtype=dtype, loss_scale=scale)


def check_precision(config: Config, processes: Processes) -> None:
    """Raise `UserError` if the device cannot train as `config` says: the result would be another one."""
    wrapper = config.optim_wrapper
    if wrapper.type == "AmpOptimWrapper" and processes.device.type == "cpu":
        raise UserError(
            f"this fine-tuning is in {wrapper.get('dtype', 'half precision')}, for which mmengine needs a GPU: "
            "run it on one, or choose another scale"
        )
