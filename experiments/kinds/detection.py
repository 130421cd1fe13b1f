"""Fine-tune a row for detection and instance segmentation: Table 4."""

from __future__ import annotations

from experiments.kinds._fine_tuning import PICTURE, fine_tuning

__all__ = ["KIND", "PICTURE"]

KIND = fine_tuning("detection", position=50)
