"""What a report says about known records, in every format."""

from __future__ import annotations

import io
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas
import pytest
from reported import cells, three_seeds, written

from experiments.study import Study
from reports.__main__ import main
from reports.page.report import build, report_folder, write
from reports.records.collect import collect
from reports.tables import tables


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Study:
    return three_seeds(tmp_path_factory.mktemp("three"))


@pytest.fixture(scope="module")
def texts(three) -> dict[str, str]:
    return written(three)


# 95 % t-interval of (1, 2, 3): 4.302653 * 1 / sqrt(3) = 2.484
def test_table1_has_means_and_the_paired_interval(three):
    row = cells(collect(three), "table1")
    assert row["baseline"] == "50.00"
    assert row["transmix"] == "52.00 ± 2.48"
    assert row["gain"] == "+2.00 ± 2.48"
    assert row["seeds"] == "3"
    assert row["parameters"] == "0.31"
    assert row["gmacs"] == "0.015"
    assert row["model"] == "deit_micro_tiny_patch8_64"
    verdict, power = tables()["table1"].build(collect(three)).notes
    assert "No difference is shown: +2.00 points" in verdict
    assert "3 seeds, −0.48 to +4.48, includes zero" in verdict
    # a table of power: an effect of 0.4 deviations takes 52
    assert "DeiT-T, standard deviation 1.00 points in 3 seeds: the published +0.4 points take 52 seeds" in power
    assert power.endswith("and 3 seeds can show 3.26 points.")


def test_lambda_table_and_its_sentence(three):
    row = cells(collect(three), "lambda")
    assert row["mixes"] == "1,536"
    assert row["label_shift"] == "0.062"
    assert (row["error_area"], row["error_attention"], row["error_mean"]) == ("0.125", "0.087", "0.092")
    note, caution = tables()["lambda"].build(collect(three)).notes
    assert "need not mean a better label" in caution
    assert "area-λ errs by 0.125 from the true share, attention-λ by 0.087, and their mean" in note
    assert "mean minus area is −0.033, and all 3 seeds give the same, so that there is no interval" in note


def test_every_format_has_the_measured_numbers(texts):
    for name in ("index.html", "report.md"):
        for number in ("50.00", "52.00", "+2.00 ± 2.48", "27.95", "29.05", "0.125", "0.087", "0.092"):
            assert number in texts[name], (name, number)
    assert r"+2.00 $\pm$ 2.48" in texts["table1.tex"]
    assert r"50.00 & 52.00 $\pm$ 2.48" in texts["table1.tex"]


def test_csv_is_unrounded_and_names_its_records(three, texts):
    rows = pandas.read_csv(io.StringIO(texts["table1.csv"]), index_col="row")
    assert len(rows) == 12
    measured = rows.loc["deit_t"]
    assert measured["measured_baseline"] == 50.0
    assert measured["measured_transmix"] == 52.0
    assert measured["measured_gain"] == 2.0
    assert measured["measured_gain_half_width_95"] == pytest.approx(4.302652729911275 / math.sqrt(3), abs=1e-9)
    assert measured["paired_seeds"] == 3
    ids = [run.id for run in three.plan() if run.table == "table1" and run.method == "baseline"]
    assert measured["baseline_records"].split() == ids
    assert (rows["status"].drop("deit_t") == "not run").all()
    assert rows["measured_baseline"].drop("deit_t").isna().all()
    assert all(rows[name].dtype == float for name in rows if name.startswith("published_") and name[-1] != "e")


def test_latex_escapes_what_latex_would_read(texts):
    tex = texts["table1.tex"]
    assert r"deit\_micro\_tiny\_patch8\_64" in tex
    assert not re.search(r"(?<!\\)[_#$&%](?=[a-z])", tex.split("\n", 1)[1])
    assert r"95 \% interval" in tex
    assert tex.count(r"\multicolumn{7}{c}{\textit{not run}}") == 11


