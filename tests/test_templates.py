"""Compiled templates: kept where Python may keep modules, and only for the options that they were compiled with."""

from __future__ import annotations

import sys

import pytest

from reports.formats import html


@pytest.fixture
def templates(tmp_path, monkeypatch):
    """A folder of templates of one's own."""
    (tmp_path / "page.js").write_text("")
    (tmp_path / "t.md").write_text("{{ word }}\n")
    monkeypatch.setattr(html, "TEMPLATES", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path


def test_a_template_is_compiled_once_and_again_when_it_changes(templates):
    assert html.fill("t.md", word="one") == "one\n"
    (kept,) = (templates / "__pycache__").rglob("*.cache")
    assert html.fill("t.md", word="two") == "two\n"
    (templates / "t.md").write_text("{{ word }}!\n")
    assert html.fill("t.md", word="three") == "three!\n"
    assert list((templates / "__pycache__").rglob("*.cache")) == [kept]


@pytest.mark.parametrize("reason", ["told", "refused"])
def test_where_nothing_may_be_kept_nothing_is(templates, monkeypatch, reason):
    if reason == "told":
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
    else:
        (templates / "__pycache__").write_text("")  # no folder can be made there
    assert html.fill("t.md", word="one") == "one\n"
    assert not list(templates.rglob("*.cache"))
