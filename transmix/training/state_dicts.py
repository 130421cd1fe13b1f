"""Which tensors of a checkpoint are the model: one rule, the same for every command, and said in a sentence.

* A file that holds a moving average (EMA) beside the plain weights is read for the average: whatever has ``ema``,
  ``swa``, ``averaged``, ``shadow`` or ``teacher`` as a word of its name, as timm's ``state_dict_ema`` and ``model_ema``
  and DINO's ``teacher``. (mmengine itself puts the average into ``state_dict``.) One that is a list of tensors, as
  ``shadow_params``, takes its names from the plain weights beside it, in their order, if number and shapes agree.
* Else the plain weights are taken: ``state_dict``, ``model``, ..., or the file's tensors themselves.
* Prefixes of wrappers are removed, one after the other: ``module.``, ``_orig_mod.``, ``model.``, ``backbone.``, ...
  Tensors beside those with the prefix belong to something else and are left out, except a linear classifier.
  What FSDP, activation checkpointing and compiled blocks put within names goes, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

AVERAGES = ("state_dict_ema", "model_ema", "ema_model", "ema", "teacher", "target_encoder")  # the first that is there
AVERAGE = re.compile(r"(?:.*[^a-z])?(?:ema|swa|shadow|teacher|averaged?|avg|polyak)(?:[^a-z].*)?")
SHADOW = "shadow_params"  # of the lists that such an average keeps, the one that is it
# what is in a state dict and is no parameter
BUFFER = re.compile(r"(?:.*\.)?(?:running_mean|running_var|num_batches_tracked|relative_\w+|attn_mask)")
PLAIN = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "network", "net", "weights", "params"),
    *("student", "encoder", "backbone"),
)
AVERAGE_PREFIXES = ("teacher.", "model_ema.", "ema_model.", "ema.", "target_encoder.")
PREFIXES = (
    "module.",
    "_orig_mod.",
    "model.",
    "network.",
    "net.",
    "backbone.",
    "student.",
    "encoder.",
    "student_model.",
)
CLASSIFIERS = tuple(f"{head}.{part}" for head in ("head", "fc", "classifier") for part in ("weight", "bias"))
WRAPPED = re.compile(r"(?:^|(?<=\.))(?:_fsdp_wrapped_module|_checkpoint_wrapped_module|_orig_mod)\.")
_DEPTH = 8  # of containers in containers
_PATCHES = "patch_embed.proj.weight"

State = dict[str, Tensor]


def pick(loaded: Any) -> tuple[State, str]:
    """The model's tensors in what a file holds, by the rule above, and what was done about it.

    Raises:
        ValueError: there are none, or several sets; the message says so, for the line about the file.
    """
    state, where = _container(loaded, _DEPTH)
    others = sorted(name for name, value in state.items() if not isinstance(value, Tensor))
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    said = [where] if where else []
    if others:
        said.append(f"without {_listed(others)}, which {'is no tensor' if len(others) == 1 else 'are no tensors'}")
    while (unwrapped := _unwrap(tensors)) is not None:
        tensors, what = unwrapped
        said.append(what)
    return tensors, f"{len(tensors)} tensors {', '.join(said) if said else 'as they are'}"


def _container(loaded: Any, depth: int) -> tuple[Mapping[str, Any], str]:
    """The innermost mapping of names to tensors, and where it lies."""
    if not isinstance(loaded, Mapping):
        raise ValueError("holds no state dict: save model.state_dict()")
    inner = {name: value for name, value in loaded.items() if isinstance(name, str) and _holds_tensors(value, depth)}
    averages = [name for name in AVERAGES if name in inner] or sorted(filter(_is_average, inner))
    plain = [name for name in PLAIN if name in inner]
    if len(averages) > 1 and averages[0] not in AVERAGES:
        raise ValueError(f"holds several moving averages ({_listed(averages)}): save the one that is meant")
    lists = {} if averages else _lists(loaded)
    if len(lists) > 1:
        raise ValueError(f"holds several moving averages ({_listed(sorted(lists))}): save the one that is meant")
    if lists:
        return _named_by(*next(iter(lists.items())), inner, plain, depth)
    if averages or plain:
        name = (averages or plain)[0]
        state, where = _container(inner[name], depth - 1)
        kind = f"of the moving average '{name}'" if averages else f"of '{name}'"
        beside = f" (not the plain weights '{plain[0]}')" if averages and plain else ""
        if not averages and (twins := _twins(inner, name, state)):
            beside = f" (not of {_listed(twins)}, with tensors of the same shapes)"
        return state, f"{kind}{beside}{' ' + where if where else ''}"
    if _has_tensors(loaded):
        return {name: value for name, value in loaded.items() if isinstance(name, str)}, ""
    if len(inner) == 1:
        ((name, value),) = inner.items()
        state, where = _container(value, depth - 1)
        return state, f"of '{name}'{' ' + where if where else ''}"
    if inner:
        raise ValueError(f"holds several state dicts ({_listed(sorted(inner))}): save the one that is meant")
    raise ValueError("holds no state dict: save model.state_dict()")


def _is_average(name: str) -> bool:
    return AVERAGE.fullmatch(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) is not None


def _lists(loaded: Mapping[str, Any]) -> dict[str, list[Tensor]]:
    """Moving averages that are lists of tensors, by name: here, or one mapping deeper."""
    found = {}
    for name, value in loaded.items():
        if not isinstance(name, str) or not _is_average(name):
            continue
        inside = {name: value}
        if isinstance(value, Mapping):
            inside |= {f"{name}.{key}": item for key, item in value.items() if isinstance(key, str)}
        lists = {key: _as_list(item) for key, item in inside.items() if _is_list(_as_list(item))}
        shadow = f"{name}.{SHADOW}"
        found |= {shadow: lists[shadow]} if shadow in lists else lists
    return found


def _as_list(value: Any) -> Any:
    """A list, also of a mapping from numbers."""
    numbered = isinstance(value, Mapping) and all(type(key) is int for key in value)
    return [value[key] for key in sorted(value)] if numbered else value


def _is_list(value: Any) -> bool:
    tensors = isinstance(value, list | tuple) and all(isinstance(item, Tensor) for item in value)
    return tensors and any(item.ndim > 1 for item in value)  # not, say, a history of losses


def _named_by(
    name: str, values: list[Tensor], inner: Mapping[str, Any], plain: list[str], depth: int
) -> tuple[State, str]:
    """A list of tensors with the names of the plain weights beside it, and where it lies."""
    held = f"holds a moving average as a list of {len(values)} tensors without names ({name})"
    remedy = "save it as a state dict, or the plain weights alone"
    if not plain:
        raise ValueError(f"{held}, and no weights beside it to name them by: {remedy}")
    state, where = _container(inner[plain[0]], depth - 1)
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    for names in ([*tensors], [key for key in tensors if not BUFFER.fullmatch(key)]):
        if [tensors[key].shape for key in names] == [value.shape for value in values]:
            named = tensors | dict(zip(names, values, strict=True))
            said = f"of the moving average '{name}', a list, named in the order of '{plain[0]}'"
            return named, f"{said}{' ' + where if where else ''}"
    raise ValueError(f"{held}, which are not those of '{plain[0]}' in number and shapes: {remedy}")


def _twins(inner: Mapping[str, Any], name: str, state: Mapping[str, Any]) -> list[str]:
    """Where else such tensors lie: the best of a training, say, or an average in a callback."""
    shapes = _shapes(state)

    def within(value: Any, path: str, depth: int) -> list[str]:
        if not isinstance(value, Mapping) or depth == 0:
            return []
        below = [found for key, item in value.items() for found in within(item, f"{path}.{key}", depth - 1)]
        return [f"'{path}'", *below] if _shapes(value) == shapes else below

    return [found for other, value in inner.items() if other != name for found in within(value, other, _DEPTH)]


def _shapes(value: Mapping[Any, Any]) -> list[Any]:
    return [item.shape for item in value.values() if isinstance(item, Tensor)]


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(name, str) and isinstance(item, Tensor) for name, item in value.items()
    )


def _holds_tensors(value: Any, depth: int) -> bool:
    if not isinstance(value, Mapping) or depth == 0:
        return False
    return _has_tensors(value) or any(
        isinstance(name, str) and _holds_tensors(item, depth - 1) for name, item in value.items()
    )


def _unwrap(tensors: State) -> tuple[State, str] | None:
    """The tensors without their outermost prefix, or what wrappers left within names; None if they have none."""
    for prefix in (*AVERAGE_PREFIXES, *PREFIXES):
        inside = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        # an average lies beside as many plain weights; any other prefix is most of the file's
        most = 2 * len(inside) + 2 * (prefix in AVERAGE_PREFIXES) > len(tensors)
        if not inside or not most or (prefix == "encoder." and not any(_PATCHES in name for name in inside)):
            continue  # some models of timm call a part of their own 'encoder'
        outside = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)}
        kept = {name: tensor for name, tensor in outside.items() if name in CLASSIFIERS and name not in inside}
        left_out = sorted(outside.keys() - kept.keys())
        said = f"without the prefix '{prefix}'"
        return inside | kept, said + (f" (left out: {_listed(left_out)})" if left_out else "")
    found = next(filter(None, map(WRAPPED.search, tensors)), None)
    if found is None:
        return None
    plain = {WRAPPED.sub("", name): tensor for name, tensor in tensors.items()}
    if len(plain) < len(tensors):
        raise ValueError(f"holds tensors twice, with '{found[0]}' in their names and without: save model.state_dict()")
    return plain, f"without '{found[0]}' within names"


def _listed(names: list[str]) -> str:
    """A few names, and how many more there are."""
    few = ", ".join(name if len(name) <= 60 else f"{name[:57]}..." for name in names[:2])
    return few if len(names) <= 2 else f"{few} and {len(names) - 2} more"
