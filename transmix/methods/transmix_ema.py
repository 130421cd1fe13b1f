"""TransMix by the class attention of a moving average of the student, which is steadier than its own.

The average looks at the mixed batch, too; it labels, what is trained and reported stays the student. A public
implementation is not known. Costs a forward pass of the average on CutMix batches. ``make table7
METHODS=transmix,transmix_ema``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix, attention of the average",
    settings={"label_rule": "mean", "attention_of": "ema", "ema_decay": 0.999, "ema_warmup": True},
    tables=("table7",),
    position=34,
    passes="a forward pass of the moving average on half of the batches",
    extra_passes=0.5,
)
