"""Fine-tune a row for semantic segmentation: Table 3."""

from __future__ import annotations

from experiments.kinds._fine_tuning import PICTURE, fine_tuning

__all__ = ["KIND", "PICTURE"]

KIND = fine_tuning("segmentation", position=40)
