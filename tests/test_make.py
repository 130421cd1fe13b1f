"""make carries folders and settings as they were typed, and refuses in one line what it cannot carry."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from studies import study

from experiments.makefile import needed
from transmix.common.errors import UserError

ROOT = Path(__file__).parent.parent
NAMES = [
    "my results",
    "it's",
    'a "quoted" one',
    "a$b",
    "$HOME",
    "$(shell touch made)",
    "`touch made`",
    "a#b",
    "100%",
    "%",
    "a:b",
    "Größe ∞",
    "no UTF-8 \udcff",
    "a&b (c)",
    "- -n",
    "x' & touch made & '",
]
REFUSED = ["a;b", "a=b", "a|b", "a*", "a?", "[a]", "a\\b"]


def make(*arguments: str) -> subprocess.CompletedProcess:
    """Planning takes no environment but the system's Python."""
    words = ["make", "-C", ROOT, "--no-print-directory", *arguments]
    return subprocess.run(words, capture_output=True, encoding="utf-8", errors="surrogateescape")


@pytest.mark.parametrize("given", ["SEED=3", "METHOD=fmix", "scale=smoke"])
def test_a_variable_that_there_is_not_is_refused(given):
    out = make("-n", "table1", "SCALE=smoke", given)
    assert out.returncode == 2
    assert f"unknown variable {given.partition('=')[0]}: make help lists those there are" in out.stderr
    assert len(out.stderr.splitlines()) == 1


@pytest.mark.parametrize("variable", ["SCALE", "LAUNCH", "PYTHON", "RESULTS", "DATA", "JOBS"])
@pytest.mark.parametrize("way", ["argument", "environment"])
def test_a_variable_that_is_given_empty_is_as_if_it_were_not_given(monkeypatch, variable, way):
    """An empty LAUNCH would have make run "m experiments" and pass over that there is no such command."""
    expected = make("-n", "table1", "--print-data-base")
    if way == "environment":
        monkeypatch.setenv(variable, "")
    found = make("-n", "table1", "--print-data-base", *([f"{variable}="] if way == "argument" else []))
    assert expected.returncode == found.returncode == 0
    said, wanted = (
        [line for line in out.stdout.splitlines() if " -m " in line[:90] or line.startswith("MAKEFLAGS =")]
        for out in (found, expected)
    )
    assert [line.partition(" -- ")[0] for line in said] == [line.partition(" -- ")[0] for line in wanted]


