"""``make bench``: how long a report takes, and how that grows with the number of records.

Writes records with made-up numbers, of all rows of the scale and many seeds, into a temporary folder, and reports on
the first few seeds, on more, and on all. Each starts from nothing, in a process of its own, and comes again with
nothing changed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.progress import track

from experiments.study import Study
from reports.page.report import report_folder
from tests.made_up import make_study, write_run
from transmix.common.errors import UserError, exit_on_user_error

COUNTS = (2_500, 5_000, 10_000)


def main() -> None:
    """Parse the command line; write the records, time the reports, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports", description=__doc__)
    parser.add_argument("--rows", default="all", metavar="ROW,...", help="rows of Table 1 (default: all)")
    parser.add_argument("--records", type=int, nargs="+", default=COUNTS, metavar="N", help="about how many records")
    args = parser.parse_args()
    if min(args.records) < 1:
        raise UserError(f"--records {min(args.records)}: at least one record is needed")
    with tempfile.TemporaryDirectory() as folder:
        studies = [study_of(Path(folder), args.rows, count) for count in sorted(args.records)]
        runs = studies[-1].plan()
        for run in track(runs, "writing records", transient=True):
            write_run(run, run.seed % 7 if run.method == "transmix" else 0)
        first = None
        print(f"{'records':>8}  {'seconds':>8}  {'again':>8}  {'ms a record':>12}  {'page, MB':>9}")
        for study in studies:
            count, seconds, again, size = measure(study)
            first = first or (count, seconds)
            print(f"{count:8,}  {seconds:8.2f}  {again:8.2f}  {1000 * seconds / count:12.2f}  {size / 1e6:9.1f}")
        if len(studies) > 1:
            print(f"{count / first[0]:.2f} times the records took {seconds / first[1]:.2f} times as long")


def study_of(folder: Path, rows: str, records: int) -> Study:
    """A study at scale tiny of as many seeds as give about `records` records."""
    one = make_study(folder, "--scale", "tiny", "--rows", rows, "--seeds", "1")
    seeds = max(1, round(records / len(one.plan())))
    return make_study(folder, "--scale", "tiny", "--rows", rows, "--seeds", str(seeds))


def measure(study: Study) -> tuple[int, float, float, int]:
    """Records, seconds that their report takes, and takes again with nothing changed, and bytes of the page."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        report(study)
        seconds.append(time.perf_counter() - start)
    folder = report_folder(study)
    size = (folder / "index.html").stat().st_size
    shutil.rmtree(folder)  # the next one starts from nothing
    return len(study.plan()), *seconds, size


def report(study: Study) -> None:
    """Report as a user does, in a process of its own."""
    command = [sys.executable, "-m", "reports", *study.options]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if done.returncode or done.stderr:  # a record that is left out says so there
        raise UserError(f"the report failed: {done.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    exit_on_user_error(main)
