"""Oracle: the baseline, with CutMix images labelled by the objects' visible pixels.

Needs object masks, which the embedded scenes have: a ceiling for what any label rule can bring. Not in the paper.
``make table2 SCALE=lab``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="Oracle", settings={"label_rule": "oracle"}, tables=("table2", "table5", "occlusion"), position=40
)
