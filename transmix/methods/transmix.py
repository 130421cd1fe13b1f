"""TransMix (Chen et al., CVPR 2022): the baseline, with CutMix images labelled by class attention.

Source: Beckschen/TransMix @0e4d31e. Of a CutMix image the partner's share in the label is the mean of the box's area
and of the class attention that falls on it, read from the last block in the same forward pass. Mixup batches keep their
blend. No parameters and no further pass; reading attention costs .006 to .038 % of a forward pass (`make check-paper`).
Expected: +0.7 points of ImageNet top-1 over the baseline (slides, Table 1). ``make table1``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix",
    settings={"label_rule": "mean"},
    tables=("table1", "table2", "table3", "table4", "table5", "occlusion", "lambda"),
    position=30,
    colour="#bf5200",
    published=("TransMix",),
)
