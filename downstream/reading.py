"""A file that cannot be read ends a run with its name, instead of a traceback or, as OpenCV does it, half an image."""

from __future__ import annotations

import os
from typing import Any

from mmengine.config import Config
from mmengine.registry import TRANSFORMS
from PIL import Image

from transmix.common.errors import UserError

FILES = {"LoadImageFromFile": "img_path", "LoadAnnotations": "seg_map_path"}  # steps, and where they find the path
ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}  # how JPEG and PNG begin and end; inside, they hold no end
TAIL = 1024  # bytes at the end of a file in which the end is looked for


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


def check_whole(path: str | os.PathLike[str]) -> None:
    """Raise if an image file is truncated, which OpenCV would fill with grey.

    Raises:
        OSError: it is, or it is no image. Pillow decides, but is not asked where the file ends as it should.
    """
    with open(path, "rb") as file:
        begin = file.read(2)
        file.seek(max(0, os.path.getsize(path) - TAIL))
        if begin in ENDS and ENDS[begin] in file.read():
            return
    with Image.open(path) as image:
        image.load()


def name_unreadable_files(config: Config) -> None:
    """Put `ReadFile` around the loading steps of `config`."""
    segments = config.default_scope == "mmseg"  # mmdet's annotations are in memory
    for name in ("train_dataloader", "test_dataloader"):
        dataset = config[name].dataset
        dataset.pipeline = [
            {"type": "ReadFile", "step": step, "path": FILES[step["type"]]}
            if step["type"] == "LoadImageFromFile" or (segments and step["type"] in FILES)
            else step
            for step in dataset.pipeline
        ]
