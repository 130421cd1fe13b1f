"""Progress with time left on a terminal; silence elsewhere."""

from __future__ import annotations

import os
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0


def progress_bar(shown: bool = True) -> Progress:
    """A rich progress display on stderr with columns for a task's ``note`` field.

    Under ``make -j``, where several runs share the terminal, it writes a line every ten seconds instead of a bar.
    """
    console = Console(stderr=True)
    shown = shown and console.is_terminal
    if shown and "-j" in os.environ.get("MAKEFLAGS", ""):
        return _ProgressLines(console=console, disable=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not shown,
        transient=True,
    )


class _ProgressLines(Progress):
    _last = 0.0

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        self.update(task_id, advance=advance)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last, task = now, self.tasks[task_id]
        left = "" if task.time_remaining is None else f", {task.time_remaining:.0f} s left"
        note = f", {task.fields['note']}" if task.fields.get("note") else ""
        self.console.print(f"{task.description}: {task.percentage:.0f} %{note}{left}", highlight=False)
