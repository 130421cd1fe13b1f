"""Records and files beside them that no run wrote: never a traceback, never a raw control character."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.study import Study
from reports.__main__ import main
from reports.compare.own import collect_own
from reports.figures.examples import find_examples
from reports.formats.render import markdown_code, markdown_text
from reports.page.report import build, report_folder, write
from reports.records.answers import natural, read_answers
from reports.records.collect import collect, read
from reports.records.found import read_found
from tests.made_up import edit, make_study, put, write_study
from transmix.common.errors import CommandEnd
from transmix.common.text import printable, printable_lines

ROOT = Path(__file__).parent.parent
STRANGE = ["x", True, None, [], {}, -1, 10**18, 0.5, [["a"]], {"a": {}}]


@pytest.fixture
def study(tmp_path) -> Study:
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (5.0,))
    return study


def test_what_acts_on_a_terminal_is_escaped():
    assert printable("a\x1b[2J\u202eb\udcff\n") == r"a\x1b[2J\u202eb\udcff\n"
    assert printable("λ ± 1’\N{NO-BREAK SPACE}−") == "λ ± 1’\N{NO-BREAK SPACE}−"
    assert printable_lines("a\x07\nb") == "a\\x07\nb"
    assert markdown_text("\x1b|") == r"\\x1b\|"
    assert markdown_code("a\nb") == r"`a\nb`"


def _places(value: Any, way: tuple = ()) -> list[tuple]:
    """The way to everything in some JSON; of a long list, to its first item."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    return [way, *itertools.chain.from_iterable(_places(item, (*way, key)) for key, item in items)]


def _put(content: dict, way: tuple, value: Any) -> None:
    for key in way[:-1]:
        content = content[key]
    content[way[-1]] = value


@pytest.mark.parametrize("table", ["table1", "occlusion", "table5", "lambda"])
def test_any_value_anywhere_is_shown_or_named(study, table, capsys, monkeypatch):
    run = next(run for run in study.plan() if run.table == table)
    whole = json.loads((run.folder / "record.json").read_text())
    ways = [way for way in _places(whole) if way and way[0] not in ("format", "digest")]
    assert len(ways) > 40
    for place, way in enumerate(ways):
        for value in STRANGE[place % 5 :: 5]:
            content = json.loads(json.dumps(whole))
            _put(content, way, value)
            put(run.folder, content)
            found = read_found(run.folder / "record.json")
            assert (found.result is None) == bool(found.problem)
            assert read(run).status in ("done", "unreadable")
            monkeypatch.setattr("sys.argv", ["reports", "show", str(run.folder)])
            with contextlib.suppress(CommandEnd):
                main()
            capsys.readouterr()


ARRAYS = [
    np.array(["a", "b"]),
    np.zeros((2, 2)),
    np.array(1),
    np.zeros(0, bool),
    np.array([object()]),
    np.zeros(3, complex),
    np.array([[1, 2]], "M8[s]"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_arrays_of_other_types_cost_only_what_they_hold(study, array):
    runs = {run.table: run for run in study.plan() if run.method == "transmix"}
    names = {"table5": ["natural_correct"], "occlusion": ["keys", "right", "indices"]}
    for table, keys in names.items():
        name = {"table5": "scores.npz", "occlusion": "answers.npz"}[table]
        np.savez(runs[table].folder / name, **dict.fromkeys(keys, array))
    with np.load(runs["lambda"].folder / "examples.npz") as file:
        arrays = dict(file)
    for name in ("mixed", "attention", "box", "lam_area", "own_class"):
        np.savez(runs["lambda"].folder / "examples.npz", **arrays | {name: array})
        shown, problems = find_examples([read(runs["lambda"])], lambda run: {})
        assert shown is None
        assert problems or not array.size  # a run of which no two classes met keeps no examples
    by_table = {result.run.table: result for result in collect(study).results if result.run.method == "transmix"}
    assert natural(by_table["table5"]) is None
    assert read_answers(by_table["occlusion"]) is None


def test_a_plain_array_under_an_archives_name_is_no_archive(study):
    run = study.find("table5.deit_t.transmix.seed0")
    with open(run.folder / "scores.npz", "wb") as file:
        np.save(file, np.zeros(3))
    assert natural(read(run)) is None


def test_control_characters_reach_neither_the_terminal_nor_the_page(study, capsys, monkeypatch):
    bad = "\x1b[31m\u202e\udcff\n"
    for run in study.plan():
        edit(run.folder, lambda record: record["environment"].update(device=f"CPU{bad}"))
        edit(run.folder, lambda record: record["data"].update(name=f"data{bad}", embedded=False))
    lambdas = study.find("lambda.deit_t.transmix.seed0")
    edit(lambdas.folder, lambda record: record.update(classes=[f"disc{bad}", "ring"]))
    torn = study.find("table5.deit_t.transmix.seed0")
    edit(torn.folder, lambda record: (record["run"].update(command=f"run{bad}"), record["metrics"].update(aurra=bad)))
    for words in (["show", str(lambdas.folder)], ["verify", str(study.results)], [*study.options]):
        monkeypatch.setattr("sys.argv", ["reports", *words])
        try:
            main()
        except CommandEnd as end:
            print(end)
    write(build(collect(study)), report_folder(study))
    texts = [*capsys.readouterr(), (report_folder(study) / "report.md").read_text()]
    texts.append((report_folder(study) / "index.html").read_text())
    for text in texts:
        assert not {"\x1b", "\u202e", "\udcff"} & set(text)
    assert r"CPU\x1b[31m\u202e\udcff\n" in texts[0]


def test_own_on_the_folder_of_a_study_says_what_to_use(study, monkeypatch):
    assert collect_own(study.results) == []
    monkeypatch.setattr("sys.argv", ["reports", "own", str(study.results)])
    with pytest.raises(CommandEnd, match=r"^no records of sweeps of your own models in .*'python -m reports' shows"):
        main()


# one command after the other, each as `python -m` would carry it out
ALL = """
import json, runpy, sys
for words in json.loads(sys.argv[1]):
    sys.argv = words
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            sys.exit(f"{words} ended with {end.code}")
"""


@pytest.mark.parametrize(
    "changes",
    [
        {"PYTHONOPTIMIZE": "2"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["no docstrings", "ASCII", "locale C"],
)
def test_any_interpreter_and_any_encoding_will_do(study, changes):
    where = ["--scale", "tiny", "--rows", "deit_t", "--results", str(study.results), "--data", str(study.data)]
    commands = [
        ["experiments", "list"],
        ["reports", "--table", "table1", *where],
        ["reports", "verify", str(study.results)],
        ["reports", "frame", str(study.results)],
        ["reports", "show", str(study.plan()[0].folder)],
        ["reports", "--help"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", ALL, json.dumps(commands)], capture_output=True, cwd=ROOT, env=os.environ | changes
    )
    assert done.returncode == 0, done.stderr[-2000:]
