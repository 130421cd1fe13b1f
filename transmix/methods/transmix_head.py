"""TransMix by the first head of the last block instead of the mean over all.

Costs what `transmix` does. Other heads: ``SET=attention_head=1``. ``make table7 METHODS=transmix,transmix_head``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix, one head",
    settings={"label_rule": "mean", "attention_head": 0},
    tables=("table7",),
    position=33,
)
