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

from experiments.rows import table1 as published
from experiments.study import Study
from reports.__main__ import main
from reports.page.provenance import cautions
from reports.page.report import build, report_folder, write
from reports.records.collect import Collected, collect
from reports.tables import table1, tables
from tests.made_up import OTHER_DATA, make_study, write_examples, write_lambda, write_study, write_train


def cells(collected: Collected, table: str, line: int = 0) -> dict[str, str]:
    return {key: cell.text for key, cell in tables()[table].build(collected).rows[line].items()}


def run_named(study: Study, name: str):
    return next(run for run in study.plan() if run.name == name)


def written(study: Study) -> dict[str, str]:
    folder = report_folder(study)
    write(build(collect(study)), folder)
    return {name: (folder / name).read_text() for name in ("index.html", "report.md", "table1.tex", "table1.csv")}


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Study:
    """Three seeds with gains of 1, 2 and 3 points."""
    study = make_study(tmp_path_factory.mktemp("three"), "--scale", "tiny", "--rows", "deit_t", "--seeds", "3")
    write_study(study, (1.0, 2.0, 3.0))
    return study


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


def test_one_seed_says_that_it_says_little(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.5,))
    collected = collect(study)
    assert cells(collected, "table1")["gain"] == "+1.50"
    verdict, power = tables()["table1"].build(collected).notes
    assert "One seed says little about other trainings: the difference is +1.50 points" in verdict
    # 15 of 1,000 images: 1.96 * sqrt(.015 * .985 / 1000) = 0.75
    low, high = re.search(r"over images \(paired bootstrap\), \+(.*) to \+(.*), excludes zero", verdict).groups()
    assert (float(low), float(high)) == pytest.approx((0.75, 2.25), abs=0.1)
    assert power.startswith("Power: one seed has no spread")


