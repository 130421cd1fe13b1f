"""Any options of any command: it does what it is asked for or ends with one line and status 2, within the ranges.

What a command would then do (train, measure, draw) is put aside; all up to there is the command's own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import runpy
import sys
import types
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import downstream.__main__
import experiments.__main__
import reports.__main__
import robustness.__main__
import transmix.data.scenes.__main__
from experiments.study import MOST, Study
from reports.formats.table import Column, Table
from transmix.common.errors import exit_on_user_error
from transmix.common.options import LARGEST
from transmix.common.text import printable
from transmix.data.scenes import ScenesSpec
from transmix.data.scenes import write as scenes_writer
from transmix.methods import methods
from transmix.recipe import Recipe

MAINS = {
    "downstream": downstream.__main__.main,
    "experiments": experiments.__main__.main,
    "reports": reports.__main__.main,
    "robustness": robustness.__main__.main,
    "scenes": transmix.data.scenes.__main__.main,
}
ODD = ["", " ", "a\nb", "\x1b[2J", "\udcff", "\x00", "x" * 5000, "9" * 5000]
MORE = "- -- = a=b $(id) ' \" # % : . ~ é nan inf -inf none all true 0x10 1_000 ٣ ²"
NASTY = st.sampled_from([*ODD, *MORE.split()]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.sampled_from(["0", "1", "-1", "2", "0.5", "1e-9", "1e9", "1e400", "64", "1200", "1201", str(2**63)]) | (
    st.integers(-5, 5).map(str) | st.floats(width=16).map(str)
)
PLACES = st.sampled_from(
    [
        "here",
        "nowhere",
        "a file",
        "broken",
        "here/smoke",
        "/dev/null",
        "torch/cifar10:here",
        "wds:here",
        "cut.py",
        "a.py",
    ]
)
SETTINGS = st.sampled_from([*Recipe.__dataclass_fields__]) | st.sampled_from(
    [f"mix_options.{name}" for method in methods().values() for name in method.options]
)
WORDS = """
smoke tiny desk paper deit_t deit_t,pvt_t cutmix resizemix,fmix tokenmix per_image published table1 table9 occlusion
natural random table1.deit_t.transmix.seed0 deit_micro_tiny_patch8_64 attention dino objects mean bf16 cpu cuda
train test ade20k/upernet_deit
"""
TEXTS = st.sampled_from(WORDS.split())
VALUES = NASTY | NUMBERS | PLACES | TEXTS


def flags(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.Action]]:
    return [(flag, action) for action in parser._actions for flag in action.option_strings]


def parsers(name: str) -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """The parser of every command of a program, by the words that lead to it."""
    caught: list[argparse.ArgumentParser] = []

    class Caught(Exception):
        pass

    def catch(self: argparse.ArgumentParser, *_: Any) -> None:
        caught.append(self)
        raise Caught

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_known_args", catch)  # which parse_args calls
        patch.setattr(sys, "argv", [name])
        with contextlib.suppress(Caught):
            MAINS[name]()
    found = {}
    for action in caught[0]._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {(word,): parser for word, parser in action.choices.items()}
    return found or {(): caught[0]}


PARSERS = {(name, *words): parser for name in MAINS for words, parser in parsers(name).items()}


@st.composite
def commands(draw: Callable) -> list[str]:
    """A program, a command of it, and options, most of which it has."""
    name, *words = draw(st.sampled_from(sorted(PARSERS)))
    parser = PARSERS[(name, *words)]
    known = flags(parser)
    for action in parser._actions:
        if not action.option_strings and draw(st.integers(0, 5)):
            words.append(draw(st.sampled_from([*action.choices]) if action.choices else TEXTS | PLACES | VALUES))
        elif action.option_strings and action.required and draw(st.integers(0, 9)):
            words += [action.option_strings[0], draw(PLACES | TEXTS | VALUES)]
    for _ in range(draw(st.integers(0, 3))):
        flag, action = draw(st.sampled_from(known))
        words.append(flag)
        if action.nargs == 0:
            continue
        if flag == "--set":
            words.append(f"{draw(SETTINGS)}={draw(VALUES)}")
        else:
            words.append(draw(st.sampled_from([*action.choices]) | VALUES if action.choices else VALUES))
    return [name, *words, *draw(st.lists(VALUES, max_size=1) if draw(st.integers(0, 4)) == 4 else st.just([]))]


@pytest.fixture
def asked(tmp_path_factory, monkeypatch) -> Any:
    """What commands would carry out; they stand in a folder of their own."""
    place, found = tmp_path_factory.mktemp("fuzz"), []
    (place / "here" / "smoke" / "run-12345678").mkdir(parents=True)
    (place / "a file").write_text("text")
    (place / "cut.py").write_text("default_scope = (")
    (place / "a.py").write_text("default_scope = 'mmdet'")
    (place / "broken").mkdir()
    (place / "broken" / "record.json").write_text('{"format": 2}')
    section = types.SimpleNamespace(
        table=Table("table1", "Title", (Column("a", "A"),), ()), spec=types.SimpleNamespace(details=())
    )
    stand_in = types.ModuleType("stand_in")
    stand_in.run = lambda *given: found.append(given)
    stand_in.measure_sweep = lambda args, sweep: found.append((args, sweep))
    stand_in.measure_natural = lambda args: found.append((args,))
    stand_in.measure_rates = lambda study: found.append((study,)) or types.SimpleNamespace(rates=())
    with monkeypatch.context() as patch:
        patch.setattr(downstream.__main__, "prepare", lambda library: found.append((library,)))
        patch.setattr(downstream.__main__, "check_tools_data", lambda *given: ())
        patch.setattr(runpy, "run_path", lambda path, run_name: found.append((path, run_name)))
        patch.chdir(place)
        patch.setattr(sys, "argv", [])
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(experiments.__main__, "measured_machine", lambda *given: None)
        for module in (
            "experiments.run",
            "experiments.check_paper",
            "experiments.check_gpu",
            "experiments.measure_rates",
            "robustness.command",
        ):
            patch.setitem(sys.modules, module, stand_in)
        patch.setattr(
            scenes_writer, "write_scenes", lambda *given: found.append(given) or types.SimpleNamespace(spec=given[0])
        )
        for name in ("update", "draw_cards", "write_plan", "stop_when_asked"):
            patch.setattr(experiments.__main__, name, lambda *given: "")
        patch.setattr(
            "reports.page.report.build",
            lambda collected: types.SimpleNamespace(
                problems=[], sections=defaultdict(lambda: section), study=collected.study
            ),
        )
        patch.setattr("reports.page.report.write", lambda *given: "page")
        yield found


def run(words: list[str]) -> tuple[int, str]:
    """Exit status and standard error of a command."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        sys.argv = words
        try:
            exit_on_user_error(MAINS[words[0]])
            status = 0
        except SystemExit as end:
            status = end.code or 0
    streams[1].flush()
    return status, streams[1].buffer.getvalue().decode()


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(commands())
def test_any_options_are_taken_within_their_ranges_or_refused_in_a_line(asked, words):
    asked.clear()
    status, said = run(words)
    lines = said.splitlines()
    if status:
        assert status in (1, 2)
        assert len(lines) == 1 or words[:2] == ["reports", "verify"], said
        assert lines[-1].startswith("error: ") or status == 1, said
    assert all(line == printable(line) and len(line) < 700 for line in lines), said
    for given_ in asked:
        for value in given_:
            if isinstance(value, Study):
                assert 1 <= value.seeds * len(value.rows) <= MOST
            if isinstance(value, ScenesSpec):
                assert 1 <= value.classes <= 1000
            if isinstance(value, argparse.Namespace):
                assert 0 <= (getattr(value, "workers", None) or 0) <= 1024
                assert 0 <= getattr(value, "seed", 0) <= LARGEST


def test_every_command_is_there():
    assert {words[1] for words in PARSERS if words[0] == "experiments"} >= {"run", "plan", "methods", "ledger", "data"}
    assert {words[1] for words in PARSERS if words[0] == "reports"} >= {"page", "show", "verify", "compare", "own"}
