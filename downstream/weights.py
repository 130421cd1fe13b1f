"""From a classifier's weights file into a backbone, with every tensor accounted for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from transmix.common.errors import UserError
from transmix.training.checkpoints import check_patches, first_reason, read_checkpoint

State = dict[str, Tensor]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class KeyReport:
    """What became of a file's tensors.

    Attributes:
        path: the file.
        loaded: names that went into the backbone.
        dropped: names that the backbone has no use for.
        resized: shape in the file and in the backbone, of those tensors that were resized on the way.
        taken: which of the file's tensors these are, in words.
    """

    path: str
    loaded: tuple[str, ...]
    dropped: tuple[str, ...]
    resized: dict[str, tuple[Shape, Shape]]
    taken: str

    def __str__(self) -> str:
        """One line for the log that names everything dropped or resized."""
        parts = [f"{self.path}: {len(self.loaded)} tensors loaded, of {self.taken}"]
        if self.dropped:
            parts.append(f"dropped {', '.join(self.dropped)}")
        parts += [f"resized {name} from {old} to {new}" for name, (old, new) in self.resized.items()]
        return "; ".join(parts)


def load_weights(
    backbone: nn.Module, name: str, whole: nn.Module, convert: Callable[[State, nn.Module], State], path: str | Path
) -> KeyReport:
    """Load a classifier's weights into what is left of it as a backbone.

    Args:
        backbone: a pruned model.
        name: the model's name.
        whole: the same model unpruned, whose tensors may be on the meta device.
        convert: the family's, see `downstream.backbone.Family`.
        path: a weights file (`transmix.training.checkpoints.read_checkpoint`).

    Raises:
        UserError: the file cannot be read, or holds another model.
    """
    checkpoint = read_checkpoint(Path(path))
    state, held = checkpoint.tensors, checkpoint.about.get("model")
    if held not in (None, name):
        raise UserError(f"weights file {path} holds {held}, the backbone is {name}: change one of the two")
    check_patches(whole, state, name, checkpoint.path, table=False)
    try:
        converted = convert(dict(state), whole)  # fails at a table that is no grid of patches, say
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AssertionError) as error:
        raise UserError(f"weights file {path} does not fit {name} ({first_reason(error)})") from error
    if problem := _mismatch(converted, whole):
        raise UserError(f"weights file {path} does not fit {name}: {problem}")
    wanted = backbone.state_dict().keys()
    backbone.load_state_dict({key: converted[key] for key in wanted})
    resized = {
        key: (tuple(state[key].shape), tuple(converted[key].shape))
        for key in wanted
        if key in state and state[key].shape != converted[key].shape
    }
    dropped = tuple(key for key in converted if key not in wanted)
    return KeyReport(str(path), tuple(wanted), dropped, resized, checkpoint.taken)


def _mismatch(state: State, whole: nn.Module) -> str | None:
    """The first thing in which a state differs from a model's own; the classifier does not count."""
    classifier = f"{whole.pretrained_cfg['classifier']}."
    found = {key: tuple(tensor.shape) for key, tensor in state.items() if not key.startswith(classifier)}
    expected = {key: tuple(tensor.shape) for key, tensor in whole.state_dict().items()}
    expected = {key: shape for key, shape in expected.items() if not key.startswith(classifier)}
    if missing := sorted(expected.keys() - found.keys()):
        return f"it lacks {missing[0]}"
    if foreign := sorted(found.keys() - expected.keys()):
        return f"it also has {foreign[0]}"
    for key, shape in expected.items():
        if found[key] != shape:
            return f"{key} has shape {found[key]}, not {shape}"
    return None
