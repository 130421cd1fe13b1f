"""Start-up paid once: the runs of one make are forked from a process that has loaded the libraries.

make stays the engine: every run is a command of its own, with its output, its status and its signals. Such a command,
told by ``MAKE_PID`` whose it is, loads nothing but this; it hands its arguments, environment and streams to a server,
waits, passes signals on, and ends as its run ended. The first command of a make starts the server; it ends with the
make. A server loads libraries and never runs anything itself, before any thread exists, so that a fork is as good as a
new process: a run's bits do not depend on the runs before it. Fine-tunings have a server of their own, for what
OpenMMLab's libraries change while they are loaded. A run that is started by hand, or by torchrun, is not shared.

The socket lies in a folder that nobody else can enter. Standard library only, in the commands.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from experiments.kinds import kinds
from transmix.common.errors import CommandEnd, UserError, exit_on_user_error
from transmix.common.files import Unwritable
from transmix.common.stopping import stop_when_asked

OWNER = "MAKE_PID"
GROUPS = {"classified": ("experiments", "robustness"), "dense": ("downstream",)}  # packages of what a server loads
_LOOK_SECONDS, _GRACE_SECONDS = 0.1, 30.0  # between looks; for a run without a server to write its state
_PREFIX = f"transmix-{os.getuid()}-"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def owner_of_this() -> int | None:
    """The make that this command belongs to; None for one started by hand, or where sharing is not possible."""
    owner = os.environ.get(OWNER, "")
    shared = sys.platform == "linux" and owner.isdecimal() and _alive(int(owner))  # elsewhere libraries survive no fork
    return int(owner) if shared else None


class Ended(CommandEnd):
    """A run that ended in its own process, which has said why."""

    def __init__(self, status: int) -> None:
        super().__init__("")
        self.status = status


def run_forked(kind: str, owner: int) -> None:
    """Carry out this very command in a process forked from the make's server; returns where it succeeded.

    Args:
        kind: of the run.
        owner: process id of the make.

    Raises:
        Ended: the run ended with another status than 0.
        UserError: the server is gone, or there is no place for its socket.
    """
    package = kinds()[kind].execute.partition(".")[0]
    group = "dense" if package in GROUPS["dense"] else "classified"
    folder = _folder(owner)
    with _connected(folder, group, owner) as connection:
        request = {"argv": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ)}
        text = json.dumps(request).encode()
        with suppress(ConnectionError):  # of a server that was killed: no answer will come, either
            socket.send_fds(connection, [len(text).to_bytes(4, "big")], [0, 1, 2])
            connection.sendall(text)
        status = _wait(connection, folder / f"{group}.log")
    if status:
        raise Ended(status)


def _wait(connection: socket.socket, log: Path) -> int:
    """The run's exit status; signals that come once it is forked are the run's. Before, they end this command."""
    process = 0

    def pass_on(signum: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(process, signum)

    answers = connection.makefile("r")

    def answer() -> str:
        try:
            return answers.readline()
        except ConnectionError:
            return ""

    if process := int(answer() or 0):
        for signum in _SIGNALS:
            signal.signal(signum, pass_on)
    status = answer()
    if not status:
        if process:
            _stop(process)
        with suppress(OSError):
            sys.stderr.write(log.read_text(errors="replace"))
        raise UserError("the process that this make's runs are started from has ended: run make again")
    return int(status)


def _stop(process: int) -> None:
    """Have a run that lost its server write its state, and wait for it: the next command finds its folder free."""
    end = time.monotonic() + _GRACE_SECONDS
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
    while _alive(process) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)


def _folder(owner: int) -> Path:
    """Of the sockets of a make: this user's, and closed to others."""
    folder = Path(tempfile.gettempdir(), f"{_PREFIX}{owner}")
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise Unwritable(folder, error) from error
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise UserError(f"{folder} is not a folder of yours alone: remove it, then run make again")
    return folder


