"""From options to a study, and why some choices are refused. Standard library only."""

from __future__ import annotations

import argparse
from dataclasses import replace

from experiments.options import add_options, check_choices, options_of, spelled
from experiments.rows import rows
from experiments.scales import SCALES, Scale, needs_masks, readable, trained_by
from experiments.study import MOST, Study, concerning
from transmix.common.errors import UserError, unknown_name
from transmix.common.options import separated
from transmix.methods import methods
from transmix.recipe import parse_settings


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """The options that describe a study."""
    add_options(parser, Study)


def usual_study(scale: str, *options: str) -> Study:
    """The study of a scale by its name, all else as it is by default, or as other options say."""
    parser = argparse.ArgumentParser()
    add_study_options(parser)
    return study_from(parser.parse_args(["--scale", scale, *options]))


def study_from(args: argparse.Namespace) -> Study:
    """The study that parsed options describe; unknown names are errors that name the nearest."""
    check_choices(args, Study)
    scale = SCALES[args.scale]
    seeds = scale.seeds if args.seeds is None else args.seeds
    rows = _rows(args.rows, scale)
    if len(rows) * seeds > MOST:
        raise UserError(f"--seeds {seeds} of {len(rows)} rows: at most {MOST:,} in all, ask for fewer of either")
    if args.weights is not None and scale.name != "paper":
        raise UserError("--weights: public weights are of the paper's own models: add SCALE=paper (--scale paper)")
    given = {one.name: getattr(args, one.name) for one in options_of(Study) if one.name != "set"}
    resolved = {"scale": scale, "rows": rows, "seeds": seeds, "methods": None}
    study = Study(**(given | resolved), changed=parse_settings(args.set), options=spelled(args, Study))
    if args.methods:
        study = replace(study, methods=_chosen(args.methods, study))
    cells = study.grid.cells.values() if study.grid else ()
    trained = {method for row in study.rows for method in study.trained_by(row)}
    trained |= {method for row in study.rows for cell in cells for method in study.trained_in(row, cell)}
    for name in study.changed:
        if name != "mix_options" and trained and not any(name in concerning(one, study.changed) for one in trained):
            raise UserError(f"setting {name}: no method that is trained heeds it, --methods chooses others")
    known = {name for method in study.trained_by(study.mixed_row) for name in methods()[method].options}
    for name in study.changed.get("mix_options", {}):
        if not known:
            raise UserError(f"mix_options.{name}: no method that is trained has options, --methods chooses others")
        if name not in known:
            raise unknown_name("mix_option of the methods that are trained", name, known)
    for row in study.rows:
        for method in study.trained_by(row):
            study.recipe(row, method)  # what is out of range is said before data is looked for
    return study


def _rows(text: str | None, scale: Scale) -> tuple[str, ...]:
    """Rows by name, each once, all that a scale has, or its usual ones."""
    if not text:
        return scale.rows
    names = scale.known_rows if text == "all" else tuple(dict.fromkeys(separated("--rows", text)))
    for name in names:
        if name not in scale.known_rows:
            raise unknown_name(f"row at scale {scale.name}", name, scale.known_rows)
    return names


def _chosen(text: str, study: Study) -> tuple[str, ...]:
    """Methods by name, each once, or all that a study can train."""
    if text == "all":
        return tuple(name for name in methods() if not why_not(name, study))
    names = tuple(dict.fromkeys(separated("--methods", text)))
    for name in names:
        if name not in methods():
            raise unknown_name("method", name, methods())
        if needs_masks(name) and not study.masked:
            raise UserError(f"--methods {name} needs object masks, which only the embedded scenes have: leave it out")
        if not any(name in trained_by(row, (name,), study.mixed_row) for row in study.rows):
            raise UserError(f"--methods {name}: {unreadable(study.mixed_row)}: choose other --rows, or leave it out")
    return names


def why_not(method: str, study: Study) -> str:
    """Why a study cannot train by a method, in a few words; empty where it can."""
    try:
        study.recipe(study.mixed_row, method)
    except UserError as error:
        return str(error)
    if not readable(study.mixed_row, method):
        return unreadable(study.mixed_row)
    return "the data have no object masks" if needs_masks(method) and not study.masked else ""


def unreadable(row: str) -> str:
    """Why some methods cannot train a row."""
    return f"{rows()[row].title} does not show the attention that it reads"
