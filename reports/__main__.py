"""``python -m reports``: tables, figures and one HTML page from a study's records."""

from __future__ import annotations

import argparse
import sys

from experiments.study import add_study_options, study_from
from reports.collect import collect
from reports.render import print_table
from reports.tables import TABLES
from transmix.errors import UserError, exit_on_user_error, unknown_name


def main() -> None:
    """Parse the command line; print one table, or write the whole report."""
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    parser.add_argument("--table", metavar="TABLE", help=f"print only this one: {', '.join(TABLES)}")
    add_study_options(parser)
    args = parser.parse_args()
    if args.table is not None and args.table not in TABLES:
        raise unknown_name("table", args.table, TABLES)
    collected = collect(study_from(args))
    if args.table is not None:
        warn(collected.problems)
        return print_table(TABLES[args.table](collected))
    from reports.page import build, report_folder, write  # matplotlib takes a second to import

    report = build(collected)
    folder = report_folder(collected.study)
    try:
        page = write(report, folder)
    except OSError as error:
        raise UserError(f"cannot write the report into {folder} ({error}): choose another --results") from error
    warn(report.problems)
    print_table(report.table1.without("params", "flops", "model", "parameters", "gmacs"))
    return print(f"Report: {page}")


def warn(problems: list[str]) -> None:
    """One line on stderr for each file that could not be read."""
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)


if __name__ == "__main__":
    exit_on_user_error(main)
