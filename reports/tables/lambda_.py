"""Area-lambda and attention-lambda against the share of the pasted image that is really to be seen."""

from __future__ import annotations

from typing import Any

from experiments.rows import model_name
from reports.analysis.arms import Arm, arm, arm_of
from reports.analysis.metrics import metric
from reports.analysis.names import method_name, methods_in, with_method
from reports.analysis.statistics import estimate_numbers, paired_difference
from reports.analysis.words import interval_text, number
from reports.formats.table import Cell, Column, Table, missing
from reports.records.collect import Collected
from reports.tables import Numbers, Shown, TableSpec

RULES = ("area", "attention", "mean")
_NAMES = {"area": "area (CutMix)", "attention": "attention", "mean": "mean", "true": "true share"}
_WORDS = {"area": "area-λ", "attention": "attention-λ", "mean": "their mean"}
MEANS = ("label_shift", *(f"error_{rule}" for rule in RULES))
ERRORS = "mean absolute error"
CAPTION = (
    "λ is the share of the pasted image in the label. The true share is the pasted image’s part of all "
    "object pixels that the mixed image shows; it is known where the data has masks. The label shift is the "
    "mean distance of the label that {methods} uses from area-λ, the error that from the true share. Measured at scale "
    "{scale}; means over seeds. Not in the paper, so nothing is published."
)
CAUTION = "Nearer to the visible share of pixels need not mean a better label."


def lambda_names(label_rule: str) -> dict[str, str]:
    """What each lambda is called where a method labels by `label_rule`, a recipe's setting; empty for none of them."""
    used = {"oracle": "true"}.get(label_rule, label_rule)
    return {name: f"{text}: the label" if name == used else text for name, text in _NAMES.items()}


def label_rule(collected: Collected, row: str, method: str) -> str:
    """How the runs of a row by a method label a CutMix image; empty where none is planned."""
    settings = arm(collected, row, method).settings
    return settings["label_rule"] if settings else ""


def _lines(collected: Collected) -> list[tuple[str, str]]:
    """Rows and methods of the table."""
    return [(row, method) for row in collected.study.rows for method in methods_in(collected, "lambda", row)]


def build(collected: Collected) -> Table:
    """One line for each row and method: errors of the three lambdas, averaged over seeds."""
    lines = _lines(collected)
    rules = {label_rule(collected, *line) for line in lines}
    names = lambda_names(rules.pop() if len(rules) == 1 else "")
    columns = (
        Column("name", "Model", align="left"),
        Column("mixes", "Mixed images"),
        Column("label_shift", "Label shift"),
        *(Column(f"error_{rule}", names[rule], ERRORS) for rule in RULES),
    )
    notes = [f"{with_method(*line)}: {verdict(collected, *line)}." for line in lines if _arm(collected, *line).results]
    methods = " or ".join(dict.fromkeys(method_name(method) for _, method in lines))
    caption = CAPTION.format(methods=methods, scale=collected.study.scale.name)
    cells = tuple(_cells(collected, *line) for line in lines)
    return Table("lambda", caption, columns, cells, (*notes, CAUTION) if notes else ())


def verdict(collected: Collected, row: str, method: str) -> str:
    """What the errors allow to say, as a sentence without its full stop."""
    errors = {rule: _arm(collected, row, method, f"error_{rule}") for rule in RULES}
    if not all(found.by_seed for found in errors.values()):
        return "the data has no masks, so the true share is unknown and no λ can be called better"
    used = label_rule(collected, row, method)
    means = {rule: number(found.mean.mean, 3) for rule, found in errors.items()}
    label = f"{method_name(method)}’s label"
    area, attention, mean = (f"{words}, {label}," if rule == used else words for rule, words in _WORDS.items())
    text = (
        f"{area} errs by {means['area']} from the true share, {attention} by {means['attention']}, and {mean} by "
        f"{means['mean']}"
    )
    rule = "attention" if used == "attention" else "mean"
    gain = paired_difference(errors["area"].by_seed, errors[rule].by_seed)
    if gain is None or gain.count == 1:
        return f"{text}; this is one trained model, so without an interval"
    return f"{text}; {rule} minus area is {number(gain.mean, 3, sign=True)}, and {interval_text(gain, 3)}"


def _arm(collected: Collected, row: str, method: str, name: str = "mixes") -> Arm:
    return arm_of(collected, "lambda", row, method).of(metric(name))


def _cells(collected: Collected, row: str, method: str) -> dict[str, Cell]:
    cells = {"name": Cell(with_method(row, method))}
    runs = _arm(collected, row, method)
    if not runs.results:
        return cells | dict.fromkeys(("mixes", *MEANS), missing(runs.status))
    cells["mixes"] = Cell(f"{sum(runs.by_seed.values()):,}", "measured", runs.sources, links=True)
    for name in MEANS:
        found = runs.of(metric(name)).mean
        cells[name] = Cell(number(found.mean, 3), "measured", runs.sources) if found else missing("no masks")
    return cells


def numbers(collected: Collected) -> Numbers:
    """The table for programs, unrounded: one line for each row and method."""
    return [_numbers(collected, *line) for line in _lines(collected)]


def _numbers(collected: Collected, row: str, method: str) -> dict[str, Any]:
    runs = _arm(collected, row, method)
    line = {"row": row, "model": model_name(row), "method": method, "status": runs.status}
    line |= {"seeds": len(runs.results), "mixes": sum(runs.by_seed.values())}
    for name in MEANS:
        line |= estimate_numbers(name, runs.of(metric(name)).mean)
    records = " ".join(source.id for source in runs.sources)
    return line | {"label_rule": label_rule(collected, row, method), "records": records}


def figures(collected: Collected) -> Shown:
    """Mixed images with the class attention on them, of the first run that has some."""
    from reports.figures.examples import find_examples  # matplotlib takes a second to import

    done = [result for line in _lines(collected) for result in _arm(collected, *line).results]
    examples, problems = find_examples(done, lambda run: lambda_names(label_rule(collected, run.row, run.method)))
    return Shown((examples,) if examples else (), tuple(problems))


TABLE = TableSpec(
    label="What TransMix changes",
    title="What TransMix changes",
    build=build,
    numbers=numbers,
    position=7,
    figures=figures,
)
