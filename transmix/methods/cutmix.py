"""CutMix (Yun et al., ICCV 2019, arXiv 1905.04899): paste a box of the partner, label by the box's area.

As timm 1.0.31 draws it (timm/data/mixup.py): one box and one lambda a batch, centre uniform, clipped at the border,
partner i with N-1-i. Here without Mixup: every mixed batch is a CutMix batch. Costs nothing beside the paste.
``make table2``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="CutMix",
    settings={"mixup_alpha": 0.0},
    tables=("table2",),
    position=10,
    published=("CutMix",),
)
