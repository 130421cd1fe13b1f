"""Parts of the reports on their own: statistics, formats, pictures, imports."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from reports.analysis.arms import arm, seeds_text
from reports.analysis.statistics import Estimate
from reports.analysis.words import gain_text, interval_text, number, plural, title_list
from reports.figures.colours import BLUE
from reports.figures.examples import Example
from reports.figures.style import Picture
from reports.formats.render import (
    latex_text,
    markdown_code,
    markdown_text,
    print_table,
    to_csv,
    to_latex,
    to_markdown,
)
from reports.formats.table import MEASURED, Cell, Column, Source, Table, missing
from reports.page.provenance import duration
from reports.records.collect import collect
from tests.made_up import make_study, write_study
from transmix.common.errors import UserError


def test_numbers_in_words():
    assert number(-1.005, 1) == "−1.0"
    assert number(0.25, sign=True) == "+0.25"
    assert (number(-0.004), number(-0.004, sign=True), number(-0.006)) == ("0.00", "+0.00", "−0.01")
    assert plural(1, "seed") == "1 seed"
    assert plural(1200, "seed") == "1,200 seeds"
    assert gain_text(Estimate(-0.5, 0.25, 3)) == "−0.50 ± 0.25"
    assert interval_text(Estimate(-0.5, 0.25, 3)).endswith("−0.75 to −0.25, excludes zero")
    assert interval_text(Estimate(0.5, None, 2)) == "all 2 seeds give the same, so that there is no interval"
    assert interval_text(Estimate(0.5, 0.5, 3)).endswith("+0.00 to +1.00, includes zero")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.44, "8.4 s"), (60, "1 min 00 s"), (725, "12 min 05 s"), (3600, "1 h 00 min"), (11_229, "3 h 07 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


TABLE = Table(
    "demo",
    "A_caption",
    (Column("name", "Model", align="left"), Column("a", "A (%)", MEASURED), Column("b", "B", MEASURED)),
    (
        {"name": Cell("x_y"), "a": Cell("1.0", "measured", (Source("run-1", 4),), links=True), "b": Cell("2")},
        {"name": Cell("a|b"), "a": missing("not run"), "b": missing("not run")},
    ),
    ("100 % sure",),
)


def test_markdown():
    assert to_markdown(TABLE).splitlines() == [
        "| Model | measured here: A (%) | measured here: B |",
        "| :--- | ---: | ---: |",
        r"| x\_y | 1.0 <sub>[4](../run-1/record.json)</sub> | 2 |",
        r"| a\|b | *not run* | *not run* |",
    ]
    assert markdown_text("<b>*") == r"\<b>\*"
    one = Table("demo", "", (Column("a", "A", "CPU | GPU"),), ({"a": Cell("1")},))
    assert to_markdown(one).splitlines()[0] == r"| CPU \| GPU: A |"  # a heading holds the names of devices
    assert markdown_code("run --data /a") == "`run --data /a`"
    assert markdown_code("run '`'") == "`` run '`' ``"


def test_latex():
    lines = to_latex(TABLE).splitlines()
    assert r" & \multicolumn{2}{c}{measured here} \\" in lines
    assert r"\cmidrule(lr){2-3}" in lines
    assert r"x\_y & 1.0 & 2 \\" in lines
    assert r"a\textbar{}b & \multicolumn{2}{c}{\textit{not run}} \\" in lines
    assert r"\caption{A\_caption}" in lines
    assert r"\par\smallskip{\footnotesize\raggedright 100 \% sure\par}" in lines
    assert latex_text("−1 ± 2 \\ {λ}") == r"$-$1 $\pm$ 2 \textbackslash{} \{$\lambda$\}"


def test_csv_quotes_what_it_must():
    assert to_csv([{"a": "x,y", "b": 1.5}]) == 'a,b\n"x,y",1.5\n'
    assert to_csv([{"a": "é \udcff"}]) == "a\né \\udcff\n"


def test_cells_merge_only_within_a_group():
    columns = (Column("a", "A", "one"), Column("b", "B", "one"), Column("c", "C", "two"))
    row = {"a": missing("not run"), "b": missing("not run"), "c": missing("not run")}
    table = Table("demo", "", columns, (row,))
    assert [span for _, _, span in table.merged(row)] == [2, 1]
    assert table.groups == [("one", 2), ("two", 1)]


def test_attention_is_shown_where_it_is():
    attention = np.zeros((2, 2), np.float32)
    attention[0, 1] = 1
    grey = np.full((8, 8, 3), 128, np.uint8)
    example = Example(grey, grey, grey, (2, 6, 0, 4), attention, {}, "own", "partner")
    brightness = example.attended.astype(int).sum(2)
    looked = brightness[:4, 4:]
    assert (looked == looked[0, 0]).all()  # one flat square a token
    assert brightness[4:].max() < looked.min() / 2
    assert example.outline == (25.0, 0.0, 50.0, 50.0)


def test_pictures_are_light_and_dark_and_take_any_text():
    def paint(figure):
        figure.subplots().plot([0, 1], color=BLUE, label="x")
        figure.text(0.1, 0.1, "a$b 猫")

    picture = Picture("demo", "alt", "caption", (2, 1), paint)
    assert picture.png.startswith(b"\x89PNG")
    assert "a$b 猫" in picture.svg
    assert BLUE in picture.svg
    assert BLUE not in picture.dark_svg
    assert Picture("demo", "alt", "caption", (2, 1), paint).drawing == picture.drawing


def test_unknown_table_is_one_line(monkeypatch):
    from reports.__main__ import main

    monkeypatch.setattr(sys, "argv", ["reports", "--table", "tabel1"])
    with pytest.raises(UserError, match="unknown table 'tabel1': did you mean 'table1'"):
        main()


def test_a_folder_that_cannot_be_written_is_one_line_before_figures_are_drawn(tmp_path, monkeypatch):
    from reports.__main__ import main

    monkeypatch.setattr("reports.page.report.build", lambda collected: pytest.fail("the page was built"))
    (tmp_path / "tiny").write_text("a file where the folder should be")
    monkeypatch.setattr(sys, "argv", ["reports", "--results", str(tmp_path)])
    with pytest.raises(UserError, match=r"cannot write .*/report: not a directory"):
        main()


def test_reports_import_no_torch():
    code = (
        "import pkgutil, importlib, sys, reports\n"
        "for module in pkgutil.iter_modules(reports.__path__): importlib.import_module(f'reports.{module.name}')\n"
        "heavy = {'torch', 'torchvision', 'timm', 'mmcv', 'mmengine', 'mmseg', 'mmdet'}\n"
        "print(*heavy & {name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_titles_with_commas_are_quoted_once_and_each_title_comes_once():
    titles = ["CutMix", "TransMix, one head", "“TransMix, 50 % CutMix”", "CutMix"]
    assert title_list(titles) == "CutMix, “TransMix, one head”, “TransMix, 50 % CutMix”"
    assert title_list([]) == ""


def test_seeds_of_several_methods_are_one_number_two_or_a_range(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    done, none = arm(collect(study), "deit_t", "transmix"), arm(collect(study), "xcit_t", "transmix")
    arms = [done, done, none]
    assert (seeds_text(*arms[:2]), seeds_text(*arms[1:]), seeds_text(*arms)) == ("1", "1 and 0", "0 to 1")


def test_a_narrow_terminal_breaks_no_word_and_says_what_it_leaves_out(monkeypatch, capsys):
    groups = {"detail": MEASURED, "gain": MEASURED, "theirs": "published runs of this suite: scale desk"}
    columns = [Column("name", "Method", align="left")]
    columns += [Column(key, key.title(), group) for key, group in groups.items()]
    row = {"name": Cell("Attentive CutMix of SaliencyMix"), "detail": Cell("parameters"), "gain": Cell("+1.25 ± 0.50")}
    table = Table("made_up", "A caption.", tuple(columns), (row | {"theirs": Cell("+0.75")},))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = {}
    for width in (80, 40, 26):
        monkeypatch.setenv("COLUMNS", str(width))
        print_table(table, details=("detail",))
        shown[width] = re.sub("\x1b.*?m", "", capsys.readouterr().out)
        assert max(map(len, shown[width].splitlines())) <= width
        assert {"Attentive", "SaliencyMix", "+1.25"} <= {*shown[width].split()}
    assert "Not shown" not in shown[80]
    assert "want of width: Detail." in " ".join(shown[40].split())
    assert "want of width: Detail; published runs of this suite: scale desk." in " ".join(shown[26].split())
