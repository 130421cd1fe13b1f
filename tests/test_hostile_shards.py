"""Shards that nobody wrote in good faith: one line each, however large their numbers and long their names."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from shards import write_shard

from transmix.common.errors import UserError
from transmix.data.sources import shard_index
from transmix.data.sources.shard_index import ShardFile, index_shard
from transmix.data.sources.shards import read_shards


def picture(kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, kind)
    return content.getvalue()


def labelled(label: str) -> list[tuple[str, dict[str, bytes]]]:
    return [("k", {"png": picture(), "json": b'{"label": ' + label.encode() + b"}"})]


def huge(path: Path) -> None:
    """A .tar file whose image has 8 GiB, of which the disk holds nothing."""
    member = tarfile.TarInfo("k.png")
    member.size = 8 << 30
    path.write_bytes(member.tobuf())
    os.truncate(path, 512 + member.size)
    with open(path, "ab") as file:
        label = tarfile.TarInfo("k.cls")
        label.size = 1
        file.write(label.tobuf() + b"0".ljust(512, b"\0") + bytes(1024))


@pytest.mark.parametrize(
    "label", ["1e400", "NaN", "9223372036854775808", "1" * 5000, "2.5", "true", "[" * 99999, '"x"']
)
def test_labels_that_are_no_class_numbers(tmp_path, label):
    write_shard(tmp_path / "train.tar", labelled(label))
    with pytest.raises(UserError, match=r"^sample k of shard .*train\.tar has no class number in .*: relabel it$"):
        index_shard(ShardFile(tmp_path / "train.tar"))


def test_labels_as_numbers_are_written(tmp_path):
    for label in ("7", "7.0", '"7"'):
        write_shard(tmp_path / "train.tar", labelled(label))
        assert index_shard(ShardFile(tmp_path / "train.tar"))[0]["label"].tolist() == [7]


def test_members_of_gibibytes(tmp_path):
    huge(tmp_path / "train.tar")
    with pytest.raises(UserError, match=r"sample k of .* has an image of 8,589,934,592 bytes: leave it out"):
        index_shard(ShardFile(tmp_path / "train.tar"))
    write_shard(tmp_path / "val.tar", [("k", {"png": picture(), "cls": b"0" * (shard_index.LABEL_BYTES + 1)})])
    with pytest.raises(UserError, match=r"sample k of shard .* has no class number"):
        index_shard(ShardFile(tmp_path / "val.tar"))


def test_names_without_end(tmp_path):
    write_shard(tmp_path / "train.tar", [("k\n" * 9000, {"cls": b"0"})], format=tarfile.PAX_FORMAT)
    with pytest.raises(UserError) as error:
        index_shard(ShardFile(tmp_path / "train.tar"))
    assert "has no image" in str(error.value)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


def test_pipes_and_nonsense_are_no_shards(tmp_path):
    os.mkfifo(tmp_path / "train.tar")
    with pytest.raises(UserError, match=r"train\.tar is cut off, damaged or not .* \(is no regular file\)"):
        index_shard(ShardFile(tmp_path / "train.tar"))
    (tmp_path / "_info.json").write_text("[" * 99999)
    with pytest.raises(UserError, match="does not describe shards as timm expects"):
        read_shards(tmp_path, tmp_path)


def test_an_image_that_holds_a_program_is_no_image(tmp_path):
    for split in ("train", "val"):
        write_shard(tmp_path / f"{split}.tar", [("k", {"jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n", "cls": b"0"})])
    with pytest.raises(UserError, match=r"^sample k of shard .* has an image that holds no image of the kind that its"):
        read_shards(tmp_path, tmp_path)


def twice(path: Path) -> None:
    path.write_bytes(path.read_bytes() * 2)


def gradient() -> bytes:
    content = io.BytesIO()
    Image.linear_gradient("L").save(content, "PNG")
    return content.getvalue()


EMPTY = {"png": b"", "cls": b"0"}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: write_shard(path, [("k", {"png": gradient()[:-99], "cls": b"0"})]), "is damaged or cut off"),
        (lambda path: write_shard(path, [("k", EMPTY)]), "holds no image"),
        (lambda path: write_shard(path, [("k", EMPTY), ("l", EMPTY)]), "and 1 more"),
        (lambda path: write_shard(path, [("k", {"png": picture(), "PNG": b""})]), "has two files .png: leave one out"),
        (lambda path: twice(write_shard(path, [("k", {"png": picture(), "cls": b"0"})])), "like several .tar files"),
    ],
)
def test_what_would_be_found_in_training_is_found_at_the_start(tmp_path, write, message):
    write(tmp_path / "train.tar")
    with pytest.raises(UserError, match=message) as error:
        index_shard(ShardFile(tmp_path / "train.tar"))
    assert "\n" not in str(error.value)


def test_images_with_holes_are_refused(tmp_path, monkeypatch):
    """Of which `tarfile` tells another size than is there; GNU's tar writes such with ``--sparse``."""
    write_shard(tmp_path / "train.tar", [("k", {"png": picture(), "cls": b"0"})])
    monkeypatch.setattr(tarfile.TarInfo, "issparse", lambda member: member.name == "k.png")
    with pytest.raises(UserError, match="has an image that tar has written with holes"):
        index_shard(ShardFile(tmp_path / "train.tar"))
