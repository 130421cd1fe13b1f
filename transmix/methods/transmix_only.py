"""TransMix with CutMix in all batches, to be compared with `cutmix`: only the labels differ.

Costs what `transmix` does. ``make table7 METHODS=cutmix,transmix_only``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix without Mixup",
    settings={"label_rule": "mean", "mixup_alpha": 0.0},
    tables=("table7",),
    position=38,
)
