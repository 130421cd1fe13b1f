"""What the README tells people to type exists, and its Python runs."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from experiments.study_options import add_study_options
from reports.__main__ import parse as parse_reports
from reports.records.collect import published_study
from reports.tables import tables

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TEXT = README + (ROOT / "reports" / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for kind, block in BLOCKS if not kind for line in block.splitlines() if line]
INLINE = re.findall(r"`((?:make|python -m) [^`]+)`", TEXT)


def test_there_is_something_to_check():
    assert "make report" in COMMANDS
    assert len(COMMANDS) >= 7


@pytest.mark.parametrize("command", sorted({*COMMANDS, *INLINE}))
def test_commands_exist_and_parse(command, tmp_path):
    words = shlex.split(command)
    if words[0] == "python":
        find = f"import importlib.util as u; assert u.find_spec('{words[2]}.__main__')"
        subprocess.run(["python3", "-c", find], check=True, cwd=ROOT)
        if words[2] == "reports":
            parse_reports(words[3:])
        return
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
    words = [f"{word.split('=')[0]}={tmp_path}" if word.startswith("IMAGENET") else word for word in words]
    words = [word for word in words if not word.startswith(("ADE20K=", "COCO=", "PASCAL_CONTEXT="))]
    out = subprocess.run([*words, "-n", f"RESULTS={tmp_path / 'results'}"], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 0, out.stderr


@pytest.mark.parametrize("code", [block for kind, block in BLOCKS if kind == "python"])
def test_python_runs(code):
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        *(f"{p}/README.md" for p in ("transmix", "downstream", "robustness", "reports", "reports/published_runs")),
    ],
)
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert ((ROOT / document).parent / target).exists(), target


def test_what_the_readme_says_was_measured_was_published():
    published = ROOT / "reports" / "published_runs"
    desk = published_study("desk", published).collected
    every_way = published_study("desk", published, methods="all").collected
    quoted_from = [("claims", desk), ("table6", desk), ("table7", desk), ("table2", every_way)]
    built = [tables()[name].build(there) for name, there in quoted_from]
    shown = [cell.text for table in built for row in table.rows for cell in row.values()]
    said = " ".join(README.split())
    quoted = re.findall(r"[+−]\d+\.\d+ ± \d+\.\d+", said)
    assert len(quoted) >= 4
    assert [effect for effect in quoted if not any(text.startswith(effect) for text in shown)] == []
    assert all(result.record is not None for result in desk.results)
    assert f"its {len(desk.results)} runs, which are all done" in said
    (cost,) = every_way.done("table2", "deit_t", "cutmix", "cost")
    relative = cost.metrics["relative"]
    assert f"PuzzleMix takes {relative['puzzlemix']:.1f} times CutMix's time a step" in said
    (other,) = desk.done("table2", "deit_t", "cutmix", "cost")
    again = other.metrics["relative"]["transmix"]
    assert f"TransMix {relative['transmix']:.2f} (another such run says {again:.2f}: they vary by as much)." in said


def test_every_target_is_in_the_readme_or_in_help():
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = dict(line.split(maxsplit=1) for line in said.splitlines())
    assert {"report", "test", "lint", "plan", "check-paper"} <= targets.keys()
    assert {name: targets[name] for name in tables()} == {
        name: spec.help.rstrip(".") for name, spec in tables().items()
    }


def test_study_options_are_the_ones_that_are_documented():
    """No new option of the command line without a thought: this list is the whole of them."""
    import argparse

    parser = argparse.ArgumentParser(add_help=False)
    add_study_options(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    study = {"--scale", "--rows", "--methods", "--seeds", "--imagenet", "--set", "--results", "--data"}
    dense = {"--ade20k", "--coco", "--pascal-context"}
    robustness = {"--imagenet-a", "--imagenet-o", "--dino", "--protocol", "--weights"}
    assert options == study | dense | robustness
