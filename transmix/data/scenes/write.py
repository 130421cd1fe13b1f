"""Write a data set with several processes, so that it can be killed and started again at any moment.

Work is done in shards. A finished shard leaves a marker in ``.shards``; a later run skips marked shards and
writes the others again. What only exists once, the COCO lists and the manifest, is made from the markers at
the end, so neither interruptions nor the number of processes change a byte.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.progress import Progress

from transmix.common.errors import UserError
from transmix.common.files import Unwritable
from transmix.common.progress import progress_bar
from transmix.data.scenes.classes import scene_class
from transmix.data.scenes.layouts import (
    Shard,
    ShardResult,
    coco_document,
    coco_list,
    make_folders,
    plan_shards,
    write_named,
    write_shard,
)
from transmix.data.scenes.sheet import draw_sheet
from transmix.data.scenes.spec import (
    COCO_SPLITS,
    GENERATOR,
    MANIFEST,
    Manifest,
    ScenesSpec,
    check_complete,
    require_same_spec,
)

WORK_FOLDER = ".shards"
_SPEC_FILE = "spec.json"
_LOCK_FILE = "lock"


def write_scenes(spec: ScenesSpec, out: str | Path, processes: int | None = None, progress: bool = True) -> Manifest:
    """Write the data set `spec` into the folder `out`, or finish what an interrupted run began there.

    `processes` defaults to the CPUs this process may use. `progress` shows a bar on a terminal, one line
    elsewhere. A complete folder is checked and left alone. Raises `UserError` if `out` holds something else,
    cannot be written, or a worker process dies.
    """
    if processes is not None and processes < 1:
        raise UserError(f"processes={processes} must be at least 1")
    out = Path(out)
    try:
        if not (out / MANIFEST).exists():
            with _claimed(out):
                if not (out / MANIFEST).exists():
                    _begin(out, spec)
                    _write_missing_shards(spec, out, processes or _available_cpus(), progress)
                    _finish(spec, out)
        shutil.rmtree(out / WORK_FOLDER, ignore_errors=True)
    except OSError as error:
        raise Unwritable(Path(error.filename or out), error, spec.room) from error
    return check_complete(out, spec)


def _available_cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """Hold `out` for this writer; another one of the same folder waits until it is done."""
    work = out / WORK_FOLDER
    if out.is_dir() and not work.is_dir() and not (out / MANIFEST).exists() and any(out.iterdir()):
        raise UserError(f"data folder {out} is not empty and holds no scenes: choose another folder")
    with _lock_file(work) as lock:
        # the kernel drops this lock with the process, however it ends
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock_file(work: Path) -> IO[str]:
    """The file that writers lock; one that has just ended may be clearing its folder meanwhile."""
    tries = 100
    while True:
        tries -= 1
        try:
            work.mkdir(parents=True, exist_ok=True)
            return open(work / _LOCK_FILE, "w")
        except (FileExistsError, FileNotFoundError):
            if not tries:
                raise


def _begin(out: Path, spec: ScenesSpec) -> None:
    """Say what is being written, or check that an interrupted run was writing the same."""
    if (out / WORK_FOLDER / _SPEC_FILE).exists():
        return _check_begun(out, spec)
    begun = {"generator": GENERATOR, "spec": dataclasses.asdict(spec)}
    _write_atomically(out, Path(WORK_FOLDER, _SPEC_FILE), json.dumps(begun).encode())


def _check_begun(out: Path, spec: ScenesSpec) -> None:
    """Raise `UserError` unless the interrupted run that left `out` was writing `spec`."""
    path = out / WORK_FOLDER / _SPEC_FILE
    try:
        begun = json.loads(path.read_text())
        generator, found = begun["generator"], ScenesSpec(**begun["spec"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"cannot read {path}: delete the folder {out} and write it again") from None
    require_same_spec(out, generator, found, spec)


def _write_atomically(out: Path, name: Path, content: bytes) -> None:
    """Write ``out/name`` so that it either has all of `content` or does not exist."""
    scratch = out / WORK_FOLDER / f"{name.name}.{os.getpid()}.partial"
    write_named(scratch, content)
    scratch.replace(out / name)


def _marker(shard: Shard) -> Path:
    return Path(WORK_FOLDER, f"{shard.name}.json")


def _write_missing_shards(spec: ScenesSpec, out: Path, processes: int, progress: bool) -> None:
    make_folders(spec, out)
    shards = plan_shards(spec)
    missing = [shard for shard in shards if not (out / _marker(shard)).exists()]
    images_done = sum(s.stop - s.start for s in shards) - sum(s.stop - s.start for s in missing)
    with _progress(spec, out, progress) as bar:
        total = sum(s.stop - s.start for s in shards)
        task = bar.add_task("rendering", total=total, completed=images_done, note="images")
        for shard in _in_processes(spec, out, missing, min(processes, len(missing))):
            bar.advance(task, shard.stop - shard.start)


def _in_processes(spec: ScenesSpec, out: Path, shards: list[Shard], processes: int) -> Iterator[Shard]:
    """Write shards, yielding each when it is done; a single process needs no pool."""
    if processes <= 1:
        for shard in shards:
            _write_and_mark(spec, out, shard)
            yield shard
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent) as pool:
        waiting: dict[Future[None], Shard] = {pool.submit(_write_and_mark, spec, out, shard): shard for shard in shards}
        try:
            while waiting:
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    yield waiting.pop(future)
        except BrokenProcessPool:
            raise UserError(
                "a process that renders scenes died (out of memory, or killed): "
                "run the same command again, it continues"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Make a worker exit when the writer is killed: it must not write on beside the writer's next run.

    Ctrl-C reaches every process of a terminal; it is the writer's to handle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("only for processes that multiprocessing started")

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_and_mark(spec: ScenesSpec, out: Path, shard: Shard) -> None:
    result = write_shard(spec, out, shard)
    _write_atomically(out, _marker(shard), json.dumps(dataclasses.asdict(result)).encode())


def _finish(spec: ScenesSpec, out: Path) -> None:
    """Merge the markers into the COCO lists and the manifest, which is written last."""
    shards = plan_shards(spec)
    results = {s: ShardResult(**json.loads((out / _marker(s)).read_text())) for s in shards}
    digest = hashlib.sha256()
    for shard, result in results.items():
        digest.update(f"{shard.name} {result.sha256}\n".encode())
    for split in COCO_SPLITS:
        entries = [results[s] for s in shards if (s.view, s.split) == ("dense", split)]
        content = json.dumps(coco_document(spec, entries)).encode()
        digest.update(content)
        _write_atomically(out, coco_list(split), content)
    sheet = io.BytesIO()
    draw_sheet(spec, out).save(sheet, "PNG")
    _write_atomically(out, Path("sheet.png"), sheet.getvalue())
    names = tuple(scene_class(index).name for index in range(spec.classes))
    manifest = Manifest(
        spec=spec,
        generator=GENERATOR,
        sha256=digest.hexdigest(),
        counts=spec.counts,
        class_names=names,
        dense_class_names=names[: spec.dense_classes],
    )
    _write_atomically(out, Path(MANIFEST), manifest.to_json().encode())


def _progress(spec: ScenesSpec, out: Path, wanted: bool) -> Progress:
    """A bar on a terminal; elsewhere one line, so that logs stay short."""
    if wanted and not sys.stderr.isatty():
        print(f"writing {spec.key} to {out}", file=sys.stderr, flush=True)
    return progress_bar(wanted)
