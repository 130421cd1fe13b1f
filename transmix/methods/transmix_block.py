"""TransMix by the class attention of the last block but one.

Of the blocks that have class attention: CaiT and XCiT have two, so there it is the first. Costs what `transmix` does.
Other blocks: ``SET=attention_block=0``. ``make table7 METHODS=transmix,transmix_block``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix, last but one block",
    settings={"label_rule": "mean", "attention_block": -2},
    tables=("table7",),
    position=32,
)
