"""The page without a browser: what its markup promises, its colours, and what it says of every record."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import escape

from experiments.cards import card
from experiments.entries import setting_text
from experiments.records import DataInfo, Environment, write_record
from experiments.study import Study
from reports.figures import colours as palette
from reports.formats.html import TEMPLATES, record_links
from reports.formats.table import Cell, Column, Source, Table
from reports.page.provenance import trace
from reports.page.report import build, report_folder, write
from reports.records.collect import Collected, collect
from reports.records.origins import data_set, duration, machine
from tests.made_up import make_study, record_of, write_study
from transmix.methods import methods

CSS = (TEMPLATES / "page.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in CSS.split("@media", 1)[0:2])
DARK = LIGHT | DARK
# every text colour and what it stands on
TEXT = [
    *(("ink", ground) for ground in ("paper", "card", "published", "warn")),
    *(("muted", ground) for ground in ("paper", "card", "published", "measured", "warn")),
    *(("link", ground) for ground in ("paper", "card", "measured", "warn")),
    ("measured-ink", "measured"),
    ("measured-ink", "paper"),
    ("bad", "paper"),
]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_meets_wcag_aa(colours):
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    for text, ground in TEXT:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_text_in_figures_meets_wcag_aa():
    for colour in (*palette.method_colours().values(), *palette.PALETTE, palette.INK, palette.MUTED):
        assert contrast(colour, LIGHT["paper"]) >= 4.5, colour
        assert contrast(palette.dark(colour), DARK["paper"]) >= 4.5, colour


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """Two models, of which one is fine-tuned, two seeds; one record is missing and one is of another machine."""
    study = make_study(tmp_path_factory.mktemp("page"), "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    (run_named(study, "table1.deit_t.baseline.seed1").folder / "record.json").unlink()
    other = run_named(study, "table5.deit_t.transmix.seed1")
    record = record_of(other, collect(study).of("table5", "deit_t", "transmix")[1].metrics)
    environment = replace(record.environment, device="NVIDIA H100", processes=8)
    write_record(other.folder, replace(record, environment=environment, files={"scores.npz": "ab" * 32}))
    return study


@pytest.fixture(scope="module")
def collected(study) -> Collected:
    return collect(study)


@pytest.fixture(scope="module")
def page(study, collected) -> str:
    return write(build(collected), report_folder(study)).read_text()


def run_named(study: Study, name: str):
    return next(run for run in study.plan() if run.name == name)


class Outline(HTMLParser):
    """Headings in order, landmarks, header cells without a scope, and what a table has for a caption."""

    def __init__(self):
        super().__init__()
        self.levels, self.landmarks, self.unscoped, self.captions, self.tables = [], [], 0, 0, 0

    def handle_starttag(self, tag, attributes):
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag in ("header", "nav", "main", "footer"):
            self.landmarks.append(tag)
        self.unscoped += tag == "th" and "scope" not in dict(attributes)
        self.tables += tag == "table"
        self.captions += tag == "caption"


def test_outline_of_the_page(page):
    outline = Outline()
    outline.feed(page)
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert outline.landmarks == ["header", "nav", "main", "footer"]
    assert outline.unscoped == 0
    assert outline.captions == outline.tables > 7
    assert page.index('class="skip" href="#main"') < page.index("<header>")


def test_only_the_pages_own_script_may_run(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_every_measured_number_leads_to_its_records(page, collected):
    cells = re.findall(r'<td[^>]* class="[^"]*\bmeasured\b[^"]*"[^>]*>(.*?)</td>', page, re.DOTALL)
    assert len(cells) > 60
    assert all(re.search(r'href="#(record|runs)-', cell) for cell in cells)
    for result in collected.results:
        assert f'id="record-{result.run.id}"' in page
    # a difference leads to the runs of both methods, which are in one place
    assert re.search(r'<a href="#runs-table1\.xcit_t">\+1\.50 ± 6\.35</a>', page)


def test_a_record_tells_all_that_made_it(page):
    (row,) = re.findall(r'<tbody id="record-table5\.deit_t\.transmix\.seed1.*?</tbody>', page, re.DOTALL)
    recipe, data, environment = (
        re.search(rf'href="#{what}-(\d+)"', row)[1] for what in ("recipe", "data", "environment")
    )
    for text in ("<td>1</td>", "2 min 05 s", "not recorded", "2026-01-02 03:04", "ab" * 32, "scores.npz"):
        assert text in row
    assert "<code>python -m experiments run table5.deit_t.transmix.seed1 --scale tiny" in row
    (machine,) = re.findall(rf'id="environment-{environment}".*?</dd>', page, re.DOTALL)
    for text in ("NVIDIA H100 × 8", "2 threads a process", "Python 3.11.0", "0123456789abcdef0123456789abcdef01234567"):
        assert text in machine
    assert "feedfacefeedface" in re.search(rf'id="data-{data}".*?</dd>', page, re.DOTALL)[0]
    assert "<dt>natural</dt><dd>scenes-A</dd>" in re.search(rf'id="recipe-{recipe}".*?</dl>', page, re.DOTALL)[0]


def test_what_records_have_in_common_is_there_once(page, collected):
    found = trace(collected)
    assert len(found.entries) == len(collected.results)
    assert len(found.environments) == 2
    assert [data.fingerprint for data in found.data[1:]] == ["segmentation-print", "detection-print"]
    # two trained rows, two fine-tuned configurations, and three protocols
    assert len(found.recipes) == 2 * 2 + 2 + 3 + 1  # the last is what a step costs
    assert page.count("<dt>weight_decay</dt>") == 4
    done = {group.key: (group.done, len(group.entries)) for group in found.groups}
    assert done["table1.deit_t"] == (3, 4)
    assert done["table3.xcit_t.upernet"] == (6, 6)
    assert [group.table for group in found.groups] == sorted((group.table for group in found.groups), key=rank)


def rank(table: str) -> int:
    return ["table1", "table2", "table3", "table4", "table5", "occlusion", "lambda"].index(table)


def test_many_seeds_are_one_link():
    few = tuple(Source(f"table1.deit_t.transmix.seed{seed}-{seed:08}", seed) for seed in range(5))
    assert record_links(few)[4] == ("4", "record-table1.deit_t.transmix.seed4-00000004")
    many = tuple(Source(f"table3.deit_t.upernet.{method}.seed{seed}-0", seed) for seed in range(9) for method in "ab")
    assert record_links(many) == [("18", "runs-table3.deit_t.upernet")]


def test_rows_that_belong_together_are_one_block_and_texts_have_values():
    columns = (Column("model", "Model", align="left"), Column("what", "What", align="left"), Column("value", "Value"))
    rows = tuple(
        {"model": Cell(m), "what": Cell(w), "value": Cell(v)} for m, w, v in zip("aabb", "xyxy", "1234", strict=True)
    )
    assert [len(block) for block in Table("t", "", columns, rows).blocks] == [2, 2]
    texts = {"−1.50 ± 0.2": -1.5, "+0.10 to +0.52": 0.1, "1,536": 1536, "12": 12, "–": None, "not run": None, "": None}
    assert {text: Cell(text).value for text in texts} == texts


def test_origins_in_words():
    assert [setting_text(value) for value in (None, True, 1e-5, [0.7, 1.0], "bf16")] == [
        "none",
        "true",
        "1e-05",
        "0.7,1.0",
        "bf16",
    ]
    assert [duration(seconds) for seconds in (8.44, 59.96, 725, 11_220)] == [
        "8.4 s",
        "1 min 00 s",
        "12 min 05 s",
        "3 h 07 min",
    ]
    data = DataInfo("imagenet", False, "class folders", 1000, {"train": 1_281_167, "val": 50_000}, "print")
    assert data_set(data) == "imagenet (class folders): 1,000 classes, 1,281,167 training and 50,000 validation images"
    environment = Environment("", "3.11", {"torch": "2"}, "CPU", threads=1, processes=1, operators="x")
    assert machine(environment) == "CPU; 1 thread a process; Python 3.11, torch 2; operators: x"
    named = replace(environment, processor="AMD EPYC 9554", operators=None)
    assert machine(named) == "CPU; AMD EPYC 9554; 1 thread a process; Python 3.11, torch 2"


def test_records_are_files_beside_the_report(page, study):
    links = re.findall(r'href="(\.\./[^"]+)"', page)
    assert len(links) == len(study.plan()) - 1
    assert all((report_folder(study) / Path(link)).is_file() for link in links)


def test_each_method_has_a_folded_card_with_the_commands_text(page):
    folds = page[page.index('<details class="cards">') :].split("<details>\n")
    found = [re.match(r"<summary><b>([^<]+)</b>.*?</summary>\n(.*?)</details>", fold, re.DOTALL) for fold in folds]
    cards = dict(one.groups() for one in found if one)
    for name, method in methods().items():
        *paragraphs, declared = re.findall("<p>(.*?)</p>", unescape(cards[str(escape(method.title))]), re.DOTALL)
        text = re.sub("</?code>", "", "\n\n".join(paragraphs))
        assert text == "\n\n".join(" ".join(one.split()) for one in method.card.replace("`", "").split("\n\n"))
        assert declared == "<br>".join(card(name).declared)
    assert "<code>make table1</code>" in cards["TransMix"]


def test_published_columns_are_folded_without_script(page):
    table = page[page.index('<div class="folding">') :].partition("</table>")[0]
    assert table.index('<input type="checkbox" id="table2-folded">') < table.index('<div class="scroll"')
    heads = re.findall(r'<th scope="col" class="([^"]*)">([^<]+)</th>', table)
    assert [title for classes, title in heads if "folded" in classes] == [
        *("DeiT-T", "DeiT-S", "DeiT-B", "PVT-T", "PVT-S"),
        *("200 epochs", "600 epochs"),
    ]
    rows = table.count("<tr") - 2
    folded = re.findall(r'<td(?: colspan="(\d)")? class="[^"]*folded', table)
    assert sum(int(span or 1) for span in folded) == 7 * rows
    assert ".folding > input:not(:checked) ~ .scroll .folded { display: none; }" in page


def test_many_unreadable_records_are_folded(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    for number, run in enumerate(study.plan(), start=1):
        run.folder.mkdir(parents=True)
        (run.folder / "record.json").write_text("{")
        text = write(build(collect(study)), report_folder(study)).read_text()
        assert text.count("is not readable (") == number
        assert (f"<summary><b>{number} unreadable files</b></summary>" in text) == (number > 5)
