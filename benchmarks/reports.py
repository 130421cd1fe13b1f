"""How long a report takes, and how that grows with the number of records, which have made-up numbers.

Each report starts from nothing, in a process of its own.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from benchmarks.rows import Row
from experiments.study import Study
from reports.page.report import report_folder
from tests.made_up import make_study, write_run
from transmix.common.errors import UserError

GROWTH = 1.1  # goal: ten times the records take at most eleven times as long


def rows(counts: tuple[int, ...], row: str = "all") -> list[Row]:
    """CPU seconds of a report on about so many records, and how they grow from each count to the next.

    Args:
        counts: of records, in rising order.
        row: of Table 1, or ``all``.

    Raises:
        UserError: a report fails, or leaves a record out.
    """
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        studies = [study_of(Path(folder), row, count) for count in counts]
        for run in studies[-1].plan():
            write_run(run, run.seed % 7 if run.method == "transmix" else 0)
        measured = [(len(study.plan()), cpu_seconds(study)) for study in studies]
    for count, seconds in measured:
        found.append(Row("report, CPU time", f"{count:,} records", seconds, unit="s"))
    for (few, fewer), (many, more) in pairwise(measured):
        where = f"{many:,} records over {few:,}"
        found.append(Row("report, time over number of records", where, more / fewer / (many / few), goal=GROWTH))
    return found


def study_of(folder: Path, row: str, records: int) -> Study:
    """A study at scale tiny of as many seeds as give about `records` records."""
    one = make_study(folder, "--scale", "tiny", "--rows", row, "--seeds", "1")
    seeds = max(1, round(records / len(one.plan())))
    return make_study(folder, "--scale", "tiny", "--rows", row, "--seeds", str(seeds))


def cpu_seconds(study: Study) -> float:
    """What a report takes, with all its processes."""
    before = _used()
    command = [sys.executable, "-m", "reports", *study.options]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith(("error:", "warning: record"))]
    if done.returncode or said:  # libraries may say what they like there
        raise UserError(f"the report failed: {(said or done.stderr.strip().splitlines() or ['no word'])[-1]}")
    shutil.rmtree(report_folder(study))  # the next one starts from nothing
    return _used() - before


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
