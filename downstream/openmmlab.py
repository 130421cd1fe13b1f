"""OpenMMLab's libraries, made ready: operators, registries, and configurations that cannot start pip.

mmengine looks for mmsegmentation when a configuration says ``mmseg::...``; the maintained fork has another name, and
``get_config`` would then run pip and put an incompatible release over it. Here a package that is missing is an error.
"""

from __future__ import annotations

import importlib
import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import mmengine.hub.hub
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import MMLogger
from mmengine.utils import is_installed

from downstream.ops import provide_ops
from transmix.errors import UserError, unknown_name

CONFIGS = Path(__file__).parent / "configs"
LIBRARIES = ("mmseg", "mmdet")


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
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # they tell which optional packages are not there
        warnings.simplefilter("ignore")
        MMLogger.get_instance("mmengine", log_level="ERROR")
        ops = provide_ops()
        importlib.import_module(f"{library}.utils").register_all_modules(init_default_scope=False)
        importlib.import_module("downstream.backbone")
    return ops


def load_config(name: str | Path) -> Config:
    """Read a configuration: one of ours, as ``ade20k/upernet_deit``, or a file's path.

    Raises:
        UserError: there is no such configuration.
    """
    allow_library_configs()
    path = Path(name) if Path(name).suffix == ".py" else CONFIGS / f"{name}.py"
    if not path.is_file():
        raise unknown_name("configuration", str(name), config_names())
    return Config.fromfile(path)


def config_names() -> list[str]:
    """Our configurations, as `load_config` takes them."""
    return [f"{path.parent.name}/{path.stem}" for path in sorted(CONFIGS.glob("*/*.py"))]
