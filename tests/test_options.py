"""Options of a study: declared once, for the command line, for make and to be said again."""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments.options import FRAGMENT, add_options, as_variables, check_choices, fragment, option, spelled
from experiments.study import Study
from tests.made_up import make_study
from transmix.common.errors import UserError, unknown_name
from transmix.common.options import separated

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Example:
    """Every sort of option."""

    size: str = option("how large", "SIZE", default="s", choices=lambda: ("s", "m"))
    images_a: Path | None = option("some images", "PATH", Path, known=lambda: ("here", "there"))
    out: Path = option("where to", "DIR", Path, default=Path("out"))
    changed: list[str] = option("what else", "X=Y", repeated=True, name="set")
    seen: int = 0


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser, Example)
    return parser.parse_args(words)


def test_what_is_not_at_its_default_is_said_again_and_the_first_always():
    assert spelled(parsed(), Example) == ("--size", "s")
    words = ("--size", "m", "--images-a", "a b", "--out", "o", "--set", "x=1", "--set", "y=2")
    assert spelled(parsed(*words), Example) == words
    assert parsed(*words).images_a == Path("a b")
    assert as_variables(words) == ["SIZE=m", "IMAGES_A=a b", "OUT=o", "SET=x=1 y=2"]


def test_a_choice_that_there_is_not_is_named_with_the_nearest():
    check_choices(parsed("--size", "m"), Example)
    names = [f"table{number}.deit_{size}" for number in range(1, 30) for size in "tsb"]
    line = str(unknown_name("run", "nosuch", names))
    assert line.startswith("unknown run 'nosuch': the nearest of 87 known: table")
    assert len(line) < 120
    with pytest.raises(UserError, match="unknown size 'mm': did you mean 'm'"):
        check_choices(parsed("--size", "mm"), Example)


def test_make_passes_variables_on_as_options(tmp_path):
    text = f'SIZE ?= s\nOUT ?= out\n{fragment(Example)}show:\n\t@echo "$(STUDY)"\n'
    (tmp_path / "Makefile").write_text(text)
    assert "## SIZE=s|m  how large\n" in text

    def passed(*variables: str) -> str:
        command = ["make", "-s", "-C", str(tmp_path), "--no-print-directory", "show", *variables]
        return " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    assert passed() == ""
    assert passed("SIZE=m", "IMAGES_A=/a b", "OUT=o", "SET=x=1 y=2") == (
        "--size 'm' --images-a '/a b' --out 'o' --set 'x=1' --set 'y=2'"
    )


def test_makes_part_is_up_to_date():
    assert FRAGMENT.read_text() == fragment(Study), "run 'python -m experiments options'"


def test_make_help_lists_every_variable():
    out = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for line in fragment(Study).splitlines():
        if line.startswith("## "):
            assert line.split()[1] in out.split()


def test_a_studys_options_give_it_again(tmp_path):
    given = ("--scale", "lab", "--rows", "all", "--seeds", "2", "--coco", str(tmp_path), "--set", "lr=1e-3")
    study = make_study(tmp_path / "results", *given)
    again = make_study(tmp_path / "results", *study.options)
    assert again == study
    assert (study.changed, study.seeds, study.coco.path) == ({"lr": 1e-3}, 2, tmp_path)


def test_rows_and_methods_that_are_named_twice_are_one(tmp_path):
    once = make_study(tmp_path, "--scale", "desk", "--rows", "deit_t,xcit_t", "--methods", "fmix,cutmix")
    twice = make_study(tmp_path, "--scale", "desk", "--rows", "deit_t,xcit_t,deit_t", "--methods", "fmix,cutmix,fmix")
    assert (twice.rows, twice.methods) == (("deit_t", "xcit_t"), ("fmix", "cutmix"))
    assert [run.id for run in twice.plan()] == [run.id for run in once.plan()]


@pytest.mark.parametrize("path", ["file", "file/new", "loop", "loop/new", "gone"])
def test_results_and_data_where_no_folder_can_be_are_one_line(tmp_path, path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "gone").symlink_to(tmp_path / "unmounted")
    parser = argparse.ArgumentParser()
    add_options(parser, Study)
    for flag in ("--results", "--data"):
        with pytest.raises(
            UserError, match=rf"^no folder can be at .*/{path}: .*/{path[:4]} is no folder: give another"
        ):
            parser.parse_args([flag, str(tmp_path / path)])
    for new in ("new", "a b/é/new", "", "."):
        assert parser.parse_args(["--results", str(tmp_path / new)]).results == tmp_path / new


def test_blanks_beside_commas_do_not_matter():
    assert separated("--rows", "deit_t, xcit_t ,pvt_t") == ["deit_t", "xcit_t", "pvt_t"]
    with pytest.raises(UserError, match="--rows deit_t, : has an empty name beside a comma: remove that comma"):
        separated("--rows", "deit_t, ")
