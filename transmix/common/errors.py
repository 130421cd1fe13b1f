"""One way to end a command early: one line, a status, no traceback. For bad input the status is 2."""

from __future__ import annotations

import difflib
import errno
import os
import sys
from collections.abc import Callable, Iterable

from transmix.common.text import printable

_LONGEST = 80  # characters of a name that are shown
_FEW = 400  # characters of names, all of which are shown
_NEAR = 0.6  # of difflib's ratio, from which a name is taken for another, misspelt
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# a file that went while it was read, or whose rights or drive did
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ELOOP)
_GONE += (errno.ENAMETOOLONG,)


class CommandEnd(Exception):
    """Ends a command with one line.

    Attributes:
        status: exit status.
        prefix: what the line begins with.
        at_once: end without the interpreter's cleaning up, which could wait for something that is gone.
    """

    status = 1
    prefix = ""
    at_once = False


class UserError(CommandEnd):
    """Bad input. The message is one line that names the file or setting and the remedy."""

    status = 2
    prefix = "error: "


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UserError:
    """The error for a name that does not exist: the one that is near is meant; where none is, all, or the nearest."""
    known, name = sorted(set(known)), str(name)
    shown = repr(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")
    alike = {one.lower(): one for one in reversed(known)}

    def nearest(count: int, cutoff: float) -> list[str]:
        return [alike[one] for one in difflib.get_close_matches(name[:_LONGEST].lower(), alike, count, cutoff)]

    if near := nearest(1, _NEAR):
        hint = f"did you mean {near[0]!r}?"
    elif len(", ".join(known)) <= _FEW:
        hint = f"known: {', '.join(known)}"
    else:
        hint = f"the nearest of {len(known):,} known: {', '.join(nearest(3, 0.0))}"
    return UserError(f"unknown {kind} {shown}: {hint}")


def exit_on_user_error(main: Callable[[], None]) -> None:
    """Run a command-line entry point; a `CommandEnd` becomes its line on stderr and its exit status.

    Characters that the output's encoding lacks are written as escapes, ``\\xd7``.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    try:
        main()
        sys.stdout.flush()  # what cannot be written is known here, not after the last line of this program
    except CommandEnd as end:
        if str(end):  # one of several processes speaks for all
            print(printable(f"{end.prefix}{end}"), file=sys.stderr, flush=True)
        if end.at_once:
            os._exit(end.status)
        sys.exit(end.status)
    except BrokenPipeError:  # whoever read along, such as head, has seen enough
        os._exit(128 + 13)
    except OSError as error:  # of a library that writes; for the suite's own files see `transmix.common.files`
        full = error.errno in _FULL
        if not full and (error.errno not in _GONE or error.filename is None):
            raise
        place = str(error.filename or "a file")
        shown = place if len(place) <= _FEW else f"{place[:_FEW]}..."
        line = f"error: cannot {'write' if full else 'use'} {shown}: {error.strerror.lower()}"
        print(printable(f"{line}: mend that, then run the same command again"), file=sys.stderr, flush=True)
        try:
            sys.stdout.flush()
        except OSError:  # it would fail once more at the interpreter's end, with another status
            os._exit(2)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to continue", file=sys.stderr)
        sys.exit(130)
