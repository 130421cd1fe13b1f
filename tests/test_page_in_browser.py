"""The page in a real browser: quiet, whole, sortable by mouse and keyboard, narrow, dark, printed, without scripts."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from reports.compare import runs as compare
from reports.figures.colours import BLUE, dark
from reports.page.report import build, report_folder, write
from reports.records.collect import collect
from reports.tables import tables
from tests.made_up import make_study, write_study

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (make sets it up)")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DARK_BLUE = dark(BLUE)
# for every heading of every table, what its column shows: at first, and after one, two and three clicks
SORT = """
() => [...document.querySelectorAll("table")].filter((table) => table.tHead).map((table) => {
  const at = (row, column) => { let end = 0; return [...row.cells].find((cell) => (end += cell.colSpan) > column); };
  const read = (column) => [...table.tBodies].map((body) => {
    const cell = at(body.rows[0], column);
    const gone = cell.classList.contains("missing");
    return [body.rows.length, gone ? null : cell.dataset.value ?? cell.textContent.trim(), table.textContent.length];
  });
  const name = table.id || table.caption.textContent;
  const buttons = [...table.querySelectorAll("thead tr:last-child th > button")];
  return [name, buttons.map((button, column) => {
    const states = [read(column)];
    for (let click = 0; click < 3; click++) { button.click(); states.push(read(column)); }
    return [button.textContent, button.parentElement.classList.contains("right"), states];
  })];
})
"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    """A report on three models and two seeds, of which some records are missing."""
    rows = "deit_t,pvt_t,xcit_t"
    study = make_study(tmp_path_factory.mktemp("browser"), "--scale", "tiny", "--rows", rows, "--seeds", "2")
    write_study(study, (1.0, 2.5))
    for run in study.plan():
        if run.name in ("table1.pvt_t.transmix.seed0", "table1.pvt_t.transmix.seed1", "table5.deit_t.baseline.seed0"):
            (run.folder / "record.json").unlink()
    return write(build(collect(study)), report_folder(study))


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser on this machine (any of {', '.join(BROWSERS)}; Debian: chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, page_file):
    """Opens a page; at the end nothing may have been asked of the network, and nothing complained about."""
    complaints, contexts = [], []

    def visit(width: int = 1280, file: Path = page_file, **options) -> sync_api.Page:
        options |= {"viewport": {"width": width, "height": 800}, "reduced_motion": "reduce"}
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url[:80]}"))
        page.on("request", lambda request: asked(request.url, file))
        page.goto(file.as_uri(), wait_until="load")
        return page

    def asked(url: str, file: Path) -> None:
        if not url.startswith("data:") and url.split("#")[0] != file.as_uri():
            complaints.append(f"request: {url[:80]}")

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def test_every_picture_is_there_and_every_link_leads_somewhere(visit, page_file):
    page = visit()
    pictures = page.eval_on_selector_all("img", "images => images.map((image) => [image.naturalWidth, image.alt])")
    assert len(pictures) > 30
    assert all(width > 0 and alt for width, alt in pictures)
    links = page.eval_on_selector_all("a", "links => links.map((link) => link.getAttribute('href'))")
    inside = {link[1:] for link in links if link.startswith("#")}
    files = [link for link in links if link.startswith("../")]
    outside = [link for link in links if not link.startswith(("#", "../"))]
    assert len(inside) > 80
    assert page.evaluate("ids => ids.filter((id) => !document.getElementById(id))", sorted(inside)) == []
    assert all((page_file.parent / unquote(link)).is_file() for link in files)
    assert {link.split("/")[2] for link in outside} == {"arxiv.org"}


def test_a_table_that_is_wider_than_its_place_says_so(visit):
    page = visit(800)
    said = """() => [...document.querySelectorAll(".hint")].map((hint) => {
      const place = hint.nextElementSibling;
      return [hint.checkVisibility(), place.scrollWidth > place.clientWidth];
    })"""
    narrow = page.evaluate(said)
    assert [True, True] in narrow
    assert all(visible == wider for visible, wider in narrow)
    page.set_viewport_size({"width": 4000, "height": 800})
    page.wait_for_function("() => [...document.querySelectorAll('.hint')].some((hint) => !hint.checkVisibility())")
    wide = page.evaluate(said)
    assert all(visible == wider for visible, wider in wide)
    assert sum(visible for visible, _ in wide) < sum(visible for visible, _ in narrow)


def test_a_wide_table_uses_the_margin_and_the_page_stays(visit):
    widths = []
    for width in (1200, 1280, 1800):
        page = visit(width)
        page.locator("#table1").evaluate("table => { table.style.minWidth = '3000px' }")  # whatever its columns
        widths.append(page.locator("div.scroll:has(> #table1)").evaluate("place => place.clientWidth"))
        assert page.evaluate("document.documentElement.scrollWidth") == width
    assert widths[0] < widths[1] < widths[2]


def number(text: str) -> float | None:
    found = re.match(r"[+-]?\d+(\.\d+)?", text.replace("−", "-").replace(",", ""))
    return float(found.group()) if found else None


def natural(text: str) -> list[tuple[int, str | int]]:
    """Letters by letter and numbers by value, as a browser compares."""
    letters = re.sub(r"[^\w ]|_", " ", text).lower()
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.findall(r"\d+|[^\d]+", letters)]


def test_every_table_sorts_up_down_and_back(visit):
    tables = dict(visit().evaluate(SORT))
    assert {"table1", "table2", "table3", "table4", "table5", "occlusion", "lambda"} <= tables.keys()
    assert "Runs of Table 1: PVT-T" in tables
    sorted_columns = 0
    for name, columns in tables.items():
        for title, numeric, (original, up, down, back) in columns:
            assert back == original, (name, title)
            assert sorted(map(repr, up)) == sorted(map(repr, down)) == sorted(map(repr, original)), (name, title)
            for state, descending in ((up, False), (down, True)):
                values = [value for _, value, _ in state]
                if numeric:
                    values = [None if value is None else number(value) for value in values]
                known = [value for value in values if value is not None]
                assert values == known + [None] * (len(values) - len(known)), (name, title)
                key = None if numeric else natural
                assert known == sorted(known, key=key, reverse=descending), (name, title)
            sorted_columns += up != original or down != original
    assert sorted_columns > 40


def test_sorting_by_keyboard_is_announced_and_keeps_rows_together(visit):
    page = visit()
    heading = page.locator("#table1 thead tr:last-child th", has_text="Gain").last
    heading.locator("button").focus()
    assert heading.evaluate("th => getComputedStyle(th.firstElementChild).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert page.get_by_role("status").text_content() == "Sorted by Gain, ascending"
    page.keyboard.press("Space")
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.locator("#table1 [aria-sort]").count() == 1
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") is None
    page.locator("#table3 th button", has_text="mIoU").first.click()
    page.locator("#table3 th button", has_text="mIoU").first.click()
    rows = page.eval_on_selector_all(
        "#table3 tbody tr", "rows => rows.map((row) => row.cells[1].textContent + row.cells[2].textContent)"
    )
    for head in ("UPerNet",):  # all that tiny fine-tunes
        places = [place for place, row in enumerate(rows) if row.startswith(head)]
        assert places == list(range(places[0], places[0] + 5))
        assert rows[places[0]] == f"{head}random"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_number_opens_the_record_that_it_came_from(visit, scripts):
    page = visit(java_script_enabled=scripts)
    record = page.locator('tbody[id^="record-table1.deit_t.transmix.seed1"]')
    assert not record.is_visible()
    page.locator('#table1 a[href^="#record-table1.deit_t.transmix.seed1"]').click()
    sync_api.expect(record).to_be_visible()
    sync_api.expect(record).to_be_in_viewport()
    record.locator('a[href^="#recipe-"]').click()
    assert page.url.endswith("#recipe-2")
    sync_api.expect(page.locator("#recipe-2")).to_be_in_viewport()
    assert "label_rule mean" in re.sub(r"\s+", " ", page.locator("#recipe-2").inner_text())


def test_without_scripts_all_is_there_but_the_buttons(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("th button").count() == 0
    assert page.locator("#table1 tbody tr").count() == 12
    assert page.locator("section > h2").count() == len(tables()) + 2
    assert page.locator("#table1 thead").inner_text().count("Baseline") == 2
    published = page.locator("#table2 td.folded").first
    assert not published.is_visible()
    page.check("#table2-folded")
    assert published.is_visible()


@pytest.mark.parametrize("width", [320, 360])
def test_a_narrow_page_does_not_scroll_sideways(visit, width):
    page = visit(width)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.querySelector('#table1').offsetWidth") > width  # scrolls in a box of its own


def test_on_a_phone_a_long_heading_over_one_column_leaves_no_blank_above_the_others(visit):
    height = visit(390).evaluate("""() => {
      const [groups, headings] = document.querySelector("#table3").tHead.rows;
      groups.insertAdjacentHTML("beforeend", "<th class='published'>published runs of this suite: CPU (x86_64)</th>");
      headings.insertAdjacentHTML("beforeend", "<th class='right published'>mIoU</th>");
      return groups.clientHeight;
    }""")
    assert height < 60  # two lines; in the width of the column it would be four


@pytest.mark.parametrize("width", [320, 500, 700, 900])
def test_a_caption_ends_where_its_table_is_cut(visit, width):
    page = visit(width)
    beyond = """() => [...document.querySelectorAll("caption span")].map((caption) =>
      caption.getBoundingClientRect().right - caption.closest(".scroll").getBoundingClientRect().right)"""
    assert max(page.evaluate(beyond)) <= 0


@pytest.mark.parametrize(("scheme", "blue"), [("light", BLUE), ("dark", DARK_BLUE)])
def test_figures_follow_the_colour_scheme(visit, scheme, blue):
    page = visit(color_scheme=scheme)
    shown = page.eval_on_selector_all("picture img", "images => images.map((image) => image.currentSrc)")
    drawings = [base64.b64decode(source.split(",", 1)[1]).decode() for source in shown]
    curves = [drawing for drawing in drawings if "top-1 (%)" in drawing]
    assert len(curves) >= 12
    other = {BLUE, DARK_BLUE} - {blue}
    assert all(blue in curve and other.isdisjoint(re.findall(r"#[0-9a-f]{6}", curve)) for curve in curves)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 120) == (scheme == "dark")


def test_printed_it_is_unfolded(visit):
    page = visit()
    record = page.locator('tbody[id^="record-table1.deit_t.transmix.seed1"]')
    assert not record.is_visible()
    page.emulate_media(media="print")
    assert record.is_visible()
    assert page.pdf(format="A4").count(b"/Type /Page\n") > 5


def test_a_comparison_is_quiet_narrow_and_sortable(visit, page_file, tmp_path):
    records, others = page_file.parents[1], tmp_path / "others"
    shutil.copytree(records, others, ignore=shutil.ignore_patterns("report", "table3*", "table4*"))
    page = visit(360, compare.write(compare.build(records, others), tmp_path / "comparison"))
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    button = page.locator("thead tr:last-child th button").first
    button.click()
    assert button.locator("..").get_attribute("aria-sort") == "ascending"
    links = page.locator("a[href^='#']")
    assert links.evaluate_all("all => all.map((link) => link.hash)") == ["#main"]  # no record is on this page