def test_a_difference_is_claimed_only_outside_the_interval(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--seeds", "3")
    write_study(study, (2.0, 2.2, 2.4))
    verdict, _ = tables()["table1"].build(collect(study)).notes
    assert "With TransMix the top-1 is higher here, +2.20 points" in verdict
    write_study(study, (-2.0, -2.2, -2.4))
    verdict, _ = tables()["table1"].build(collect(study)).notes
    assert "With TransMix the top-1 is lower here, −2.20 points" in verdict


def test_runs_on_different_data_are_not_compared(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    write_train(run_named(study, "table1.deit_t.transmix.seed0"), 51.0, data=OTHER_DATA)
    row = cells(collect(study), "table1")
    assert (row["baseline"], row["transmix"], row["gain"]) == ("50.00", "51.00", "not paired")
    assert "Not compared" in tables()["table1"].build(collect(study)).notes[0]
    assert any("made on different data" in caution for caution in cautions(collect(study)))


def test_no_record_still_gives_a_page(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke")
    texts = written(study)
    assert f"0 of {len(study.plan())} planned runs" in texts["index.html"]
    for table in tables():
        for line in tables()[table].build(collect(study)).rows:
            kinds = {cell.kind for cell in line.values()}
            assert "measured" not in kinds
    assert not list((report_folder(study) / "figures").glob("*"))


def test_no_published_number_is_ever_measured(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t,deit_s")
    numbers = {text for row in published().values() for text in (row.baseline, row.transmix, row.params, row.flops)}
    write_train(run_named(study, "table1.deit_t.baseline.seed0"), 41.5)
    for line in tables()["table1"].build(collect(study)).rows:
        ours = [line[key].text for key in ("model", "parameters", "gmacs", "baseline", "transmix", "gain")]
        assert not numbers & set(ours)
        assert all(cell.sources for cell in line.values() if cell.kind == "measured")
    rows = table1.numbers(collect(study))
    measured = {row[key] for row in rows for key in row if key.startswith("measured_")}
    assert {row["baseline_seeds"] for row in rows} == {0, 1}
    assert measured == {307_850, 0.0149, 41.5, "deit_micro_tiny_patch8_64", None}


@pytest.mark.parametrize(
    "content",
    ['{"format": 2', "[]", '{"format": 1}', '{"format": 2, "run": {}}', "\x00", "[" * 100_000],
    ids=lambda text: repr(text[:30]),
)
def test_unreadable_record_is_named_and_the_rest_stands(tmp_path, content):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    broken = run_named(study, "table1.deit_t.transmix.seed0")
    (broken.folder / "record.json").write_text(content)
    collected = collect(study)
    (problem,) = collected.problems
    assert str(broken.folder / "record.json") in problem
    assert f"{broken.command} --restart" in problem
    assert "\n" not in problem
    row = cells(collected, "table1")
    assert (row["baseline"], row["transmix"], row["gain"]) == ("50.00", "52.00", "+2.00")  # of seed 1
    assert row["seeds"] == "2 and 1"


def test_unreadable_only_record_says_so_everywhere(tmp_path, capsys, monkeypatch):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    broken = run_named(study, "table1.deit_t.transmix.seed0")
    write_train(broken, 150.0)  # no accuracy
    monkeypatch.setattr(sys, "argv", ["reports", *study.options])
    main()
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert "unexpected value of metrics.top1" in output.err
    assert re.search(r"DeiT-T +72.2 +72.6 +\+0.4 +1 and 0 +50.00 +unreadable +unreadable", output.out)
    page = (tmp_path / "tiny" / "report" / "index.html").read_text()
    assert "unexpected value of metrics.top1" in page
    assert "1 record unreadable" in page
    assert "27.95" in page  # the occlusion runs still count
    assert output.out.endswith(f"Report: {tmp_path / 'tiny' / 'report' / 'index.html'}\n")


def test_a_record_of_another_run_is_not_taken(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    theirs, ours = (run_named(study, f"table1.deit_t.{method}.seed0") for method in ("baseline", "transmix"))
    (ours.folder / "record.json").write_bytes((theirs.folder / "record.json").read_bytes())
    (problem,) = collect(study).problems
    assert "is the record of another run, table1.deit_t.baseline.seed0" in problem


def test_broken_examples_cost_only_the_pictures(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    run = run_named(study, "lambda.deit_t.transmix.seed0")
    (run.folder / "examples.npz").write_text("no archive")
    report = build(collect(study))
    assert report.sections["lambda"].shown.blocks == ()
    (problem,) = report.problems
    assert f"{run.folder / 'examples.npz'} is not readable (not a numpy archive)" in problem
    assert cells(collect(study), "lambda")["error_area"] == "0.125"
    write_examples(run.folder / "examples.npz", 2)
    (examples,) = build(collect(study)).sections["lambda"].shown.blocks
    assert len(examples.items) == 2


def test_data_without_masks_claims_no_error(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    run = run_named(study, "lambda.deit_t.transmix.seed0")
    write_lambda(run, None)
    row = cells(collect(study), "lambda")
    assert (row["label_shift"], row["error_area"], row["error_mean"]) == ("0.062", "no masks", "no masks")
    (examples,) = build(collect(study)).sections["lambda"].shown.blocks
    assert "true" not in examples.items[0].lambdas
    assert "no λ can be called better" in tables()["lambda"].build(collect(study)).notes[0]


def test_reports_of_other_data_and_recipes_lie_apart(tmp_path):
    def name(*options: str) -> str:
        return report_folder(make_study(tmp_path, *options)).name

    own = name("--scale", "tiny", "--imagenet", str(tmp_path / "birds"))
    names = [name("--scale", "tiny"), own, name("--set", "lr=1e-3"), name("--set", "lr=2e-3")]
    assert len(set(names)) == 4
    assert own.startswith("report-birds-")
    assert name("--scale", "paper", "--imagenet", "/data/imagenet") == "report"


def test_paper_scale_has_no_banner(tmp_path):
    page = written(make_study(tmp_path, "--scale", "paper"))["index.html"]
    assert "not comparable" not in page


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
