"""The setting that says where the images come from. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from transmix.common.errors import UserError, unknown_name
from transmix.data.sources.listing import split_folder
from transmix.data.sources.source import SPLITS
from transmix.recipe import fingerprint

TORCHVISION = {  # timm's name: the folder that torchvision looks for
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "mnist": "MNIST/raw",
    "kmnist": "KMNIST/raw",
    "fashion_mnist": "FashionMNIST/raw",
}
KINDS = ("torch", "wds", "hfds")
NAMED = re.compile(r"(\w+)(?:/([^:]*))?:(.+)")
STREAMS = ("hfids", "tfds")  # timm knows them too


@dataclass(frozen=True)
class SourceSpec:
    """A folder of class folders, or ``NAME:PATH`` with timm's name of a data set.

    ==========================  ==================================================================================
    ``PATH``                    class folders, ``PATH/{train,val}/<class>/<image>``
    ``torch/cifar100:PATH``     torchvision's files of one of `TORCHVISION`, where torchvision looks for them
    ``wds/imagenet:PATH``       uncompressed .tar shards; the name after ``wds/`` is free and may be left out
    ``hfds/OWNER/SET:PATH``     what ``datasets.load_dataset("OWNER/SET", cache_dir=PATH)`` has left in PATH
    ``hfds:PATH``               a data set in files that ``load_dataset(PATH)`` reads, e.g. parquet
    ==========================  ==================================================================================

    Attributes:
        kind: one of `KINDS`; empty for class folders.
        name: what follows the kind, e.g. ``cifar100``; may be empty.
        path: a local folder.
        subset: the list whose classes are read of class folders (`transmix.data.sources.class_lists`); empty for all.
    """

    kind: str
    name: str
    path: Path
    subset: str = ""

    @classmethod
    def parse(cls, text: str) -> SourceSpec:
        """Read the setting.

        A folder whose own name has a colon is written with a slash or dot in front, ``./a:b``.

        Raises:
            UserError: the kind, or torchvision's set, is unknown.
        """
        named = NAMED.fullmatch(text)
        if named is None:
            return cls("", "", Path(text))
        kind, name, path = named[1].lower(), named[2] or "", Path(named[3])
        if kind in STREAMS:
            raise UserError(
                f"{kind} is a stream, which cannot be continued exactly: use class folders, {', '.join(KINDS)}"
            )
        if kind not in KINDS:
            raise unknown_name("kind of data set", kind, KINDS)
        if kind == "torch" and (name := name.lower()) not in TORCHVISION:
            raise unknown_name("data set of kind torch", name, TORCHVISION)
        return cls(kind, name, path)

    def __str__(self) -> str:
        if self.kind:
            return f"{self.title}:{self.path}"
        return f"./{self.path}" if NAMED.fullmatch(str(self.path)) else str(self.path)

    @property
    def title(self) -> str:
        """What it is, without where it is: ``class folders``, ``torch/cifar100``, ``wds``."""
        named = "/".join(filter(None, (self.kind, self.name))) or "class folders"
        return f"{named}, {self.subset}" if self.subset else named

    @property
    def identity(self) -> str:
        """Tells it from other data in the name of a file: ``cifar100-1f0c2a``."""
        whole = SourceSpec(self.kind, self.name, self.path.absolute())
        name = self.subset or self.name.rpartition("/")[2] or whole.path.name
        return f"{name}-{fingerprint(str(whole) + self.subset)[:6]}"

    @property
    def expected(self) -> str:
        """What its folder should hold."""
        if self.kind == "torch":
            return f"{TORCHVISION[self.name]}/ as torchvision unpacks it"
        if self.kind == "wds":
            return "_info.json and its .tar shards, or train/*.tar and val/*.tar, or *-train-*.tar and *-val-*.tar"
        if self.kind == "hfds" and self.name:
            return f"what load_dataset({self.name!r}, cache_dir=...) left"
        if self.kind == "hfds":
            return "files that load_dataset reads, e.g. parquet"
        return "train/<class>/*.JPEG and val/<class>/*.JPEG"

    def check(self) -> None:
        """Raise `UserError` if the folder is not there."""
        if not self.path.is_dir():
            raise UserError(f"no such data folder: {self.path} (it should hold {self.expected})")

    def check_splits(self) -> None:
        """Raise `UserError` if one of class folders' splits is not there."""
        for split in () if self.kind else SPLITS:
            split_folder(self.path, split)
