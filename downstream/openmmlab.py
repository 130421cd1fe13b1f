"""OpenMMLab's libraries, made ready: operators, registries, and configurations that cannot start pip.

mmengine looks for mmsegmentation when a configuration says ``mmseg::...``; the maintained fork has another name, and
``get_config`` would then run pip and put an incompatible release over it. Here a package that is missing is an error.
"""

from __future__ import annotations

import copy
import importlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import mmengine.hub.hub
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import MMLogger
from mmengine.utils import is_installed

from downstream.checkpoints import read_data_only
from downstream.ops import provide_ops
from transmix.common.errors import UserError, unknown_name
from transmix.training.checkpoints import first_reason

CONFIGS = Path(__file__).parent / "configs"
LIBRARIES = ("mmseg", "mmdet")
MULTI_SCALE = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


# What these versions say on every run, of no use to the reader: deprecations of what the libraries themselves call, and
# defaults that the inherited configurations leave as they are.
_HARMLESS = (
    "Default ``avg_non_ignore`` is False",
    "`reduce_zero_label` will be deprecated",
    "The shape of value will convert",  # mmseg's own, of predictions that are the mean of several views
    "Setting MKL_NUM_THREADS environment variable",
    "__array__ implementation doesn.t accept a copy keyword",
)


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of a kind that is known to mean nothing here, and no traceback where a line of a log has no room."""
    reported, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        with warnings.catch_warnings():
            for message in _HARMLESS:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        logging.raiseExceptions = reported


def _refuse_to_install(package: str) -> None:
    if not is_installed(package):
        raise UserError(f"a configuration needs the package {package}, which is not installed: nothing was downloaded")


def allow_library_configs() -> None:
    """Let ``_base_ = "mmseg::..."`` find the installed fork, and never install anything."""
    MODULE2PACKAGE["mmseg"] = "mmseg"
    mmengine.hub.hub.install_package = _refuse_to_install


def prepare(library: str) -> str:
    """Import a library and fill mmengine's registries with it and with the suite's backbone.

    Args:
        library: ``mmseg`` or ``mmdet``.

    Returns:
        What computes mmcv's operators: ``compiled`` or ``torchvision``.
    """
    if library not in LIBRARIES:
        raise unknown_name("library", library, LIBRARIES)
    allow_library_configs()
    read_data_only()
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # they tell which optional packages are not there
        warnings.simplefilter("ignore")
        MMLogger.get_instance("mmengine", log_level="ERROR")
        ops = provide_ops()
        importlib.import_module(f"{library}.utils").register_all_modules(init_default_scope=False)
        importlib.import_module("downstream.backbone")
    return ops


def load_config(name: str | Path) -> Config:
    """Read a configuration: one of ours, as ``ade20k/upernet_deit``, or a file's path.

    Its ``tta_pipeline`` is the published multi-scale protocol, see `multi_scale`.

    Raises:
        UserError: there is no such configuration, or it cannot be read, or is of no library or lacks a part.
    """
    allow_library_configs()
    theirs = Path(name).suffix == ".py"
    path = Path(name) if theirs else CONFIGS / f"{name}.py"
    if not os.path.isfile(path):
        raise unknown_name("configuration", str(name), config_names())
    return _read(path) if theirs else copy.deepcopy(_ours(path))


def _read(path: Path) -> Config:
    try:
        config = Config.fromfile(path)
        if config.default_scope == "mmseg":
            config.tta_pipeline = multi_scale(config.test_dataloader.dataset.pipeline)
    except UserError:
        raise
    except Exception as error:  # it is a program of somebody's
        raise UserError(
            f"configuration {path} cannot be used ({type(error).__name__}: {first_reason(error)}): see to that file"
        ) from error
    return config


_ours = cache(_read)  # a check of all rows asks for one several times, and reading it takes half a second


def multi_scale(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A test pipeline of mmseg at six scales, each also flipped.

    mmseg's own starts from the size of the file; the published protocol (MMSegmentation 0.x, Segmenter) from that to
    which the test pipeline resizes.
    """
    (position,) = (index for index, step in enumerate(pipeline) if step["type"] == "Resize")
    resize = pipeline[position]
    sizes = [tuple(int(side * ratio) for side in resize["scale"]) for ratio in MULTI_SCALE]
    views = [
        [{**resize, "scale": size} for size in sizes],
        [{"type": "RandomFlip", "prob": 0.0}, {"type": "RandomFlip", "prob": 1.0}],
        *([step] for step in pipeline[position + 1 :]),
    ]
    return [*pipeline[:position], {"type": "TestTimeAug", "transforms": views}]


def config_names() -> list[str]:
    """Our configurations, as `load_config` takes them."""
    return [f"{path.parent.name}/{path.stem}" for path in sorted(CONFIGS.glob("*/*.py"))]
