"""Files appear whole or not at all, a full disk is one line, and a run's folder has one command at a time."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from machines import files_up_to, holder
from PIL import Image
from safetensors.torch import load_file

from transmix.common.errors import UserError, exit_on_user_error
from transmix.common.files import Unwritable, check_writable, library_writes, make_folder, replacing, write_text
from transmix.common.locks import NAME, clear, held
from transmix.training.checkpoints import load_state, save_state, save_weights

STATE = {"model": {"weight": torch.randn(200, 50)}, "epoch": 3}


def write_array(path: Path) -> None:
    with replacing(path) as file:
        np.savez_compressed(file, a=np.random.default_rng(0).random(3000))


def write_picture(path: Path) -> None:
    with replacing(path) as file:
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)).save(file, "PNG")


WRITERS = {
    "text": lambda path: write_text(path, "text " * 5000),
    "state": lambda path: save_state(path, STATE),
    "weights": lambda path: save_weights(torch.nn.Linear(100, 100), path, {}),
    "arrays": write_array,
    "picture": write_picture,
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("limit", [0, 1, 4096, 16384])
def test_without_room_the_line_says_how_much_is_needed_and_nothing_changes(tmp_path, writer, limit):
    path = tmp_path / "folder" / "file"
    WRITERS[writer](path)
    size = path.stat().st_size
    path.write_bytes(b"before")
    with files_up_to(limit), pytest.raises(Unwritable) as error:
        WRITERS[writer](path)
    line = f"cannot write {path}: file too large, {size:,} bytes are needed: make room, then run the same command again"
    assert str(error.value) == line
    assert path.read_bytes() == b"before"
    assert os.listdir(path.parent) == ["file"]
    WRITERS[writer](path)
    assert path.stat().st_size == size


def test_a_file_that_may_not_be_made_is_one_line_and_so_is_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for path, write in (
        (tmp_path / "file" / "x", lambda path: write_text(path, "1234")),
        (tmp_path / "file", make_folder),
    ):
        with pytest.raises(Unwritable) as error:
            write(path)
        assert str(error.value).startswith(f"cannot write {path}: ")
    with pytest.raises(UserError, match=r"cannot write \.: it is a folder: name a file"):
        write_text(Path(""), "1234")
    with pytest.raises(
        Unwritable, match=r"is a directory, 4 bytes are needed: make .* writable or choose another folder"
    ):
        write_text(tmp_path, "1234")


def test_whether_a_file_can_be_written_is_known_before_its_content_is(tmp_path):
    (tmp_path / "file").write_text("kept")
    check_writable(tmp_path / "file")
    check_writable(tmp_path / "new" / "é ü" / "file")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "new", "é ü"]
    assert (tmp_path / "file").read_text() == "kept"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "file" / "x", tmp_path / "loop" / "x", Path("/proc/x"), tmp_path, Path("")):
        with pytest.raises(UserError, match=r"^cannot write "):
            check_writable(path)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EROFS, "read-only file system, 4 bytes are needed: make /nowhere/at writable or choose another folder"),
        (errno.EACCES, "permission denied, 4 bytes are needed: make /nowhere/at writable or choose another folder"),
        (errno.EDQUOT, "disk quota exceeded, 4 bytes are needed: make room"),
        (errno.ENOSPC, r"no space left on device, 4 bytes are needed, [\d,]+ are free: make room"),
    ],
)
def test_the_line_names_the_cause_and_the_remedy(number, text):
    path = Path("/nowhere/at/all")
    with pytest.raises(UserError, match=f"^cannot write {path}: {text}, then run the same command again$"):
        raise Unwritable(path, OSError(number, os.strerror(number)), 4)


def test_another_error_is_itself_and_leaves_nothing(tmp_path):
    def stop_half_way() -> None:
        with replacing(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        stop_half_way()
    assert os.listdir(tmp_path) == []


def test_a_state_that_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "state.pt")
    with pytest.raises(UserError, match=r"state\.pt is not readable: start this run afresh with --restart"):
        load_state(tmp_path / "state.pt")


def test_what_is_read_back_is_what_was_written(tmp_path):
    for writer, write in WRITERS.items():
        write(tmp_path / writer)
    assert torch.equal(load_state(tmp_path / "state")["model"]["weight"], STATE["model"]["weight"])
    assert load_file(tmp_path / "weights")["weight"].shape == (100, 100)
    with np.load(tmp_path / "arrays") as arrays:
        assert np.array_equal(arrays["a"], np.random.default_rng(0).random(3000))
    assert Image.open(tmp_path / "picture", formats=["PNG"]).size == (90, 90)


@pytest.mark.parametrize(
    ("number", "verb"),
    [
        (errno.ENOSPC, "write"),
        (errno.EDQUOT, "write"),
        (errno.EROFS, "write"),
        (errno.ENOENT, "use"),
        (errno.EIO, "use"),
    ],
)
def test_a_full_disk_and_a_file_that_went_are_one_line_wherever_they_are_met(capsys, number, verb):
    def main() -> None:
        raise OSError(number, os.strerror(number), "log/of/theirs")

    with pytest.raises(SystemExit) as end:
        exit_on_user_error(main)
    assert end.value.code == 2
    line = (
        f"error: cannot {verb} log/of/theirs: {os.strerror(number).lower()}: mend that, then run the same command again"
    )
    assert capsys.readouterr().err == line + "\n"
    with pytest.raises(FileNotFoundError):  # no file is named: it is no one's but the program's
        exit_on_user_error(partial(_raise, FileNotFoundError(errno.ENOENT, "?")))


def _raise(error: Exception) -> None:
    raise error


def test_what_a_library_cannot_write_is_named(tmp_path):
    with (
        pytest.raises(Unwritable, match=f"cannot write {tmp_path}: no space left on device, "),
        library_writes(tmp_path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FileNotFoundError), library_writes(tmp_path):
        (tmp_path / "nothing").read_bytes()


def test_a_folder_in_use_is_refused_and_a_killed_owner_leaves_neither_lock_nor_files(tmp_path):
    folder = tmp_path / "run"
    with holder(folder) as owner:
        (folder / ".state.pt.4711.tmp").write_bytes(b"half")
        (folder / "state.pt").write_bytes(b"whole")
        with pytest.raises(UserError) as error, held(folder):
            pass
        assert str(error.value).startswith(f"{folder} is in use by process {owner.pid} on ")
        assert (folder / ".state.pt.4711.tmp").exists()  # the owner may be about to finish it
        owner.kill()
        owner.wait()
        with held(folder):
            assert sorted(os.listdir(folder)) == [NAME, "state.pt"]


def test_a_held_folder_is_cleared_but_for_its_lock(tmp_path):
    with held(tmp_path):
        (tmp_path / "mmengine").mkdir()
        (tmp_path / "mmengine" / "log").touch()
        (tmp_path / "state.pt").touch()
        (tmp_path / "link").symlink_to(tmp_path)
        clear(tmp_path)
        assert os.listdir(tmp_path) == [NAME]
    assert not tmp_path.exists()  # an empty folder would look like a run that was started
