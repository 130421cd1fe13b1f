"""``python -m experiments COMMAND``: what there is to run, what has been run, and running it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from textwrap import indent

from experiments import options
from experiments.cards import card, cards
from experiments.entries import chosen, listed
from experiments.estimate import add_estimate_options, assumptions_from, unmeasured
from experiments.ledger import LEDGER, SOURCES
from experiments.machine import measured_machine
from experiments.makefile import write_plan
from experiments.plan import plan_lines
from experiments.rows import rows
from experiments.scales import SCALES
from experiments.shared import owner_of_this, run_forked
from experiments.study import Study
from experiments.study_options import add_study_options, study_from
from transmix.common.errors import exit_on_user_error, unknown_name
from transmix.common.files import write_text
from transmix.common.options import Parser, within
from transmix.common.ranges import Range
from transmix.common.stopping import stop_when_asked
from transmix.methods import methods


def main() -> None:
    """Parse the command line and act."""
    parser = Parser(prog="python -m experiments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="rows and scales")
    commands.add_parser("options", help="write make's variables, after the options of a study have changed")
    commands.add_parser("ledger", help="where the sources disagree, what is done here, and what else SET= can choose")
    cards = commands.add_parser("methods", help="the ways to mix: a card each")
    cards.add_argument("names", nargs="*", metavar="METHOD", help="only these")
    cards.add_argument("--sheet", type=Path, metavar="FILE.png", help="draw a picture of each instead")
    cards.add_argument("--weights", type=Path, metavar="FILE", help="of the model that looks on in the picture")
    plan = commands.add_parser("plan", help="every run of a study, its status, its cost and its command")
    add_estimate_options(plan)
    rates = commands.add_parser("rates", help="time a study's small models on one core, for the plan's estimates")
    data = commands.add_parser("data", help="write the embedded data of a study")
    data.add_argument("names", nargs="*", metavar="NAME", help="only these of its data sets")
    run = commands.add_parser("run", help="carry out one run, or continue it")
    run.add_argument("name", help="name or id, as 'plan' shows it")
    run.add_argument("--restart", action="store_true", help="discard what the run has so far")
    run.add_argument("--workers", action=within(Range(0, 1024)), default=None, metavar="N", help="loader processes")
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument("--compile", action="store_true", help="torch.compile the model")
    run.add_argument("--channels-last", action="store_true", help="memory format of images and convolutions")
    run.add_argument(
        "--checkpoint-seconds",
        action=within(Range(0, 604_800), float),
        default=60.0,
        metavar="S",
        help="between checkpoints",
    )
    check = commands.add_parser("check-paper", help="build, count and try the paper's models")
    check.add_argument("--rows", metavar="ROW,...", help="only these")
    check.add_argument("--write-costs", action="store_true", help="write model_costs.csv instead of comparing with it")
    gpu = commands.add_parser("check-gpu", help="compare what a GPU computes with the CPU")
    gpu.add_argument("--only", metavar="CHECK,...", help="only these")
    gpu.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: the CPU against itself")
    makefile = commands.add_parser("makefile", help="write the makefile fragment of a study, and print its name")
    for command in (plan, rates, data, run, makefile):
        add_study_options(command)
    args = parser.parse_args()
    if args.command == "list":
        return print_list()
    if args.command == "options":
        return update(options.FRAGMENT, options.fragment(Study))
    if args.command == "ledger":
        return print_ledger()
    if args.command == "methods":
        return print_cards(args.names) if args.sheet is None else draw_cards(args.sheet, args.weights)
    if args.command == "check-paper":
        from experiments.check_paper import run as check_paper

        return check_paper(args)
    if args.command == "check-gpu":
        from experiments.check_gpu import run as check_gpu

        return check_gpu(args)
    study = study_from(args)
    study.check_data()
    if args.command == "plan":
        given = assumptions_from(args)
        machine = measured_machine(study.results, unmeasured(study.plan()), study.options)
        return print("\n".join(plan_lines(study, replace(given, machine=machine))))
    if args.command == "rates":
        from experiments.measure_rates import measure_rates

        return print(f"models measured: {len(measure_rates(study).rates)}")
    if args.command == "makefile":
        return print(write_plan(study))
    if args.command == "data":
        return write_data(study, args.names)
    stop_when_asked()
    found = study.find(args.name)
    if args.restart or found.status() != "done":
        found.data.check_given()  # here, and not once the libraries are loaded
    if (owner := owner_of_this()) is not None:
        return run_forked(found.kind, owner)
    # Before torch is loaded: one thread a process, as torchrun sets it. A micro model gains nothing from a second
    # thread; two runs side by side do (see JOBS in the Makefile), and results do not depend on the number of cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from experiments.run import run as carry_out

    return carry_out(study, args)


def print_list() -> None:
    """Print rows of Table 1 and scales."""
    print("rows of Table 1")
    for name, row in rows().items():
        print(f"  {name:8} {row.recipe().model:28} {(row.recipe.__doc__ or row.title).splitlines()[0]}")
    print("scales")
    for scale in SCALES.values():
        print(f"  {scale.name:8} rows {', '.join(scale.rows)}; {scale.seeds} seed(s); {scale.purpose}")


def print_cards(names: list[str]) -> None:
    """What is declared and written of methods, of all where none is named."""
    for name in names:
        if name not in methods():
            raise unknown_name("method", name, methods())
    for found in map(card, names) if names else cards():
        text = "\n".join([found.text.replace("``", "`"), "", *found.declared])
        print(f"{found.name}: {found.title}\n\n{indent(text, '  ')}\n")


def draw_cards(path: Path, weights: Path | None) -> None:
    """The contact sheet of the methods."""
    from experiments.method_sheet import write_sheet

    write_sheet(path, weights)
    untrained = (
        "" if weights else ": an untrained model looks on, which looks everywhere alike; --weights FILE gives another"
    )
    print(f"wrote {path}{untrained}")


def print_ledger() -> None:
    """Every entry: what the sources say, what the recipes hold and why, and the other readings."""
    for topic, entries in LEDGER.items():
        print(topic.upper())
        for entry in entries:
            print(f"\n{entry.title} ({listed(entry.rows)})")
            for source, statement in entry.says.items():
                print(f"  {source}: {statement}")
            for values, having in chosen(entry).items():
                print(f"  here: {values} ({listed(having)})")
            print(f"  {entry.choice}")
            for other in entry.alternatives:
                print(f'  or SET="{other.settings}" ({listed(other.rows)}): {other.reading}')
        print()
    print("SOURCES")
    for name, source in SOURCES.items():
        print(f"  {name:10} {source}")


def write_data(study: Study, names: list[str]) -> None:
    """Write the study's scenes, only those named if any is, or say whose data it takes."""
    embedded = {run.data.name: run.data for run in study.plan() if run.data.scenes}
    for name in names:
        if name not in embedded:
            raise unknown_name("embedded data set of the study", name, embedded)
    if not embedded:
        print(f"{study.classification_data.name}: not embedded, nothing to write")
        return
    from transmix.data.scenes.write import write_scenes

    for name in names or embedded:
        write_scenes(embedded[name].scenes, embedded[name].folder)


def update(path: Path, text: str) -> None:
    """Write only what changed, so that make does not read its fragment again for nothing."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


if __name__ == "__main__":
    exit_on_user_error(main)
