"""The generated makefile fragment: a target for each record, so that make runs what is missing (with -j, -k, -n)."""

from __future__ import annotations

import shlex

from experiments.records import NAME
from experiments.runs import Run
from experiments.scales import TABLES
from experiments.study import Study


def fragment(study: Study) -> str:
    """Rules for every record of the study, its data, and one variable a table listing its records.

    The including Makefile defines ``PY`` (Python of the environment), ``LAUNCH`` (what starts a run, ``$(PY)``
    or torchrun) and ``VENV`` (the file that says the environment is there).
    """
    runs = study.plan()
    lines = ["# Written by 'python -m experiments makefile'; it is written anew by every make."]
    for table in dict.fromkeys((*TABLES, *(run.table for run in runs), "report")):
        records = [record_path(run) for run in study.shown_in(table)]
        lines += ["", f"RECORDS_{table} := {' '.join(records)}"]
    folders = {run.data.folder for run in runs if run.data.scenes}
    for folder in sorted(folders):
        # order-only everywhere: a data folder's name is a hash of its content, so newer never means other
        write = shlex.join(["experiments", "data", *study.options])
        lines += ["", f"{folder}/manifest.json: | $(VENV)", f"\t$(PY) -m {write}"]
    for run in runs:
        needs = " ".join(record_path(need) for need in run.needs)
        first = " ".join(["$(VENV)"] + ([f"{run.data.folder}/manifest.json"] if run.data.scenes else []))
        command = shlex.join(["experiments", "run", run.id, *run.options])
        lines += ["", f"{record_path(run)}: {needs} | {first}", f"\t$(LAUNCH) -m {command}"]
    return "\n".join(lines) + "\n"


def record_path(run: Run) -> str:
    """Where the run's record goes, as make spells it."""
    return str(run.folder / NAME).replace(" ", "\\ ")
