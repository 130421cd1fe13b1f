"""``python -m experiments methods``: the cards, and the contact sheet."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from experiments import __main__ as experiments
from experiments import method_sheet
from transmix.common.errors import UserError
from transmix.methods import methods

SHOWN = ("none", "cutmix", "resizemix", "smmix")


def command(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["experiments", "methods", *arguments])
    experiments.main()


def test_every_method_has_its_card(monkeypatch, capsys):
    command(monkeypatch)
    printed = capsys.readouterr().out
    for name, method in methods().items():
        assert f"{name}: {method.title}\n" in printed
        assert method.card.splitlines()[0] in printed


def test_one_card_with_its_options(monkeypatch, capsys):
    command(monkeypatch, "gridmix")
    printed = capsys.readouterr().out
    assert "FMix" not in printed
    assert "options: variant=('openmixup', 'official')" in printed
    with pytest.raises(UserError, match="unknown method 'gridmx': did you mean 'gridmix'"):
        command(monkeypatch, "gridmx")
    with pytest.raises(UserError, match=r"unknown method 'nosuch': known: attentivemix, baseline, .*, none, oracle, "):
        command(monkeypatch, "nosuch")


def test_the_sheet_has_a_row_a_method_whose_mask_says_what_is_mixed(monkeypatch, tmp_path, capsys):
    made = {}

    def keep(name, *given):
        made[name] = real(name, *given)
        return made[name]

    real = method_sheet.sample
    monkeypatch.setattr(method_sheet, "sample", keep)
    monkeypatch.setattr(method_sheet, "methods", lambda: {name: methods()[name] for name in SHOWN})
    path = tmp_path / "sheet.png"
    command(monkeypatch, "--sheet", str(path))
    assert capsys.readouterr().out.startswith(f"wrote {path}: an untrained model looks on")
    with Image.open(path) as sheet:
        assert sheet.height > len(SHOWN) * 128
    own, partner, mixed, mask = made["cutmix"].tiles
    pasted = mask.any(-1)
    assert np.array_equal(mixed, np.where(pasted[..., None], partner, own))
    assert made["cutmix"].area == pytest.approx(pasted.mean(), abs=1e-6)
    assert made["cutmix"].lam == pytest.approx(made["cutmix"].area)
    assert 0 <= made["cutmix"].truth <= 1
    assert made["resizemix"].truth is None  # what is seen there is not what the masks say
    assert made["none"].area == 0