def test_page_has_all_parts(three, texts):
    page = texts["index.html"]
    assert three.scale.purpose in page
    assert "not comparable with the published column" in page
    assert re.findall("<dt>(.*?)</dt>", page.split("<nav")[0]) == ["Runs", "Not run"]  # the claims come first
    assert page.index('id="claims"') < page.index('id="table1"')
    planned = len(three.plan())
    assert f"{planned} of {planned} planned runs" in page
    assert "4,000 training and 1,000 validation images" in page
    for run in three.plan():
        assert f'id="record-{run.id}"' in page
        assert f"<code>{run.command}</code>" in page
    assert "2 min 05 s" in page
    assert "0123456789" in page
    assert "2026-01-02" in page
    assert "ring &amp; &lt;blue&gt;" in page  # class names are escaped
    assert page.count('<table class="bars">') == 6


class Audit(HTMLParser):
    """What a page links to, embeds and leaves undescribed."""

    def __init__(self):
        super().__init__()
        self.sources, self.anchors, self.targets, self.undescribed, self.tags = [], [], set(), 0, set()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.add(tag)
        self.sources += [given[name] for name in ("src", "srcset", "data", "poster") if name in given]
        if tag == "link":
            self.sources.append(given["href"])
        if tag == "a":
            self.anchors.append(given["href"])
        if "id" in given:
            assert given["id"] not in self.targets, given["id"]
            self.targets.add(given["id"])
        self.undescribed += tag == "img" and not given.get("alt")


def test_page_is_self_contained_and_described(texts):
    audit = Audit()
    audit.feed(texts["index.html"])
    assert audit.sources
    assert all(source.startswith("data:image/") for source in audit.sources)
    assert audit.undescribed == 0
    assert not {"iframe", "object", "link"} & audit.tags
    assert not re.search(r"<script\s|\son[a-z]+=", texts["index.html"])  # scripts are inline, handlers are not
    assert not re.search(r"url\(|@import", texts["index.html"])
    inside = {anchor[1:] for anchor in audit.anchors if anchor.startswith("#")}
    assert inside <= audit.targets


def test_markdown_links_lead_to_files(three, texts):
    folder = report_folder(three)
    links = re.findall(r"\]\(([^)]+)\)", texts["report.md"])
    assert len(links) > 15
    for link in links:
        assert (folder / link).exists(), link


def test_same_records_give_the_same_bytes(three, texts):
    folder = report_folder(three)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    unwritten = {"table3", "table4", "table6", "table7", "speed", "estimates"}
    written = {*tables()} - unwritten | {run.table for run in three.plan() if run.part}
    # the page and its text; tables as LaTeX and CSV; points of curves; what is published of ways to mix; two curves,
    # that of lambda, three of robustness and the examples, as PNG and SVG, and what they were drawn from
    assert len(before) == 2 + 2 * len(written) + 1 + 1 + 2 * 7 + 1
    write(build(collect(three)), folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("table", "number"),
    [
        ("table1", "52.00"),
        ("table2", "+2.00 ± 2.48"),
        ("table5", "39.70 ± 0.25"),
        ("occlusion", "29.05"),
        ("lambda", "0.087"),
    ],
)
def test_one_table_is_printed_and_nothing_written(three, texts, capsys, monkeypatch, table, number):
    before = {path: path.stat().st_mtime_ns for path in Path(three.results).rglob("*")}
    monkeypatch.setattr(sys, "argv", ["reports", *three.options, "--table", table])
    main()
    output = capsys.readouterr()
    assert number in output.out
    made_by = f"This table: make {table} SCALE=tiny ROWS=deit_t SEEDS=3 "  # on whose data, with what SET
    assert output.out.splitlines()[-1].startswith(made_by)
    assert "\x1b" not in output.out
    assert output.err == ""
    assert {path: path.stat().st_mtime_ns for path in Path(three.results).rglob("*")} == before
