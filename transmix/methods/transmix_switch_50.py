"""TransMix with CutMix in half of the batches and Mixup in the other half.

What DeiT's recipe has, and what the official code really runs for DeiT-S. In a study whose batches are all CutMix it
shows what Mixup beside it is worth. Costs what `transmix` does. ``make table7 METHODS=transmix,transmix_switch_50``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix, 50 % CutMix",
    settings={"label_rule": "mean", "mixup_alpha": 0.8, "switch_prob": 0.5},
    tables=("table7",),
    position=37,
)
