"""Settings of a training and of a fine-tuning as they may be, from which tests change some."""

from __future__ import annotations

from experiments.protocols import FineTuning
from experiments.scales import SCALES

SMOKE = SCALES["smoke"].recipe("deit_t", "baseline")
TUNING = FineTuning("ade20k/upernet_deit", 8, 1e-3, (64, 64), iterations=2)
