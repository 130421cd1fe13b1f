"""TransMix with CutMix in 80 % of the batches instead of half.

What the official configuration of DeiT-B has, and DeiT-S's means to have (its key is misspelt and not read). Costs what
`transmix` does. ``make table7 METHODS=transmix,transmix_switch_80``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix, 80 % CutMix",
    settings={"label_rule": "mean", "mixup_alpha": 0.8, "switch_prob": 0.8},
    tables=("table7",),
    position=37,
)
