"""What a weights file of this suite says of itself, checked before any of it reaches a model: it may be anybody's file.

Of what `timm.create_model` takes, only the arguments below do; those by which it would open files or download are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any

from transmix.common.errors import UserError

LARGEST = 4096  # pixels of an image's side
MOST_CLASSES = 1_000_000


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _side(value: Any) -> bool:
    sides = value if isinstance(value, list) and len(value) == 2 else [value]
    return all(map(_whole(1, LARGEST), sides))


def _share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1


def _channels(low: float) -> Callable[[Any], bool]:
    def check(values: Any) -> bool:
        numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
        return numbers and len(values) == 3 and all(math.isfinite(value) and low < value < 1e6 for value in values)

    return check


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


MODEL_ARGS: dict[str, Callable[[Any], bool]] = {
    "img_size": _side,
    "patch_size": _side,
    "drop_path_rate": _share,
    "drop_rate": _share,
    "global_pool": lambda value: value in ("token", "avg", "avgmax", "max", ""),
    "class_token": lambda value: type(value) is bool,
}
FIELDS: dict[str, Callable[[Any], bool]] = {
    "model": lambda value: isinstance(value, str) and len(value) <= 200 and value.isprintable(),
    "num_classes": _whole(1, MOST_CLASSES),
    "image_size": _whole(1, LARGEST),
    "mean": _channels(-1e6),
    "std": _channels(0),
    "classes": _texts,
}
NEEDED = ("model", "num_classes")


def check_about(path: Path, about: dict[str, Any], needed: tuple[str, ...] = NEEDED) -> None:
    """Check the header that `save_weights` wrote, or that a file claims it did.

    Args:
        path: the file, for messages.
        about: the header's values.
        needed: which of them must be there.

    Raises:
        UserError: names the value that is missing, unknown or out of range.
    """
    for name in needed:
        if name not in about:
            raise UserError(f"weights file {path}: its header does not say {name}: train or save it again")
    arguments = about.get("model_args", {})
    if not isinstance(arguments, dict):
        raise _refused(path, "model_args", arguments)
    for name in arguments:
        if name not in MODEL_ARGS:
            known = ", ".join(MODEL_ARGS)
            raise UserError(
                f"weights file {path}: its header asks for the model argument {shorten(name, 40)!r}, which no file may "
                f"set (known: {known}): give the tensors in a file without this header"
            )
    for name, value in {**about, **arguments}.items():
        check = (MODEL_ARGS if name in arguments else FIELDS).get(name)
        if check is not None and not check(value):
            raise _refused(path, name, value)


def _refused(path: Path, name: str, value: Any) -> UserError:
    return UserError(
        f"weights file {path}: its header says {name}={shorten(repr(value)[:400], 60)}, which makes no sense: "
        "give the tensors in a file without this header"
    )
