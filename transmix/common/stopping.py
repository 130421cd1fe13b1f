"""Being asked to stop: preemption (SIGTERM, SIGUSR1) and Ctrl-C become a checkpoint and a status that says so."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from transmix.common.errors import CommandEnd

if TYPE_CHECKING:
    from transmix.training.distributed import Processes

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, start the same command again
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
_GRACE_SECONDS = 30


class Stopped(CommandEnd):
    """A run that stopped because a signal asked it to, after writing its state.

    Attributes:
        status: exit status of the command: 130 for Ctrl-C, else `TRY_AGAIN`.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.status = 128 + signum if signum == signal.SIGINT else TRY_AGAIN


def stop_when_asked() -> None:
    """From now on SIGTERM and SIGUSR1 end the process with `TRY_AGAIN`: for a command that has nothing to save yet."""

    def stop(*_: object) -> None:
        os.write(2, b"stopped: run the same command again to continue\n")
        os._exit(TRY_AGAIN)  # an exception could be caught: it would be raised in the midst of somebody's imports

    for signum in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(signum, stop)


class StopRequest:
    """A context in which signals that ask for an end are noted in `signum` (0: none came) for the loop to act on.

    A second Ctrl-C interrupts at once, as always. Outside the main thread nothing is caught, as Python demands.
    """

    def __init__(self) -> None:
        self.signum = 0

    def __enter__(self) -> StopRequest:
        self.signum = 0
        main = threading.current_thread() is threading.main_thread()
        self._before = {signum: signal.signal(signum, self._note) for signum in _SIGNALS} if main else {}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _: FrameType | None) -> None:
        if self.signum == signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum


class SaveOrStop:
    """Between two steps of a run: save if it is time to; save and end if a signal asked for it.

    Args:
        stop: whether a signal came.
        seconds: time between saves; 0 saves after every step.
        save: writes what the rest of the run depends on.
        processes: this process among the run's; the first one says where the run stopped.
        together: whether they take the same steps, and so save and stop together, by the first one's clock.

    Attributes:
        last: when was last saved, by the monotonic clock; assign it where the run saves by itself.
    """

    def __init__(
        self,
        stop: StopRequest,
        seconds: float,
        save: Callable[[], None],
        processes: Processes,
        together: bool = True,
    ) -> None:
        self.stop, self.seconds, self._save = stop, seconds, save
        self._processes, self._together = processes, together
        self.last = time.monotonic()

    def after_step(self, stopped: str, saved_soon: bool = False) -> None:
        """Save or stop, where there is reason to.

        Args:
            stopped: the line about a stop: what stopped, and how far it came.
            saved_soon: the run saves by itself after this step, so that only a signal is a reason.

        Raises:
            Stopped: a signal asked one of the processes to stop.
        """
        due = not saved_soon and time.monotonic() - self.last >= self.seconds
        if self._together:
            due = due and self._processes.leads
        wish = self.stop.signum or int(due)  # 1, or a signal, all of which are larger
        if self._together:
            wish = self._processes.largest(wish)
        if wish:
            self._save()
            self.last = time.monotonic()
        if wish > 1:
            line = f"{stopped}: run the same command again to continue"
            raise Stopped(line if self._processes.leads else "", wish)


def outlive_a_stop(_: int) -> None:
    """Initialise a loader worker: signals sent to the whole job must not kill it before the run has its checkpoint."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # yet it ends after a while: whoever terminates a worker and waits for it must not wait for ever
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_GRACE_SECONDS))
