"""A `Table` as Markdown, LaTeX and terminal text. (HTML is in ``templates/page.html``.)"""

from __future__ import annotations

import csv
import io
import re
import sys
import unicodedata
from collections.abc import Collection, Iterator
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from reports.formats.table import Cell, Column, Table
from transmix.common.text import printable, printable_lines

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "[": "{[}",  # after a line's end it would begin an argument
    "]": "{]}",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "λ": r"$\lambda$",
    "–": "--",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "\N{NO-BREAK SPACE}": "~",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def latex_text(text: str) -> str:
    """`text` with everything escaped that LaTeX would read as a command, or that its usual fonts lack."""
    return "".join(_latex_character(character) for character in text)


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if unicodedata.decomposition(character).startswith("<super>"):
        return f"$^{{{unicodedata.normalize('NFKC', character)}}}$"
    known = character.isascii() or (character <= "ÿ" and character.isalpha())
    return character if known else f"{{[}}U+{ord(character):04X}{{]}}"


def markdown_text(text: str) -> str:
    """`text` with everything escaped that would end a table cell or start HTML or emphasis."""
    text = printable(text)
    for character in "\\|<*_`[":
        text = text.replace(character, f"\\{character}")
    return text


def markdown_code(text: str) -> str:
    """`text` as code: between more backticks than it has in a row."""
    text = printable(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def to_latex(table: Table) -> str:
    """A booktabs table environment; needs ``\\usepackage{booktabs,graphicx}`` and, for letters such as é, T1 fonts."""
    alignment = "".join(column.align[0] for column in table.columns)
    lines = [
        f"% {table.name}: written by 'python -m reports' from run records; do not edit",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{latex_text(table.caption)}}}",
        f"\\label{{tab:{table.name}}}",
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
        f"\\begin{{tabular}}{{{alignment}}}",
        "\\toprule",
        *_latex_groups(table),
        " & ".join(latex_text(column.title) for column in table.columns) + r" \\",
        "\\midrule",
        *(" & ".join(_latex_cell(*place) for place in table.merged(row)) + r" \\" for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}}",
        *(f"\\par\\smallskip{{\\footnotesize\\raggedright {latex_text(note)}\\par}}" for note in table.notes),
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_groups(table: Table) -> list[str]:
    """The line of headings over several columns, and the rules below them; nothing where there are none."""
    heads, rules, start = [], [], 1
    for title, span in table.groups:
        heads.append(f"\\multicolumn{{{span}}}{{c}}{{{latex_text(title)}}}" if title else " & ".join([""] * span))
        rules += [f"\\cmidrule(lr){{{start}-{start + span - 1}}}"] if title else []
        start += span
    return [" & ".join(heads) + r" \\", " ".join(rules)] if rules else []


def _latex_cell(column: Column, cell: Cell, span: int) -> str:
    text = latex_text(cell.text)
    text = f"\\textit{{{text}}}" if cell.kind == "missing" else text
    return text if span == 1 else f"\\multicolumn{{{span}}}{{c}}{{{text}}}"


def to_markdown(table: Table) -> str:
    """A GitHub table; a measured number is followed by links to its records, ``../<run id>/record.json``."""
    titles = [f"{column.group}: {column.title}" if column.group else column.title for column in table.columns]
    marks = ["---:" if column.align == "right" else ":---" for column in table.columns]
    rows = [[_markdown_cell(row[column.key]) for column in table.columns] for row in table.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in ([*map(markdown_text, titles)], marks, *rows))


def _markdown_cell(cell: Cell) -> str:
    if cell.kind == "missing":
        return f"*{markdown_text(cell.text)}*"
    if not cell.links:
        return markdown_text(cell.text)
    links = " ".join(f"[{source.seed}](../{source.id}/record.json)" for source in cell.sources)
    return f"{markdown_text(cell.text)} <sub>{links}</sub>"


def to_csv(lines: list[dict[str, Any]]) -> str:
    """Lines with the same keys as CSV, its heading first; a number that is missing is an empty field.

    Halves of characters, as in a name that is no UTF-8, are escaped: no file could hold them.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else (), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode(errors="backslashreplace").decode()


def print_table(table: Table, details: Collection[str] = ()) -> None:
    """Print all but folded columns on the terminal, or what fits of them; elsewhere in plain text, as wide as it needs.

    Args:
        table: what to print.
        details: keys of columns that are left out first; then published runs are, then what is on the right.
    """
    table = table.without(*(column.key for column in table.columns if column.folded))
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 250, highlight=False)
    left_out: dict[str, str] = {}  # titles, by key
    for some in _dispensable(table, details) if terminal else ():
        if _room(table.without(*left_out), console.width) >= 0:
            break
        left_out |= some
    console.print(escape(printable(table.caption)), soft_wrap=not terminal)
    console.print(_drawn(table.without(*left_out), console.width))
    if left_out:
        titles = "; ".join(dict.fromkeys(left_out.values()))
        console.print(escape(printable(f"Not shown, for want of width: {titles}.")), style="dim")
    for note in table.notes:
        console.print(escape(printable(note)), soft_wrap=not terminal)


def _dispensable(table: Table, details: Collection[str]) -> Iterator[dict[str, str]]:
    """What can be left out, in turn: details, sets of published runs, then the column on the right; never the first."""
    backwards = table.columns[:0:-1]
    sets = dict.fromkeys(column.group for column in backwards if column.group.startswith("published runs"))
    yield from ({column.key: column.title} for column in backwards if column.key in details)
    yield from ({column.key: name for column in backwards if column.group == name} for name in sets)
    yield from ({column.key: column.title} for column in backwards if column.group not in sets)


def _texts(table: Table, column: Column) -> list[str]:
    title = f"{column.group.split(' (')[0]}\n{column.title}"
    return [printable_lines(title), *(printable(row[column.key].text) for row in table.rows)]


def _narrowest(texts: list[str]) -> int:
    """Columns of a terminal that the longest word takes: words are not broken."""
    return max((cell_len(word) for text in texts for word in text.split()), default=1)


def _widest(texts: list[str]) -> int:
    return max(cell_len(line) for text in texts for line in text.split("\n"))


def _room(table: Table, width: int) -> int:
    """What is left of a width where every column is as narrow as can be; negative where that is too wide."""
    between = 3 * len(table.columns) - 1
    return width - between - sum(_narrowest(_texts(table, column)) for column in table.columns)


def _drawn(table: Table, width: int) -> RichTable:
    """The table for a terminal of that width; what columns do not need for a word goes where lines are longest."""
    texts = [_texts(table, column) for column in table.columns]
    widths, wanted = [*map(_narrowest, texts)], [*map(_widest, texts)]
    for _ in range(_room(table, width)):
        place = max(range(len(widths)), key=lambda place: wanted[place] / widths[place])
        widths[place] += wanted[place] > widths[place]
    drawn = RichTable(box=box.SIMPLE_HEAD, caption_justify="left", pad_edge=False)
    for column, (title, *_), room in zip(table.columns, texts, widths, strict=True):
        style = {"measured here": "bold"}.get(column.group, "")
        drawn.add_column(escape(title), justify=column.align, style=style, overflow="fold", width=room)
    for row in table.rows:
        drawn.add_row(*(_terminal_cell(row[column.key]) for column in table.columns))
    return drawn


def _terminal_cell(cell: Cell) -> str:
    text = escape(printable(cell.text))
    return f"[dim]{text}[/dim]" if cell.kind == "missing" else text


def warn(problems: list[str]) -> None:
    """One line on stderr for each file that could not be read."""
    for problem in problems:
        print(f"warning: {printable(problem)}", file=sys.stderr)
