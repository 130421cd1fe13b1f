"""Everything a report consists of, put together and written."""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from experiments import published
from experiments.entries import chosen, listed, setting_text
from experiments.ledger import LEDGER, SOURCES
from experiments.study import Study
from reports.figures import sheet
from reports.figures.accuracy import accuracy_figure
from reports.figures.examples import BAR_COLOURS, Examples, example_figure, find_examples, png
from reports.figures.gains import gain_figure
from reports.figures.gallery import Gallery
from reports.figures.kept import write_figures
from reports.figures.lambda_figures import lambda_curves
from reports.figures.predictions import OPEN, Prediction, find_predictions
from reports.figures.robustness_figures import robustness_curves
from reports.figures.style import Picture
from reports.figures.training import training_curves
from reports.formats.render import markdown_code, markdown_text, to_csv, to_latex, to_markdown
from reports.formats.table import Table
from reports.page import ledger, provenance, summary
from reports.page.origins import data_set, machine
from reports.records.collect import Collected
from reports.tables import fine_tuning, lambdas, occlusion, table1, table2, table3, table4, table5
from reports.tables.fine_tuning import Task
from transmix.common.files import replacing, write_text
from transmix.recipe import fingerprint

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class FineTuned:
    """A table of fine-tuned models, and what some of them predict.

    Attributes:
        task: what they are fine-tuned for.
        table: the table.
        predictions: a picture of each row and head that has one.
    """

    task: Task
    table: Table
    predictions: list[Prediction]


@dataclass(frozen=True)
class Report:
    """What is shown, in no format yet.

    Attributes:
        collected: the records.
        table1: Table 1.
        table2: Table 2.
        fine_tuned: Tables 3 and 4.
        table5: Table 5.
        occlusion: the table of areas under the curves of robustness.
        lambdas: the table of the lambda study.
        gains: the figure of Table 1, if it has several models.
        accuracy: top-1 against parameters, likewise.
        curves: of training and of lambda through it, a gallery of each kind.
        occlusion_curves: figures of robustness, a gallery of each kind.
        sheet: what a sweep does to an image, if there was one.
        examples: pictures of the lambda study, if there are any.
        problems: one line for every file that could not be read.
    """

    collected: Collected
    table1: Table
    table2: Table
    fine_tuned: list[FineTuned]
    table5: Table
    occlusion: Table
    lambdas: Table
    gains: Picture | None
    accuracy: Picture | None
    curves: list[Gallery]
    occlusion_curves: list[Gallery]
    sheet: sheet.Sheet | None
    examples: Examples | None
    problems: list[str]


def build(collected: Collected) -> Report:
    """All tables and figures of a study."""
    examples, problems = find_examples(collected)
    drawn, torn = sheet.find_sheet(collected)
    problems += torn
    fine_tuned = []
    for task in (table3.TASK, table4.TASK):
        predictions, unreadable = find_predictions(collected, task)
        fine_tuned.append(FineTuned(task, fine_tuning.build(collected, task), predictions))
        problems += unreadable
    return Report(
        collected=collected,
        table1=table1.build(collected),
        table2=table2.build(collected),
        fine_tuned=fine_tuned,
        table5=table5.build(collected),
        occlusion=occlusion.build(collected),
        lambdas=lambdas.build(collected),
        gains=gain_figure(collected),
        accuracy=accuracy_figure(collected),
        curves=training_curves(collected) + lambda_curves(collected),
        occlusion_curves=robustness_curves(collected),
        sheet=drawn,
        examples=examples,
        problems=collected.problems + problems,
    )


def report_folder(study: Study) -> Path:
    """Where a study's report goes; other data or changed recipes have a report of their own."""
    name = "report"
    if study.imagenet is not None and study.scale.scenes is not None:
        name += f"-{study.classification_data.name}"
    if study.changed:
        name += f"-set-{fingerprint(study.changed)[:8]}"
    return study.results / study.scale.name / name


def write(report: Report, folder: Path) -> Path:
    """Write every format into `folder`, the page last; returns the page's path."""
    pictures = [picture for picture in (report.gains, report.accuracy) if picture is not None]
    pictures += [picture for gallery in (*report.curves, *report.occlusion_curves) for picture in gallery.pictures]
    if report.examples is not None:
        pictures.append(example_figure(report.examples))
    write_figures(pictures, folder / "figures")
    if report.sheet is None:
        (folder / "figures" / sheet.FILE).unlink(missing_ok=True)
    else:
        with replacing(folder / "figures" / sheet.FILE) as temporary:
            temporary.write_bytes(report.sheet.png)
    tables = [(report.table1, table1.numbers), (report.table2, table2.numbers)]
    planned = [found for found in report.fine_tuned if found.table.rows]
    tables += [(found.table, partial(fine_tuning.numbers, task=found.task)) for found in planned]
    tables += [(report.table5, table5.numbers), (report.occlusion, occlusion.numbers)]
    tables += [(report.lambdas, lambdas.numbers)]
    for table, numbers in tables:
        write_text(folder / f"{table.name}.tex", to_latex(table))
        write_text(folder / f"{table.name}.csv", to_csv(numbers(report.collected)))
    write_text(folder / "occlusion_curves.csv", to_csv(occlusion.points(report.collected)))
    write_text(folder / "report.md", render("report.md", report, pictures))
    page = folder / "index.html"
    write_text(page, render("page.html", report, pictures))
    return page


def template_environment() -> Environment:
    """Templates of this folder, and the filters that they use."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"data_uri": data_uri, "png": png, "cell": markdown_text, "code": markdown_code}
    environment.filters |= {"markdown": to_markdown}
    environment.filters |= {"record_links": provenance.record_links, "group_links": provenance.group_links}
    environment.filters |= {"setting": setting_text, "data_set": data_set, "machine": machine, "integrity": integrity}
    environment.filters["models"] = partial(listed, name=published.model_name)
    environment.globals["script"] = Markup((TEMPLATES / "page.js").read_text(encoding="utf-8"))
    return environment


def render(template: str, report: Report, pictures: list[Picture]) -> str:
    """A template filled with a report."""
    environment, collected = template_environment(), report.collected
    return environment.get_template(template).render(
        report=report,
        study=collected.study,
        protocol=occlusion.protocol(collected.study.sweep),
        command=shlex.join(["python", "-m", "reports", *collected.study.options]),
        banner=summary.banner(collected),
        summary=summary.lines(collected),
        provenance=provenance.trace(collected),
        cautions=provenance.cautions(collected),
        example_picture=next((picture for picture in pictures if picture.name == "examples"), None),
        shown_at_once=OPEN,
        lambda_colours=BAR_COLOURS,
        source=published.table1()[0].source,
        ledger=LEDGER,
        ledger_sources=SOURCES,
        chosen=chosen,
        used=partial(ledger.used, collected),
    )


def data_uri(content: str | bytes, media_type: str) -> str:
    """A file's content as an address that needs no file."""
    data = content.encode() if isinstance(content, str) else content
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def integrity(script: str) -> str:
    """What allows a page to run this inline script, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
