"""timm's data set, as strict as the suite needs it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from timm.data import ImageDataset

logging.getLogger("timm.data.dataset").setLevel(logging.ERROR)  # it would log what the run's own error line says


class StrictImages(ImageDataset):
    """timm's data set by index, except that an image that cannot be read is an error.

    timm would put the next image in its place. Arguments are `ImageDataset`'s.
    """

    folder: Path | None = None

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(root, **options)
        self._max_retries = 1
