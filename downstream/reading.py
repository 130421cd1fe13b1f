"""A file that cannot be read ends a run with its name, instead of a traceback or, as OpenCV does it, half an image."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import TRANSFORMS

from experiments.dense.label_maps import NONE, read_labels
from transmix.common.errors import UserError
from transmix.data.opening import UnreadableImage, read_header


class UnreadableFile(UserError):
    """Names the file. From a loader worker it comes as a traceback in a string, whose last line is the message."""

    def __init__(self, message: str) -> None:
        super().__init__(message.strip().splitlines()[-1].removeprefix(f"{__name__}.UnreadableFile: "))


@TRANSFORMS.register_module()
class ReadFile:
    """A loading step of a library that raises `UnreadableFile` for a broken or truncated file.

    Args:
        step: its configuration.
        path: under which key it finds the file's path.
    """

    def __init__(self, step: dict[str, Any], path: str) -> None:
        self.step, self.path = TRANSFORMS.build(step), path

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """What the step makes of `results`."""
        path = results[self.path]
        try:
            check_whole(path)
            return self.step(results)
        except Exception as error:  # decoders fail on broken bytes in every way there is
            raise UnreadableFile(
                f"{path} cannot be read as an image: replace it, then run the same command again"
            ) from error


@TRANSFORMS.register_module()
class ReadLabels:
    """A label map as `experiments.dense.label_maps` reads it; as in mmseg, classes from 0 on and 255 for none."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """`results` with ``gt_seg_map``, (H, W) uint8."""
        path = results["seg_map_path"]
        try:
            labels = read_labels(path)
        except UnreadableImage as error:
            raise UnreadableFile(f"{path} {error}, then run the same command again") from error
        if results["reduce_zero_label"]:
            labels = np.where((labels == 0) | (labels == NONE), NONE, labels - 1).astype(np.uint8)
        if results.get("label_map"):  # from the data set's own classes to those of the configuration
            numbers = np.arange(NONE + 1, dtype=np.uint8)
            for own, given in results["label_map"].items():
                numbers[own] = given
            labels = numbers[labels]
        results["gt_seg_map"] = labels
        results["seg_fields"].append("gt_seg_map")
        return results


def check_whole(path: str | os.PathLike[str]) -> None:
    """Raise if an image file is truncated, which OpenCV would fill with grey.

    Raises:
        OSError: it is, or it is no image of the kind that its name says.
    """
    read_header(path)


def name_unreadable_files(config: Config) -> None:
    """Put `ReadFile` around the loading steps of `config`, and `ReadLabels` in the place of mmseg's."""
    for name in ("train_dataloader", "test_dataloader"):
        config[name].dataset.pipeline = readable(config[name].dataset.pipeline, config.default_scope)


def readable(pipeline: list[Any], library: str) -> list[Any]:
    """A pipeline whose loading steps, also those inside of others, name a file that they cannot read."""
    return [_readable(step, library) for step in pipeline]


def _readable(step: Any, library: str) -> Any:
    if isinstance(step, list | tuple):
        return [_readable(inner, library) for inner in step]
    if step["type"] == "LoadImageFromFile":
        return {"type": "ReadFile", "step": step, "path": "img_path"}
    if step["type"] == "LoadAnnotations" and library == "mmseg":  # mmdet's annotations are in memory
        return {"type": "ReadLabels"}
    return {**step, "transforms": _readable(step["transforms"], library)} if "transforms" in step else step
