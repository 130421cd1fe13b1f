"""What docs/adding.md shows works as it stands there: each file in a folder of one's own, and no other file changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from machines import standing_for_make

from experiments.shared import OWNER
from reports.page.report import report_folder
from tests.made_up import make_study

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "adding.md").read_text()
REAL = [f"{table}.deit_t.{method}.seed0" for table, method in (("table1", "baseline"), ("table2", "halves"))]
REAL += [f"table5.deit_t.{method}.seed0" for method in ("baseline", "halves")] + ["table1.vit_s32.transmix.seed0"]
REAL += ["norms.vit_s32.transmix.seed0"]
# a study with made-up records, but for some runs
MADE_UP = """
import sys
from pathlib import Path
from tests.made_up import make_study, write_run

results, real, *options = sys.argv[1:]
for run in make_study(Path(results), *options).plan():
    if run.name not in real.split() and run.method != "halves" and run.kind != "norm":
        write_run(run, gain=1.0 if run.method == "transmix" else 0.0)
"""


def snippets() -> dict[str, str]:
    """The files of the page: a name in backticks, and the code that follows."""
    return dict(re.findall(r"^`([a-z]+/\w+\.py)`.*?^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder of one's own with all files of the page."""
    folder = tmp_path_factory.mktemp("own")
    for name, text in snippets().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def python(folder: Path, *arguments: str, **environment: str) -> str:
    environment = os.environ | {"PLUGINS": str(folder), "PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=folder, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_shows_files_that_are_short():
    found = snippets()
    assert found.keys() == {"methods/halves.py", "rows/coarse.py", "tables/hours.py", "kinds/norm.py"}
    assert all(len(text.splitlines()) <= 35 for text in found.values())


@pytest.fixture(scope="module")
def report(folder) -> Path:
    """The smoke report of a study with the page's method: some runs are real, all others made up."""
    options = ("--scale", "smoke", "--rows", "deit_t,vit_s32", "--methods", "halves")
    study = make_study(folder / "results", "--scale", "smoke")
    places = ("--results", str(folder / "results"), "--data", str(folder / "results" / "data"))
    python(folder, "-c", MADE_UP, str(folder / "results"), " ".join(REAL), *options)
    with standing_for_make() as make:  # which runs are forked for, from one process that has loaded the libraries
        for run in REAL:
            python(folder, "-m", "experiments", "run", run, *options, *places, **{OWNER: str(make)})
    said = python(folder, "-m", "reports", *options, *places)
    assert "warning" not in said
    assert "Wall time of each training" in python(folder, "-m", "reports", "--table", "hours", *options, *places)
    return report_folder(study)


def test_a_method_is_in_table_2_and_table_5_of_a_smoke_report(report):
    page, markdown = ((report / name).read_text() for name in ("index.html", "report.md"))
    for text in (page, markdown, (report / "table2.tex").read_text(), (report / "table5.tex").read_text()):
        assert "Halves" in text
    mixed = pandas.read_csv(report / "table2.csv", index_col="method").loc["halves"]
    assert (mixed["status"], mixed["paired_seeds"], mixed["label_rule"]) == ("done", 1, "mean")
    misled = pandas.read_csv(report / "table5.csv").set_index(["method", "minus"])
    assert misled.loc[("halves", "baseline"), "status"] == "done"
    assert "Halves − baseline" in page


def test_a_row_is_shown_without_published_numbers(report):
    row = pandas.read_csv(report / "table1.csv", index_col="row").loc["vit_s32"]
    assert (row["model"], row["measured_model"]) == ("ViT-S/32", "vit_tiny_patch16_224")
    assert row[["published_baseline", "published_transmix", "published_gain", "published_source"]].isna().all()
    assert (row["baseline_seeds"], row["transmix_seeds"]) == (1, 1)
    for name in ("index.html", "report.md", "table5.tex", "occlusion.tex", "lambda.tex"):
        assert "ViT-S/32" in (report / name).read_text(), name


def test_a_kind_of_run_leaves_records(report):
    (path,) = report.parent.glob("norms.vit_s32.transmix.seed0-*/record.json")
    assert json.loads(path.read_text())["metrics"]["norm"] > 0
    assert "norms.vit_s32.transmix.seed0" in (report / "report.md").read_text()


def test_a_table_is_in_every_format(report):
    page, markdown, latex = ((report / name).read_text() for name in ("index.html", "report.md", "hours.tex"))
    for text in (page, markdown, latex):
        assert "Wall time of each training" in text
        assert "table2.deit_t.halves.seed0" in text.replace(r"\_", "_")
    assert '<a href="#hours-section">Hours</a>' in page
    hours = pandas.read_csv(report / "hours.csv", index_col="run")["hours"]
    assert hours["table1.deit_t.transmix.seed0"] == pytest.approx(125 / 3600)
    assert 0 < hours["table2.deit_t.halves.seed0"] < 1


def test_make_knows_a_table_of_ones_own(folder):
    def make(*arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PLUGINS"}
        command = ["make", *arguments, f"PLUGINS={folder}", f"RESULTS={folder}/made"]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    assert "hours How long every training took" in [" ".join(line.split()) for line in make("help").splitlines()]
    (line,) = [line for line in make("-n", "hours", "SCALE=smoke").splitlines() if "-m reports" in line]
    assert line.endswith("--table hours")


def test_commands_of_a_study_with_plugins_name_their_folder(plugins, tmp_path):
    (plugins / "methods").mkdir()
    (plugins / "methods" / "halves.py").write_text(snippets()["methods/halves.py"])
    study = make_study(tmp_path, "--scale", "smoke", "--methods", "halves")
    run = study.find("table2.deit_t.halves.seed0")
    assert run.command.startswith(
        f"PLUGINS={plugins} python -m experiments run table2.deit_t.halves.seed0 --scale smoke"
    )
    assert study.make("table2").endswith(f" PLUGINS={plugins}")
