"""``python -m reports``: what a study's records say, and whether they can be trusted.

Without a command, or with options only, it is ``page``: the tables, the figures and one HTML page of a study.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from experiments.study_options import add_study_options, study_from
from reports.formats.render import print_table, warn
from reports.records.collect import collect
from reports.tables import tables
from transmix.common.errors import exit_on_user_error, unknown_name
from transmix.common.files import check_writable
from transmix.common.options import Parser
from transmix.common.text import printable

ACTS = {  # the module of each command but ``page``; its function has the command's name
    "show": "reports.records.show",
    "verify": "reports.records.verify",
    "compare": "reports.compare.runs",
    "frame": "reports.records.frame",
    "publish": "reports.records.publish",
    "own": "reports.compare.own",
}


def main() -> None:
    """Parse the command line and act."""
    args = parse(sys.argv[1:])
    if args.command == "page":
        return page(args)
    return getattr(importlib.import_module(ACTS[args.command]), args.command)(args)


def parse(words: list[str]) -> argparse.Namespace:
    """The command line; without a command it is that of ``page``."""
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = ["page", *words]
    return parser().parse_args(words)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = Parser(
        prog="python -m reports",
        description=(__doc__ or "").replace("``", ""),
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    page = _command(commands, "page", "write the report of a study, or print one table of it")
    page.add_argument("--table", metavar="TABLE", help=f"print only this one: {', '.join(tables())}")
    add_study_options(page)

    show = _command(commands, "show", "one record: what it measured, how, on what, with what, and how to make it again")
    show.add_argument("run", metavar="RUN", help="a run's name or id, its folder, or its record.json")
    add_study_options(show)

    verify = _command(commands, "verify", "name every record that no longer matches what it claims (exit status 1)")
    verify.add_argument(
        "folders", nargs="*", type=Path, metavar="DIR", help="default: results and the published runs of this suite"
    )
    verify.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="folder of embedded data")

    compare = _command(commands, "compare", "what changed between two folders of runs, seed by seed, with intervals")
    compare.add_argument("a", type=Path, metavar="A", help="a folder of runs: results/tiny, a copy of it, ...")
    compare.add_argument("b", type=Path, metavar="B", help="the other one; differences are B minus A")
    compare.add_argument("--out", type=Path, metavar="DIR", help="default: results/comparisons/A-vs-B")

    frame = _command(
        commands, "frame", "all records as one table for pandas: a line each, settings and metrics as columns"
    )
    frame.add_argument(
        "folders", nargs="*", type=Path, metavar="DIR", help="default: results and the published runs of this suite"
    )
    file = frame.add_mutually_exclusive_group()
    file.add_argument("--csv", type=Path, metavar="FILE", help="write this file; default: CSV to standard output")
    file.add_argument("--parquet", type=Path, metavar="FILE", help="the same as Parquet; needs pyarrow")

    publish = _command(commands, "publish", "copy verified records, without weights, to where every report shows them")
    publish.add_argument("folder", type=Path, metavar="DIR", help="a folder of runs, such as results/tiny")
    publish.add_argument("--as", dest="name", metavar="NAME", help="of the set; default: its scale and its device")
    publish.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="folder of embedded data")

    own = _command(commands, "own", "curves of a user's own models, from the records of python -m robustness")
    own.add_argument("folder", nargs="?", type=Path, metavar="DIR", default=Path("results/robustness"))
    return parser


def _command(commands: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")


def page(args: argparse.Namespace) -> None:
    """Print one table, or write the whole report."""
    if args.table is not None and args.table not in tables():
        raise unknown_name("table", args.table, tables())
    study = study_from(args)
    if args.table is not None:
        collected = collect(study)
        warn(collected.problems)
        print_table(tables()[args.table].build(collected), tables()[args.table].details)
        return print(f"This table: {printable(collected.study.make(args.table))}")
    from reports.page.report import PAGE, build, report_folder, write

    folder = report_folder(study)
    check_writable(folder / PAGE)  # before the figures, which take a while
    report = build(collect(study))
    page = write(report, folder)
    warn(report.problems)
    asked = ("claims", "table1", "table6") if study.grid else ("claims", "table1")
    for section in map(report.sections.__getitem__, asked):
        print_table(section.table.without(*section.spec.details))
    return print(f"Report: {page}")


if __name__ == "__main__":
    exit_on_user_error(main)
