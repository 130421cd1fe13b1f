"""TransMix that labels by area for the first epochs, until attention means something.

Five epochs, as long as DeiT's learning rate warms up; ``SET=label_warmup_epochs=20`` for more. Costs what `transmix`
does. ``make table7 METHODS=transmix,transmix_warmup``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix after a warm-up",
    settings={"label_rule": "mean", "label_warmup_epochs": 5},
    tables=("table7",),
    position=36,
)
