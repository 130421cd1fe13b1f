"""Annotations looked at many at a time: the same is found as one by one, whatever they hold."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from unittest import mock

from coco_lists import SIZE, document, square
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.dense.coco_list import read_list
from experiments.dense.ordinary import ordinary
from transmix.common.errors import UserError

NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 63, 64, 65, -64, -65, 128, 129, 1e-12, 0.5, 1e300, 1e400, -1e400, 10**400, 2**53]),
    st.floats(-80, 140, allow_nan=False),
)
OTHERS = st.sampled_from([None, True, "1", [], {}, [[]], float("nan"), "NaN"])
VALUES = NUMBERS | OTHERS
POLYGONS = st.lists(st.lists(VALUES, max_size=9) | st.lists(NUMBERS, min_size=6, max_size=8) | OTHERS, max_size=3)
SQUARES = st.builds(square, *[st.floats(-2, 66, allow_nan=False).map(lambda x: round(x, 2))] * 4).map(
    lambda part: [part]
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "id": VALUES,
        "image_id": VALUES,
        "category_id": VALUES,
        "iscrowd": VALUES,
        "ignore": VALUES,
        "area": VALUES,
        "bbox": st.lists(VALUES, min_size=3, max_size=5) | OTHERS,
        "segmentation": POLYGONS | SQUARES | OTHERS,
    },
)


def found(listed: dict[str, Any]) -> Any:
    """All that reading a list says and leaves."""
    try:
        read = read_list(Path("list.json"), json.dumps(listed).encode())
    except UserError as error:
        return str(error)
    return read.document(), read.mended, read.notes.lines()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(CHANGES, min_size=4, max_size=4), st.sets(st.sampled_from(["id", "iscrowd", "area", "bbox"])))
def test_any_annotations_are_found_to_be_the_same_as_one_by_one(changes, missing):
    listed = document()
    for entry, change in zip(listed["annotations"], changes, strict=True):
        entry.update(change)
    for key in missing:
        listed["annotations"][0].pop(key)
    together = found(copy.deepcopy(listed))
    with mock.patch("experiments.dense.coco_list.ordinary", lambda entries, *_: ([False] * len(entries), 0.0)):
        assert together == found(listed)


def test_usual_annotations_are_ordinary():
    listed = document()
    assert ordinary(listed["annotations"], {0: SIZE, 1: SIZE}, {3, 4}) == ([True] * 4, 50.0)
