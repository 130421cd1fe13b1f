"""Figures are drawn once: again only if their data, the code or their files changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from experiments.study import Study
from reports.figures import kept, style
from reports.page.report import build, report_folder, write
from reports.records.collect import collect
from tests.made_up import make_study, write_natural, write_study, write_train

KINDS = ("accuracy", "corruptions", "lambda", "loss", "occlusion", "shuffle")
OTHERS = ("examples", "error_deit_t_large", "error_deit_t_small")
DRAWN = sorted([*OTHERS, *(f"{kind}_deit_t" for kind in KINDS)])


@pytest.fixture
def study(tmp_path: Path) -> Study:
    found = make_study(tmp_path, "--scale", "smoke", "--rows", "deit_t")
    write_study(found, (1.0,))
    return found


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions whose figures were drawn; to save time, the drawings are empty."""
    calls = []

    def draw_figure(inches, paint):
        calls.append(paint.__qualname__.split(".")[0])
        return style.Drawing(f"<svg>{paint.__qualname__}</svg>", paint.__qualname__.encode())

    for module in (style, kept):
        monkeypatch.setattr(module, "draw_figure", draw_figure)
    return calls


def report(study: Study) -> Path:
    return write(build(collect(study)), report_folder(study)).parent / "figures"


def run_of(study: Study, name: str):
    return next(run for run in study.plan() if run.name == name)


def test_nothing_changed_nothing_drawn_and_the_page_stays_the_same(study, drawn):
    figures = report(study)
    assert len(drawn) == len(DRAWN)
    assert sorted(json.loads((figures / kept.MANIFEST).read_text())) == DRAWN
    before = (figures.parent / "index.html").read_bytes()
    drawn.clear()
    report(study)
    assert drawn == []
    assert (figures.parent / "index.html").read_bytes() == before


def test_nothing_changed_nothing_loaded_that_only_drawing_needs(study, drawn):
    report(study)
    where = ["--scale", "smoke", "--rows", "deit_t", "--results", str(study.results), "--data", str(study.data)]
    code = f"import sys; from reports.__main__ import main; sys.argv[1:] = {where}; main(); print([*sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    loaded = out.stdout.splitlines()[-1]
    assert "'reports.figures.training'" in loaded
    for library in ("matplotlib", "pandas", "torch"):
        assert f"'{library}'" not in loaded


def test_a_changed_record_redraws_its_own_figures(study, drawn):
    report(study)
    drawn.clear()
    write_train(run_of(study, "table1.deit_t.transmix.seed0"), 55.0)
    report(study)
    assert Counter(drawn) == {"_history": 1}  # the curve of top-1; the losses are the same
    drawn.clear()
    write_natural(run_of(study, "table5.deit_t.transmix.seed0"), 30.0)
    report(study)
    assert drawn == []  # in no figure


@pytest.mark.parametrize("suffix", ["svg", "png"])
@pytest.mark.parametrize("damage", [os.remove, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_a_damaged_file_is_drawn_again(study, drawn, suffix, damage):
    path = report(study) / f"shuffle_deit_t.{suffix}"
    whole = path.read_bytes()
    drawn.clear()
    damage(path)
    report(study)
    assert drawn == ["_pair"]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("text", ["", "[]", '{"examples": 1}', "\xff", "[" * 100_000])
def test_a_damaged_manifest_costs_only_time(study, drawn, text):
    path = report(study) / kept.MANIFEST
    whole = path.read_bytes()
    drawn.clear()
    path.write_text(text, encoding="latin-1")
    report(study)
    assert len(drawn) == len(DRAWN)
    assert path.read_bytes() == whole


def test_changed_code_redraws_all(study, drawn, monkeypatch):
    report(study)
    drawn.clear()
    monkeypatch.setattr(kept, "_code", lambda: "another version")
    report(study)
    assert len(drawn) == len(DRAWN)


def test_figures_of_records_that_are_gone_are_removed(study, drawn):
    figures = report(study)
    for run in study.plan():
        if run.kind == "occlusion":
            (run.folder / "record.json").unlink()
    report(study)
    left = {path.stem for path in figures.iterdir()} - {"drawn"}
    assert left == {"accuracy_deit_t", "loss_deit_t", "lambda_deit_t", *OTHERS}


def test_figures_drawn_side_by_side_are_the_same(tmp_path, monkeypatch):
    def picture(number: int) -> style.Picture:
        line = np.arange(3) * number

        def paint(figure) -> None:
            figure.subplots().plot(line)

        return style.Picture(f"line{number}", "a line", "", (2, 1), paint)

    kept.write_figures([picture(number) for number in range(3)], tmp_path / "one")
    monkeypatch.setattr(kept, "_MANY", 2)
    kept.write_figures([picture(number) for number in range(3)], tmp_path / "side")
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "side" / path.name).read_bytes() == path.read_bytes(), path.name
    assert len({path.read_bytes() for path in (tmp_path / "one").glob("*.svg")}) == 3
