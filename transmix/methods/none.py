"""No mixing: images and labels as they are, smoothed.

Shows whether mixing helps at all in a study: where it does not, as in short trainings, label rules cannot be told
apart. Costs nothing. ``make table2``.
"""

from __future__ import annotations

from transmix.methods import Method

METHOD = Method(
    title="No mixing",
    settings={"mix_prob": 0.0},
    tables=("table2",),
    position=0,
    published=("Vanilla",),
)
