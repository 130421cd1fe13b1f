"""TransMix by Algorithm 1 of the slides: labels by the share of class attention alone, without the area.

The official code, and so `transmix`, takes the mean of both. Costs what `transmix` does. ``make table7
METHODS=transmix,transmix_attention``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="TransMix, attention alone",
    settings={"label_rule": "attention"},
    tables=("table7",),
    position=31,
)
