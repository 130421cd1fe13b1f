"""Where the images come from: four kinds of data set, one setting (`SourceSpec`), one interface (`ImageSource`).

Every kind is read by index, not as a stream: that a run continues exactly where it stopped, draws the same batches
with any number of loader workers, and evaluates each image exactly once, all rests on asking for image i at any time.
Nothing is downloaded. Standard library only, until a source is read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transmix.data.sources.source import Images, ImageSource, check_class_order, note_on_classes
from transmix.data.sources.spec import SourceSpec

__all__ = ["ImageSource", "Images", "SourceSpec", "read_source"]


def read_source(spec: SourceSpec, cache: Path) -> ImageSource:
    """List and check a data set.

    Args:
        spec: which one, and where.
        cache: folder for what is worth keeping between runs: the index of shards, and what was found whole.

    Raises:
        UserError: what is missing, damaged or contradicts itself, in one line.
    """
    spec.check()
    if spec.kind == "torch":
        from transmix.data.sources.torchvision_sets import read_torchvision

        source = read_torchvision(spec.name, spec.path, cache)
    elif spec.kind == "wds":
        from transmix.data.sources.shards import read_shards

        source = read_shards(spec.path, cache)
    elif spec.kind == "hfds":
        from transmix.data.sources.hugging_face import read_hugging_face

        source = read_hugging_face(spec.name, spec.path, cache)
    else:
        from transmix.data.sources.folders import read_folders

        source = read_folders(spec.path, cache, spec.subset)
    check_class_order(spec.path, source.classes)
    return replace(source, notes=source.notes + note_on_classes(spec.path, source.classes))
