"""Hugging Face data sets that are on this machine, through timm's reader. Needs the package ``datasets``.

The library is told to stay offline. From version 4 on it runs no code that comes with a data set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from transmix.common.errors import UserError
from transmix.data.copies import Pictures, describe_copies
from transmix.data.remembered import remembered
from transmix.data.sources.images import StrictImages
from transmix.data.sources.source import SPLITS, ImageSource, check_labels, digest, find_split, numbered_classes
from transmix.data.sources.spec import SourceSpec

if TYPE_CHECKING:
    from pyarrow import ChunkedArray

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")  # the last is CIFAR-100's


class Rows(StrictImages):
    """One split, as timm reads it.

    Args:
        name: what `load_dataset` calls the data set.
        cache: its ``cache_dir``.
        split: as the data set calls it.
        image: the column of images.
        label: the column of class numbers.
    """

    def __init__(self, name: str, cache: Path, split: str, image: str, label: str) -> None:
        super().__init__(str(cache), reader=f"hfds/{name}", split=split, input_key=image, target_key=label)
        self.name, self.split = name, split
        table = self.reader.dataset.data
        self.labels, self.encoded = table.column(label).to_numpy(), table.column(image)

    def filename(self, index: int, basename: bool = False, absolute: bool = False) -> str:
        """Rows have no file names: the place in the split."""
        return f"image {index} of {self.split} in {self.name}"

    def pictures(self) -> Pictures:
        """What tells copies among them; rows that name a file, instead of holding an image, are not compared."""
        paths = [path or "" for path in _field(self.encoded, "path").to_pylist()]
        return Pictures(
            sizes=_sizes(self.encoded).to_pylist(),
            digest=lambda index: hashlib.sha256(self.encoded[index]["bytes"].as_py()).digest(),
            name=self.filename,
            usual=lambda index: paths[index].rpartition("/")[2],
            labels=self.labels.tolist(),
        )


def read_hugging_face(name: str, path: Path, cache: Path) -> ImageSource:
    """Read a data set of the Hub from its cache, or one that lies in files.

    The fingerprint covers class names, labels and the size of every encoded image.

    Args:
        name: as the Hub calls it; empty for a data set in files.
        path: the Hub's cache, or the folder of the files.
        cache: where files are converted to Arrow, as the library does with all but Arrow files, and where it is kept
            which images are there twice.

    Raises:
        UserError: ``datasets`` is not installed, the data set cannot be loaded, or it has no column of images or of
            class numbers.
    """
    datasets = _library()
    spec = SourceSpec("hfds", name, path)
    name, arrow = (name, path) if name else (str(path.absolute()), cache)
    try:
        found = datasets.load_dataset(name, cache_dir=str(arrow))
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} should hold {spec.expected}, but cannot be loaded as that: {reason}") from error
    splits = {}
    for split in SPLITS:
        title = find_split(split, found)
        if title is None:
            raise UserError(f"{spec} has no split {' or '.join(SPLITS[split])}, only {', '.join(found)}")
        features = found[title].features
        image, label = (_column(spec, columns, features) for columns in (IMAGE_COLUMNS, LABEL_COLUMNS))
        splits[split] = Rows(name, arrow, title, image, label)
        if splits[split].labels.dtype.kind not in "iu":
            raise UserError(f"column {label} of {spec} holds no class numbers: convert it with class_encode_column")
    labels = {split: rows.labels for split, rows in splits.items()}
    classes = tuple(getattr(features[label], "names", None) or numbered_classes(labels["train"]))
    check_labels(path, classes, labels)
    counts = {split: len(rows) for split, rows in splits.items()}
    sizes = [_sizes(rows.encoded).to_numpy() for rows in splits.values()]
    fingerprint = digest(classes, *labels.values(), *sizes)

    def check() -> dict[str, Any]:
        return {"notes": describe_copies(*(rows.pictures() for rows in splits.values()))}

    notes = tuple(remembered(cache, "copies", fingerprint, check)["notes"])
    return ImageSource(classes, counts, fingerprint, splits.__getitem__, notes)


def _library() -> ModuleType:
    try:
        import datasets
    except ImportError:
        datasets = None
    if datasets is None or int(datasets.__version__.split(".")[0]) < 4:
        raise UserError("hfds needs the package datasets, 4 or later: .venv/bin/uv pip install 'datasets>=4'")
    datasets.config.HF_HUB_OFFLINE = True
    datasets.utils.logging.set_verbosity_error()  # it would warn that it is offline
    return datasets


def _column(spec: SourceSpec, usual: tuple[str, ...], columns: Collection[str]) -> str:
    for name in usual:
        if name in columns:
            return name
    raise UserError(f"{spec} has no column {' or '.join(usual)}, only {', '.join(columns)}: rename the right one")


def _field(images: ChunkedArray, name: str) -> ChunkedArray:
    import pyarrow.compute

    return pyarrow.compute.struct_field(images, name)


def _sizes(images: ChunkedArray) -> ChunkedArray:
    import pyarrow.compute

    return pyarrow.compute.binary_length(_field(images, "bytes"))
