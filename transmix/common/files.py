"""Files that matter appear whole or not at all; a disk that is full or read-only is one line. Standard library only."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from transmix.common.errors import UserError

OTHERS = {  # how a file begins that is something else than it should be: what it is, and what to do
    b"version https://git-lfs": ("it is a pointer of Git LFS, the content is elsewhere", "run 'git lfs pull' there"),
    b"<": ("it is a web page", "download the file itself"),
    b"\x1f\x8b": ("it is compressed", "unpack it"),
    b"BZh": ("it is compressed", "unpack it"),
    b"\xfd7zXZ": ("it is compressed", "unpack it"),
    b"PK\x03\x04": ("it is an archive", "unpack it"),
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Unwritable(UserError):
    """A file or folder that cannot be written: the line says why, how much room it needs and what to do."""

    def __init__(self, path: Path, error: OSError, size: int | None = None) -> None:
        reason = (error.strerror or str(error)).lower()
        needed = "" if size is None else f", {size:,} bytes are needed"
        if error.errno == errno.ENOSPC:
            needed += f", {_free(path):,} are free"
        remedy = "make room" if error.errno in _FULL else f"make {path.parent} writable or choose another folder"
        super().__init__(f"cannot write {path}: {reason}{needed}: {remedy}, then run the same command again")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write into; when the block ends well, it takes the place of `path`.

    Raises:
        UserError: the path names nothing, as "" and "." do.
        Unwritable: no room, a read-only disk, or the like; what was there before is there still.
    """
    if not path.name:
        raise UserError(f"cannot write {path}: it is a folder: name a file")
    file = _Counting(path.with_name(f".{path.name}.{os.getpid()}.tmp"))
    try:
        yield file
        file.move(path)
    finally:
        file.discard()
    if file.failure is not None:
        raise Unwritable(path, file.failure, file.size) from file.failure


def check_writable(path: Path) -> None:
    """Find out before work begins whether a file can be written at its end; makes the file's folder.

    Raises:
        UserError: it cannot, or it is a folder.
    """
    if path.is_dir():  # as is Path("")
        raise UserError(f"cannot write {path}: it is a folder: name a file")
    make_folder(path.parent)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        scratch.touch()
        scratch.unlink()
    except OSError as error:
        raise Unwritable(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def library_writes(path: Path) -> Iterator[None]:
    """Around code of a library that writes into `path`: a disk without room is the same line as for our own files.

    Raises:
        Unwritable: no room, or a read-only disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (*_FULL, errno.EROFS):
            raise Unwritable(path, error) from error
        raise


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        Unwritable: it cannot be made, or is there as something else.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unwritable(path, error) from error


def folder_at(text: str) -> Path:
    """The path of a folder that is there or can be made.

    Raises:
        UserError: a file is there, or above it, or a link that leads nowhere.
    """
    path = Path(text)
    there = next((place for place in (path, *path.parents) if os.path.lexists(place)), Path())
    if not there.is_dir():
        raise UserError(f"no folder can be at {text}: {there} is no folder: give another, or move that away")
    return path


def named_file(spec: str) -> tuple[str, Path]:
    """The model's name, empty for a file that says it itself, and the weights file, of ``FILE`` or ``NAME:FILE``."""
    name, _, file = ("", "", spec) if Path(spec).is_file() else spec.rpartition(":")
    return name, Path(file)


def what_else(head: bytes, others: dict[bytes, tuple[str, str]]) -> tuple[str, str] | None:
    """What a file is by its first bytes, and what to do about it (as `OTHERS`); None: nothing that is known."""
    plain = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return next((found for beginning, found in others.items() if plain.startswith(beginning)), None)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _Counting(io.RawIOBase):
    """A file that, where it cannot be written, still takes what it is given and counts it.

    So the line about a full disk can say how much it lacks, and libraries that write have no error of their own to
    turn it into.

    Attributes:
        failure: the first; None while there was none.
        size: bytes that the whole has.
    """

    def __init__(self, path: Path) -> None:
        self.failure: OSError | None = None
        self.size = self._place = 0
        self._path, self._file = path, None
        with self._noting():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.BufferedWriter(io.FileIO(path, "w"))

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = self.failure or error

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        with self._noting():
            if self.failure is None:
                self._file.seek(self._place)
        return self._place

    def write(self, data: Any) -> int:
        with self._noting():
            if self.failure is None:
                self._file.write(data)
        length = memoryview(data).nbytes
        self._place += length
        self.size = max(self.size, self._place)
        return length

    def move(self, path: Path) -> None:
        """Onto the disk, then to its name."""
        with self._noting():
            if self.failure is None:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                os.replace(self._path, path)

    def discard(self) -> None:
        """Whatever is left of it."""
        if self._file is None:
            return
        with self._noting():
            self._file.close()  # which tries once more to write what it has buffered
        with self._noting():
            self._path.unlink(missing_ok=True)


def _free(path: Path) -> int:
    there = next((folder for folder in path.absolute().parents if folder.is_dir()), Path("/"))
    return shutil.disk_usage(there).free
