"""``make bench``: what the suite's work takes beside its peers, each ratio in one run, against its goal.

On a CPU times are CPU seconds, and contenders take turns, so that a busy machine changes little. Missing a goal is no
error: the exit status is 0 on every machine on which all lines could be measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import gpu, loading, loop, operators, reports, steps, sweep
from benchmarks.rows import Row
from experiments.machine import processor
from experiments.run import commit, environment, now
from transmix.common.errors import UserError, exit_on_user_error, unknown_name
from transmix.common.files import check_writable, write_text
from transmix.common.options import Parser
from transmix.training.distributed import Processes, join_processes

DEIT, MICRO = "deit_tiny_patch16_224", "deit_micro_tiny_patch8_64"
FORMAT = 1
Part = Callable[[Processes, bool], list[Row]]  # (processes, quick)


def _steps(processes: Processes, quick: bool) -> list[Row]:
    device = processes.device
    found = steps.rows(MICRO, 64, 32, *((2, 1) if quick else (20, 5)), device)
    batch = 128 if device.type == "cuda" else 16
    return found if quick else found + steps.rows(DEIT, 224, batch, 5, 1, device)


def _loop(processes: Processes, quick: bool) -> list[Row]:
    images, rounds = (64, 1) if quick else (1024, 3)
    families = ("deit_t", "xcit_t", "pvt_t", "cait_xxs")
    return [found for row in families for found in loop.loop_rows(row, images, rounds, processes)]


def _loading(processes: Processes, quick: bool) -> list[Row]:
    return loading.rows("deit_s", *((16, 1) if quick else (128, 4)), processes)


def _sweep(processes: Processes, quick: bool) -> list[Row]:
    few = sweep.Sweep(curves=("random",), tenths=(5,), draws=2)
    # four patches an image: a model whose pass costs little next to reading, as DeiT-T's does on a GPU
    small = sweep.rows(
        MICRO, {"patch_size": 32}, *((8, few, 1) if quick else (128, sweep.SWEEP, 2)), sweep.FASTER, processes
    )
    many = 8192 if processes.device.type == "cuda" else 16
    some = sweep.Sweep(curves=("random",), draws=1)
    return small if quick else small + sweep.rows(DEIT, {}, many, some, 2, sweep.NEVER_SLOWER, processes)


def _operators(processes: Processes, quick: bool) -> list[Row]:
    return operators.rows(64 if quick else 2000, 2 if quick else 15, processes.device)


def _processes(processes: Processes, quick: bool) -> list[Row]:
    return loop.process_rows(64 if quick else 256, 1 if quick else 4)


def _reports(processes: Processes, quick: bool) -> list[Row]:
    return reports.rows((9, 18), "deit_t") if quick else reports.rows((100, 1_000, 10_000))


def _gpu(processes: Processes, quick: bool) -> list[Row]:
    if processes.device.type != "cuda":
        return []
    small = "deit_small_patch16_224"
    return gpu.variants(small, 224, 128, 10, processes.device) + gpu.rates(64, 10, processes.device)


PARTS: dict[str, Part] = {
    "steps": _steps,
    "loop": _loop,
    "loading": _loading,
    "sweep": _sweep,
    "operators": _operators,
    "processes": _processes,
    "reports": _reports,
    "gpu": _gpu,
}


def main() -> None:
    """Parse the command line; measure, print the table, write the record."""
    parser = Parser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small: shows that it runs, not what anything takes")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a record, which the report's page shows")
    args = parser.parse_args()
    for name in args.parts:
        if name not in PARTS:
            raise unknown_name("part of the bench", name, PARTS)
    if args.json is not None:
        check_writable(args.json)
    torch.set_num_threads(1)  # as runs on a CPU do
    console = Console(stderr=True)
    found: list[Row] = []
    with join_processes(args.device) as processes:
        about = about_machine(processes)
        for name in args.parts or PARTS:
            with console.status(f"bench: {name}"):
                found += PARTS[name](processes, args.quick)
    if not found:
        raise UserError("nothing was measured: without a GPU the part gpu has no rows")
    quick = ", quick: no measurement" if args.quick else ""
    print_table(found, f"{about['device']}, {about['date'][:10]}{quick}", args.quick)
    if args.json is not None:
        record = {"format": FORMAT, "quick": args.quick, **about, "rows": [asdict(row) for row in found]}
        write_text(args.json, json.dumps(record, indent=1) + "\n")
        print(f"wrote {args.json}")


def about_machine(processes: Processes) -> dict[str, object]:
    """When and on what: the code's commit, versions, device, cores."""
    here = environment(processes)
    device = here.device if processes.device.type == "cuda" else processor()
    cores = os.cpu_count() or 1
    return {"date": now(), "commit": commit(), "device": device, "cores": cores, "packages": here.packages}


def print_table(rows: list[Row], title: str, quick: bool) -> None:
    """A line a row: value, its rounds' ends, goal, and the verdict, which a quick bench has none of."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("what", "on", "value", "rounds", "goal", ""):
        table.add_column(heading, justify="right" if heading in ("value", "rounds", "goal") else "left")
    for row in rows:
        table.add_row(*cells(row, quick))
    Console(width=None if os.isatty(1) else 160).print(table)


def cells(row: Row, quick: bool) -> Iterator[str]:
    """The texts of a line."""
    yield from (row.name, row.where, f"{_number(row.value)} {row.unit}".strip())
    yield "" if row.low is None or row.high is None else f"{_number(row.low)} to {_number(row.high)}"
    yield "" if row.goal is None else f"{'at most' if row.most else 'at least'} {row.goal:g}"
    yield "" if quick else row.verdict


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


if __name__ == "__main__":
    exit_on_user_error(main)
