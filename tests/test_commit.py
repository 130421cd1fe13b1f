"""The commit that records name: with a plus where what makes their numbers is in no commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from experiments import run


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> Path:
    """A repository with one file of code, taken for this one."""
    code = tmp_path / "experiments" / "run.py"
    code.parent.mkdir()
    code.write_text("code\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(run, "__file__", str(code))
    monkeypatch.delenv("PLUGINS", raising=False)
    return tmp_path


def test_what_lies_beside_the_code_changes_no_commit(checkout):
    first = run.commit()
    assert len(first) == 40
    (checkout / "results").mkdir()
    (checkout / "results" / "notes.txt").write_text("mine")
    (checkout / "README.md").write_text("mine")
    assert run.commit() == first


@pytest.mark.parametrize("name", ["experiments/run.py", "experiments/more.py", "transmix/methods/mine.py"])
def test_changed_code_and_code_that_was_added_are_told(checkout, name):
    first = run.commit()
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("other\n")
    assert run.commit() == f"{first}+"


def test_plugins_are_in_no_commit(checkout, monkeypatch):
    first = run.commit()
    monkeypatch.setenv("PLUGINS", "/my/study")
    assert run.commit() == f"{first}+"


def test_without_git_it_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "__file__", str(tmp_path / "run.py"))
    assert run.commit() == "unknown"
