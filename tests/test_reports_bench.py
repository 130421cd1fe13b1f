"""The benchmark of reports: it measures what it says, on records that a report takes."""

from __future__ import annotations

import re
import sys

import pytest

from reports import bench, style
from transmix.errors import UserError


def run(monkeypatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--rows", "deit_t", *options])
    bench.main()


def test_the_benchmark_prints_a_line_a_count(monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(style, "draw_figure", lambda inches, paint: drawn.append(paint) or style.Drawing("<svg/>", b""))
    run(monkeypatch, "--records", "18", "9")
    heading, first, second, growth = capsys.readouterr().out.strip().splitlines()
    assert heading.split()[0] == "records"
    assert [line.split()[0] for line in (first, second)] == ["9", "18"]
    assert all(float(number) > 0 for line in (first, second) for number in line.split())
    assert re.fullmatch(r"2\.00 times the records took \d+\.\d\d times as long", growth)
    assert (
        len(drawn) == 2 * len({paint.__qualname__ for paint in drawn}) + 2 * 2
    )  # two curves, two pairs; once a report


def test_no_records_are_refused(monkeypatch):
    with pytest.raises(UserError, match="--records 0: at least one record is needed"):
        run(monkeypatch, "--records", "0")
