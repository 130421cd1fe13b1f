"""LaTeX: what is escaped, and that all tables compile where a TeX is at hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.formats.render import latex_text, to_latex
from reports.formats.table import NOT_RUN, Cell, Column, Table, missing
from reports.page.report import build, report_folder, write
from reports.records.collect import collect
from tests.made_up import make_study, write_study

DOCUMENT = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{booktabs,graphicx}
\begin{document}
%s
\end{document}
"""
SPECIAL = "\\ ~ ^ & % $ # _ { } < > | \" ' ` − ± → ↑ ↓ λ – “ ” ’ × ⁹ é 猫"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & c%", r"a\_b \& c\%"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("2^10 ~ $3 #4", r"2\textasciicircum{}10 \textasciitilde{} \$3 \#4"),
        ("−1.5 ± 0.2", r"$-$1.5 $\pm$ 0.2"),
        ("10⁹ × λ’s", r"10$^{9}$ $\times$ $\lambda$'s"),
        ("<a|b>", r"\textless{}a\textbar{}b\textgreater{}"),
        ("[1]", "{[}1{]}"),  # after \\ a bracket would be an argument
        ("café 猫", "café {[}U+732B{]}"),
    ],
)
def test_what_latex_would_read_is_escaped(text, expected):
    assert latex_text(text) == expected


def odd() -> Table:
    """A table of everything that could go wrong, with a group and without."""
    columns = (Column("name", SPECIAL, align="left"), Column("one", "A", SPECIAL), Column("two", "B", SPECIAL))
    cell = Cell(SPECIAL)
    rows = ({"name": cell, "one": cell, "two": cell}, {"name": cell, "one": missing(NOT_RUN), "two": missing(NOT_RUN)})
    bracket = {name: Cell("[2pt]") for name in ("name", "one", "two")}
    return Table("odd_table", SPECIAL, columns, (*rows, bracket), (SPECIAL, SPECIAL))


def test_every_special_character_is_spelled_in_ascii():
    tex = to_latex(odd())
    assert {character for character in tex if not character.isascii()} == {"é"}
    assert not re.search(r"(?<!\\)[#%](?!.*do not edit)", tex.split("\n", 1)[1].replace("{%", ""))
    assert r"\label{tab:odd_table}" in tex


def test_all_tables_compile(tmp_path):
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("no pdflatex on this machine (Debian: texlive-latex-recommended)")
    (tmp_path / "odd.tex").write_text(to_latex(odd()))
    files = [tmp_path / "odd.tex"]
    for name, gains in (("full", (1.0, 2.0)), ("empty", ())):
        study = make_study(tmp_path / name, "--scale", "tiny", "--seeds", "2")
        if gains:
            write_study(study, gains)
        write(build(collect(study)), report_folder(study))
        files += sorted(report_folder(study).glob("*.tex"))
    assert len(files) > 10
    (tmp_path / "all.tex").write_text(DOCUMENT % "\n".join(rf"\input{{{path}}}\clearpage" for path in files))
    command = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert "Missing character" not in log
    assert not re.search(r"LaTeX Warning: (?!There were undefined|Label)", log), log
    assert (tmp_path / "all.pdf").stat().st_size > 10_000
    assert Path(tmp_path / "all.aux").read_text().count("newlabel{tab:") >= len(files) - 5