def _clear_leftovers(folder: Path) -> None:
    """Remove the folders beside this one of makes that are over, whose servers were killed."""
    for path in folder.parent.glob(f"{_PREFIX}*"):
        owner = path.name.removeprefix(_PREFIX)
        if owner.isdecimal() and not _alive(int(owner)):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _connected(folder: Path, group: str, owner: int) -> Iterator[socket.socket]:
    """A connection to the server, which is started where there is none."""
    with ExitStack() as stack:
        connection = stack.enter_context(socket.socket(socket.AF_UNIX))
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, opened)
        address = f"/proc/self/fd/{opened}/{group}"  # a socket's path may have 107 bytes, and TMPDIR more
        with (folder / f"{group}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                connection.connect(address)
            except (FileNotFoundError, ConnectionRefusedError):
                Path(address).unlink(missing_ok=True)
                with socket.socket(socket.AF_UNIX) as listening:
                    try:
                        listening.bind(address)
                    except OSError as error:
                        raise Unwritable(folder / group, error) from error
                    listening.listen(1024)
                    _start(folder, group, listening.fileno(), owner)
                    connection.connect(address)  # while this process listens, too: the other may be gone
        yield connection


def _start(folder: Path, group: str, listening: int, owner: int) -> None:
    """Start a server; what it has to say is kept, as whoever reads a command's output waits for no one else."""
    _clear_leftovers(folder)
    command = [sys.executable, "-m", "experiments.shared", group, str(listening), str(owner)]
    with (folder / f"{group}.log").open("wb") as log:
        subprocess.Popen(
            command,
            pass_fds=[listening],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )


def serve(group: str, listening: socket.socket, owner: int) -> None:
    """Load the libraries, then fork a process for each request, until the owner is gone.

    Returns in the forked processes, which are then what the command was that asked for them.
    """
    # Held back, not ignored: a command passes its signals on as soon as its run is forked, which takes them in `main`.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as `experiments.__main__` sets it
    for name in ("experiments.run", *(kind.execute for kind in kinds().values())):
        if name.partition(".")[0] in GROUPS[group]:
            module = importlib.import_module(name)
            if hasattr(module, "load"):
                module.load()
    waiting: dict[int, socket.socket] = {}
    while waiting or _alive(owner):
        ready = select.select([listening, *waiting.values()], [], [], _LOOK_SECONDS)[0]
        for process, connection in list(waiting.items()):
            if connection in ready:  # nothing more comes from there: the command was killed, and so is its run
                os.kill(process, signal.SIGKILL)
                connection.close()
                del waiting[process]
        if listening in ready:
            connection = listening.accept()[0]
            if (request := _read(connection)) is None:
                continue
            process = os.fork()
            if process == 0:
                for other in (listening, connection, *waiting.values()):
                    other.close()
                return _become(*request)
            for stream in request[1]:
                os.close(stream)
            with suppress(OSError):  # the command was killed: the next look finds that
                connection.sendall(f"{process}\n".encode())
            waiting[process] = connection
        _report(waiting)
    shutil.rmtree(_folder(owner), ignore_errors=True)
    sys.exit()


def _report(waiting: dict[int, socket.socket]) -> None:
    """Tell the commands whose runs have ended how they did."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            status = os.waitstatus_to_exitcode(ended[1])
            connection = waiting.pop(ended[0], None)
            if connection is not None:
                with suppress(OSError):
                    connection.sendall(f"{status if status >= 0 else 128 - status}\n".encode())
                connection.close()


def _read(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """What a command asks for, and its streams; None where it was killed in the midst of asking."""
    head, streams, _, _ = socket.recv_fds(connection, 4, 3)
    text = b""
    while head and len(text) < int.from_bytes(head, "big"):
        more = connection.recv(1 << 20)
        if not more:
            break
        text += more
    if head and len(text) == int.from_bytes(head, "big"):
        return json.loads(text), streams
    for stream in streams:
        os.close(stream)
    connection.close()
    return None


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Take on the arguments, folder, environment and streams of a command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stop_when_asked()
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    # what stood there before could be sought in; these may be pipes
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.environ.pop(OWNER, None)
    sys.argv = request["argv"]


def _alive(process: int) -> bool:
    """Whether it is there and has not ended; one that nobody has waited for is over."""
    try:
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def main() -> None:
    """What a forked process does: the command that asked for it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    from experiments.__main__ import main as command

    command()


if __name__ == "__main__":
    group, descriptor, owner = sys.argv[1:]
    serve(group, socket.socket(fileno=int(descriptor)), int(owner))
    exit_on_user_error(main)