@pytest.mark.parametrize("jobs", ["0", "-1", "abc", "1.5", "2 3x"])
def test_jobs_are_a_number(jobs):
    out = make("-n", "table1", "SCALE=smoke", f"JOBS={jobs}")
    assert (out.returncode, out.stdout) == (2, "")
    assert f"JOBS={jobs}: must be a whole number from 1" in out.stderr
    assert len(out.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_folders_go_through_make_as_they_are(tmp_path, name):
    folders = {variable: tmp_path / variable / name for variable in ("RESULTS", "DATA", "IMAGENET")}
    for split in ("train", "val"):
        for label in "ab":
            (folders["IMAGENET"] / split / label).mkdir(parents=True)
    given = [f"{variable}={folder}" for variable, folder in folders.items()]
    out = make("-n", "table1", "SCALE=smoke", *given)
    assert (out.returncode, out.stderr) == (0, "")
    commands = [shlex.split(line) for line in out.stdout.splitlines() if " run " in line]
    assert len(commands) == 2
    for command in commands:
        options = dict(zip(command[5::2], command[6::2], strict=True))
        found = [options[f"--{variable.lower()}"] for variable in folders]
        assert found == [str(folder) for folder in folders.values()]
    options = [word for variable, folder in folders.items() for word in (f"--{variable.lower()}", str(folder))]
    planned = study("--scale", "smoke", *options)
    for run in planned.shown_in("table1"):
        run.folder.mkdir(parents=True)
        (run.folder / "record.json").write_text("{}")
    assert " run " not in make("-n", "table1", "SCALE=smoke", *given).stdout  # make found them
    assert not list(tmp_path.glob("**/made"))
    assert not (ROOT / "made").exists()


@pytest.mark.parametrize("variable", ["SCALE", "ROWS", "SEEDS", "IMAGENET", "DINO", "PROTOCOL", "SET", "COCO", "JOBS"])
@pytest.mark.parametrize("way", ["argument", "environment"])
def test_nothing_that_is_given_is_run(tmp_path, monkeypatch, variable, way):
    sign = tmp_path / "made"
    for text in (f"$(shell touch {sign})", f"`touch {sign}`", f"'; touch {sign}; '", f"$(touch {sign})"):
        if way == "argument":
            out = make("-n", "plan", f"{variable}={text}")
        else:
            monkeypatch.setenv(variable, text)
            out = make("-n", "plan")
        assert not sign.exists()
        assert variable == "JOBS" or out.returncode == 0
    out = make("plan", f"{variable}=a\ntouch {sign}")
    assert (out.returncode, not sign.exists()) == (2, True)
    assert f"{variable} has a line break in it" in out.stderr
    assert len(out.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_make_cannot_carry_is_refused_in_one_line(tmp_path, name):
    out = make("-n", "table1", "SCALE=smoke", f"RESULTS={tmp_path / name}")
    assert out.returncode == 2
    first, *rest = out.stderr.splitlines()
    assert first.startswith("error: make cannot carry the folder ")
    assert len(rest) == 1  # make's own
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_make_would_expand_or_break_is_none():
    for name in ("~/results", "a\nb", "a\tb"):
        with pytest.raises(UserError, match="make cannot carry the folder"):
            needed(Path(name, "record.json"))


def test_one_record_is_a_target(tmp_path):
    run = study("--scale", "smoke", "--results", str(tmp_path)).plan()[0]
    out = make("-n", str(run.folder / "record.json"), "SCALE=smoke", f"RESULTS={tmp_path}")
    assert out.stdout.count(" run ") == 1


@pytest.mark.parametrize("results", ["results", "my 100% #1: a$b"])
@pytest.mark.parametrize("ending", ["exit 2", "kill -TERM $PPID; sleep 5"])
def test_a_record_that_another_make_wrote_stays_where_this_one_fails_or_is_interrupted(tmp_path, results, ending):
    """Two makes on one folder: the second one's run ends as the first one holds it, and finishes meanwhile."""
    record = study("--scale", "smoke", "--results", str(tmp_path / results)).plan()[0].folder / "record.json"
    record.parent.mkdir(parents=True)
    other = tmp_path / "launch"
    other.write_text(f"#!/bin/sh\necho whole > {shlex.quote(str(record))}\n{ending}\n")
    other.chmod(0o755)
    out = make(
        "table1", "SCALE=smoke", f"RESULTS={tmp_path / results}", f"DATA={tmp_path}", f"LAUNCH={other}", "JOBS=1"
    )
    assert out.returncode
    assert record.exists(), out.stdout + out.stderr


STRANGE = ["a b", "q'uote", 'd"quote', "dollar$x", "hash#tag", "per%cent", "co:lon", "Ünïcode", "semi;colon", "$(id)"]


@pytest.mark.parametrize("name", STRANGE)
def test_a_checkout_may_lie_anywhere(tmp_path, name):
    checkout = tmp_path / name
    (checkout / "reports").mkdir(parents=True)
    for part in ("Makefile", "experiments", "transmix", "reports/tables"):
        (checkout / part).symlink_to(ROOT / part)
    done = subprocess.run(["make", "plan", "SCALE=smoke"], cwd=checkout, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "runs done at scale smoke" in done.stdout


@pytest.mark.parametrize("name", [*STRANGE, "back\\slash", "nowhere"])
def test_plugins_lie_anywhere_or_are_refused_in_a_line(tmp_path, name):
    for room, text in (
        ("methods", "from transmix.methods import Method\nMETHOD = Method('Mine', {})\n"),
        ("tables", ""),
    ):
        if name != "nowhere":
            (tmp_path / name / room).mkdir(parents=True)
            (tmp_path / name / room / "mine.py").write_text(f'"""My own."""\n{text}')
    asked = ["make", "plan", "SCALE=smoke", "METHODS=mine", f"PLUGINS={tmp_path / name}"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    if name in ("a b", "co:lon", "back\\slash", "nowhere"):
        assert (done.returncode, done.stdout) == (2, "")
        assert "PLUGINS" in done.stderr.splitlines()[0]
        assert len(done.stderr.splitlines()) <= 2  # make's own beside ours
        return
    assert done.returncode == 0
    assert "table2.deit_t.mine" in done.stdout
    known = subprocess.run(["make", "help", asked[-1]], cwd=ROOT, capture_output=True, text=True)
    assert "My own" in known.stdout
