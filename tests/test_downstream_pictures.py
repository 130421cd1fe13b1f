"""Names in pictures of predictions: beside what they name, and never over one another."""

from __future__ import annotations

from itertools import combinations

from downstream.pictures import ROOM, places


def test_a_name_stays_where_it_is_wanted_if_that_is_free():
    assert places([(40, 100, 50, True), (40, 10, 20, False)], (256, 128)) == [(80, 50 - ROOM / 2), (10, 20)]


def test_a_name_moves_up_or_down_and_stays_inside():
    assert places([(40, 10, 60, False)] * 3, (256, 128)) == [(10, 60), (10, 60 - ROOM), (10, 60 + ROOM)]
    assert places([(40, 240, 200, False)], (256, 128)) == [(216, 128 - ROOM)]


def test_names_without_a_place_are_left_out_the_last_first():
    names = [(60 + number, 7 * number % 90, 11 * number % 128, bool(number % 2)) for number in range(60)]
    found = places(names, (128, 128))
    written = [(*place, name[0]) for place, name in zip(found, names, strict=True) if place is not None]
    assert None not in found[:2]
    assert 5 < len(written) <= 2 * 128 // ROOM
    for (left, top, width), (other, other_top, other_width) in combinations(written, 2):
        assert abs(top - other_top) >= ROOM or left >= other + other_width or other >= left + width
