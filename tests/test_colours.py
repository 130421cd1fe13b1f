"""Colours of figures: told apart with every common colour blindness, on both grounds, and one for every method."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reports.figures import colours
from reports.figures.colours import BLUE, ORANGE, PALETTE, dark, darkened, linear, method_colours, to_oklab
from transmix.methods import methods

# what dichromats see of linear sRGB (Machado, Oliveira and Fernandes 2009, severity 1)
SEEN = {
    "all colours": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
@pytest.mark.parametrize("ground", [str, dark], ids=["light", "dark"])
def test_any_two_colours_of_the_palette_are_told_apart(seen, ground):
    lab = [to_oklab(np.clip(seen @ linear(ground(colour)), 0, 1)) for colour in PALETTE]
    apart = [np.linalg.norm(one - other) for one, other in itertools.combinations(lab, 2)]
    assert min(apart) > 0.05  # a step that can just be seen is about 0.02


def test_a_dark_page_keeps_the_hue():
    for colour in PALETTE:
        (_, *before), (_, *after) = (to_oklab(linear(one)) for one in (colour, dark(colour)))
        assert np.dot(before, after) / np.linalg.norm(before) / np.linalg.norm(after) > 0.99


def test_methods_have_the_colours_they_declare_and_the_others_the_next_of_the_palette():
    found = method_colours()
    assert found.keys() == methods().keys()
    assert (found["baseline"], found["transmix"]) == (BLUE, ORANGE)
    others = [found[name] for name, method in methods().items() if not method.colour]
    assert others == [PALETTE[2 + place % 5] for place in range(len(others))]
    assert colours.colour_of("nothing declared") == colours.MUTED


def test_only_the_figures_own_colours_change_on_a_dark_page():
    assert darkened(f"{BLUE} #123456 {colours.INK}") == f"{dark(BLUE)} #123456 #e8eaed"
