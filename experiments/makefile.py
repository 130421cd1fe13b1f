"""The generated makefile fragment: a target for each record, so that make runs what is missing (with -j, -k, -n)."""

from __future__ import annotations

import hashlib
import re
import shlex
from pathlib import Path

from experiments.records import NAME
from experiments.scales import TABLES
from experiments.study import Study
from transmix.common.errors import UserError
from transmix.common.files import replacing
from transmix.data.scenes.spec import MANIFEST

PLANS = Path(".venv", "plans")  # beside the environment: make can read no file whose path has a space in it
_TOO_MUCH = re.compile(r"[;=|*?\[\\\x00-\x1f\x7f]|^~")  # make takes them for its own, whatever stands before them


def write_plan(study: Study) -> Path:
    """Write the study's `fragment`, under a name that depends on its content; returns its path.

    Raises:
        UserError: make cannot carry the name of a folder.
        Unwritable: no room for it.
    """
    text = fragment(study).encode(errors="surrogateescape")  # paths as they are, whether UTF-8 or not
    path = PLANS / f"{hashlib.sha256(text).hexdigest()[:16]}.mk"
    if not path.exists():
        with replacing(path) as file:
            file.write(text)
    return path


def fragment(study: Study) -> str:
    """Rules for every record of the study, its data, and one variable a table listing its records.

    The including Makefile defines ``PY`` (Python of the environment), ``LAUNCH`` (what starts a run, ``$(PY)``
    or torchrun) and ``VENV`` (the file that says the environment is there).
    """
    runs = study.plan()
    lines = ["# Written by 'python -m experiments makefile'; it is written anew by every make."]
    for table in dict.fromkeys((*TABLES, *(run.table for run in runs), "report")):
        records = [needed(run.folder / NAME) for run in study.shown_in(table)]
        lines += ["", f"RECORDS_{table} := {' '.join(records)}"]
    embedded = {run.data.name: run.data.folder for run in runs if run.data.scenes}
    for name in sorted(embedded):
        # order-only everywhere: a data folder's name is a hash of its content, so newer never means other
        write = command(["experiments", "data", name, *study.options])
        lines += _rule(embedded[name] / MANIFEST, "| $(VENV)", f"$(PY) -m {write}")
    for run in runs:
        needs = " ".join(needed(need.folder / NAME) for need in run.needs)
        first = " ".join(["$(VENV)"] + ([needed(run.data.folder / MANIFEST)] if run.data.scenes else []))
        carry_out = command(["experiments", "run", run.id, *run.options])
        lines += _rule(run.folder / NAME, f"{needs} | {first}", f"$(LAUNCH) -m {carry_out}")
    return "\n".join(lines) + "\n"


def _rule(path: Path, prerequisites: str, recipe: str) -> list[str]:
    """What makes a file. It is there whole or not at all, so make removes none: another make may have written it."""
    return ["", f".PRECIOUS: {needed(path)}", f"{made(path)}: {prerequisites}", f"\t{recipe}"]


def needed(path: Path) -> str:
    """A path as make spells it among a target's prerequisites.

    Raises:
        UserError: make has no spelling for it.
    """
    if _TOO_MUCH.search(str(path)):
        raise UserError(
            f"make cannot carry the folder {str(path.parent)!r}, for one of ; = | * ? [ \\ or a control character in "
            "it, or ~ before it: choose another"
        )
    return re.sub(r"([ #:])", r"\\\1", str(path)).replace("$", "$$")


def made(path: Path) -> str:
    """A path as make spells it as a target, where per cent signs mean patterns."""
    return needed(path).replace("%", r"\%")


def command(words: list[str]) -> str:
    """A command line as make spells it."""
    return shlex.join(words).replace("$", "$$")
