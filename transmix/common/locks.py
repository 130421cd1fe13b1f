"""One command at a time in a run's folder. Standard library only."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from transmix.common.errors import UserError
from transmix.common.files import Unwritable, make_folder

NAME = ".lock"
_LEFTOVER = re.compile(r"\..+\.\d+\.tmp")  # what `transmix.common.files.replacing` writes into


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder, made where there is none, and clear what killed commands were writing in it.

    The kernel drops the lock with the process, however that ends. It is a POSIX record lock, not `flock`: loader
    processes do not inherit it, so they hold nothing when their parent was killed, and NFS passes it on from host to
    host (version 4, or with a lock daemon). A file system that has no locks is warned of.

    Raises:
        UserError: another process holds it; says which.
        Unwritable: the folder cannot be written.
    """
    path = folder / NAME
    try:
        descriptor = _taken(path)
    except OSError as error:
        raise Unwritable(path, error) from error
    try:
        try:
            for name in filter(_LEFTOVER.fullmatch, os.listdir(folder)):
                (folder / name).unlink(missing_ok=True)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        except OSError as error:
            raise Unwritable(path, error) from error
        yield
    finally:
        with suppress(OSError):
            path.unlink()
            folder.rmdir()  # where nothing was left, nothing was started
        os.close(descriptor)


def clear(folder: Path) -> None:
    """Remove all that a held folder holds, but for its lock."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != NAME:
            path.unlink()


def _taken(path: Path) -> int:
    """A descriptor of the lock's file that holds it."""
    while True:
        make_folder(path.parent)  # whoever held it may have removed it
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, path.parent)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass  # whoever held it has just ended and removed it: what is locked here is no one's any more
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            owner = os.pread(descriptor, 200, 0).decode(errors="replace").partition("\n")[0] or "another process"
            raise UserError(f"{folder} is in use by {owner}: wait until that has ended, or end it") from error
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        print(f"note: no locks in {folder} ({error.strerror}): see that nothing else runs there", file=sys.stderr)
