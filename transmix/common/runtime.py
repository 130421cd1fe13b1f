"""How a run is carried out: what the user may choose without another result. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    """How a run is carried out; nothing here changes its result (but for the rounding of other kernels).

    Attributes:
        workers: loader processes.
        checkpoint_seconds: time between checkpoints (there is one before every evaluation, too).
        compile: `torch.compile` the model.
        channels_last: keep images and convolutions in that memory format.
        progress: a progress bar, where there is a terminal.
    """

    workers: int = 1
    checkpoint_seconds: float = 60.0
    compile: bool = False
    channels_last: bool = False
    progress: bool = True
