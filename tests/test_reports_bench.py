"""The benchmark of reports: it measures what it says, on records that a report takes."""

from __future__ import annotations

import sys

import pytest

from benchmarks import reports as bench
from transmix.common.errors import UserError
from transmix.common.files import write_text


def run(monkeypatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--rows", "deit_t", *options])
    bench.main()


def test_the_benchmark_prints_a_line_a_count(monkeypatch, capsys):
    run(monkeypatch, "--records", "9")
    heading, line = capsys.readouterr().out.strip().splitlines()
    assert heading.split() == ["records", "seconds", "again", "ms", "a", "record", "page,", "MB"]
    count, seconds, _, milliseconds, _ = map(float, line.split())
    assert count == 9
    assert milliseconds == pytest.approx(1000 * seconds / count, rel=0.01)


def test_records_that_a_report_leaves_out_end_the_benchmark(monkeypatch):
    monkeypatch.setattr(bench, "write_run", lambda run, gain: write_text(run.folder / "record.json", "{"))
    with pytest.raises(UserError, match=r"the report failed: warning: record .* is not readable"):
        run(monkeypatch, "--records", "9")


def test_no_records_are_refused(monkeypatch):
    with pytest.raises(UserError, match="--records 0: at least one record is needed"):
        run(monkeypatch, "--records", "0")
