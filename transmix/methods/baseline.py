"""Mixup and CutMix by turns: DeiT's recipe, and what the paper compares TransMix with.

Mixup: Zhang et al., ICLR 2018, arXiv 1710.09412. Drawn as timm 1.0.31 does (timm/data/mixup.py); a CutMix batch comes
with probability ``switch_prob``. Labels by area, Mixup's by its blend. Table 1 of the slides gives its top-1 for every
row. ``make table1``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="Mixup + CutMix",
    settings={},
    tables=("table1", "table2", "table3", "table4", "table5", "occlusion"),
    position=20,
    colour="#0072b2",
    published=("DeiT", "DeiT=MixUp+CutMix", "baseline (TransMix slides)", "baseline (TL-Align README)"),
)
