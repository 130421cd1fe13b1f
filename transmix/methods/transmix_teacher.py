"""TransMix by the class attention of a frozen, trained model: how much a student's young attention costs.

Teacher: a weights file, ``SET=teacher=NAME:FILE``; by default the baseline of Table 1, by the same seed. A public
implementation is not known. Costs a forward pass of the teacher on CutMix batches. ``make table7
METHODS=transmix,transmix_teacher``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix, attention of a teacher",
    settings={"label_rule": "mean", "attention_of": "teacher"},
    tables=("table7",),
    position=35,
    passes="a forward pass of a teacher on half of the batches",
    extra_passes=0.5,
)
