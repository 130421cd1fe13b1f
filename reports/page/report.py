"""Everything a report consists of, put together and written: every table that is found, with its figures."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.entries import Entry, by_value, chosen
from experiments.ledger import LEDGER, SOURCES
from experiments.rows import table1
from experiments.study import Study
from reports.figures.kept import write_figures
from reports.figures.style import Picture
from reports.formats.html import fill
from reports.formats.render import to_csv, to_latex
from reports.formats.table import Table
from reports.page import provenance, summary
from reports.records.collect import Collected
from reports.tables import Shown, TableSpec, tables
from transmix.common.files import write_text
from transmix.common.text import printable_lines
from transmix.recipe import fingerprint

PAGE = "index.html"


@dataclass(frozen=True)
class Section:
    """One table and all that is shown with it.

    Attributes:
        spec: what is declared of the table.
        table: it for people.
        text: the paragraph above it; may be empty.
        shown: what is below it.
    """

    spec: TableSpec
    table: Table
    text: str
    shown: Shown


@dataclass(frozen=True)
class Report:
    """What is shown, in no format yet.

    Attributes:
        collected: the records.
        sections: every table, in the order in which they are shown.
    """

    collected: Collected
    sections: dict[str, Section]

    @property
    def pictures(self) -> list[Picture]:
        """All figures that the report draws."""
        blocks = (block for section in self.sections.values() for block in section.shown.blocks)
        return [picture for block in blocks for picture in block.pictures]

    @property
    def problems(self) -> list[str]:
        """One line for every file that could not be read."""
        beside = [problem for section in self.sections.values() for problem in section.shown.problems]
        return self.collected.problems + beside


def build(collected: Collected) -> Report:
    """All tables and figures of a study."""
    sections = {
        name: Section(spec, spec.build(collected), spec.text(collected), spec.figures(collected))
        for name, spec in tables().items()
    }
    return Report(collected, sections)


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
    write_figures(report.pictures, folder / "figures")
    for name, section in report.sections.items():
        if section.table.rows:
            write_text(folder / f"{name}.tex", to_latex(section.table))
            files = {name: section.spec.numbers} | section.spec.files
            for file, numbers in files.items():
                write_text(folder / f"{file}.csv", to_csv(numbers(report.collected)))
    write_text(folder / "report.md", printable_lines(render("report.md", report, folder)))
    page = folder / PAGE
    write_text(page, printable_lines(render("page.html", report, folder)))
    return page


def render(template: str, report: Report, folder: Path) -> str:
    """A template filled with a report, for a file in `folder`."""
    collected = report.collected
    return fill(
        template,
        report=report,
        study=collected.study,
        command=shlex.join(["python", "-m", "reports", *collected.study.options]),
        banner=summary.banner(collected),
        summary=summary.lines(collected),
        provenance=provenance.trace(collected),
        published=provenance.published_records(section.table for section in report.sections.values()),
        published_folder=provenance.published_folder(folder),
        cautions=provenance.cautions(collected),
        source=next(iter(table1().values())).source,
        ledger=LEDGER,
        ledger_sources=SOURCES,
        chosen=chosen,
        used=partial(used, collected),
    )


def used(collected: Collected, entry: Entry) -> dict[str, list[str]]:
    """An entry of the ledger: its settings as the TransMix runs that have a record used them, and the rows that did."""
    done = {row: collected.done("table1", row, "transmix") for row in collected.study.rows}
    # a run's id, which is checked when its record is read, covers its settings
    return by_value(entry, {row: results[0].run.settings for row, results in done.items() if results})
