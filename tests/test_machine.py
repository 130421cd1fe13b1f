"""Estimates for small models: from a rate measured on this machine, kept, and held against what runs took."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict

import pytest
import torch
from made_up import edit, make_study, write_study

from experiments.__main__ import main
from experiments.costs import ModelCost
from experiments.estimate import Assumptions, estimate, unmeasured
from experiments.machine import (
    COMPLETE,
    NAME,
    PYTHON,
    Machine,
    Rate,
    measured_machine,
    processor,
    processor_name,
    read_machine,
    write_machine,
)
from experiments.plan import plan_lines
from experiments.records import read_record
from experiments.run import environment
from reports.records.collect import collect
from reports.tables import tables
from transmix.training.distributed import Processes

MODEL = "deit_micro_tiny_patch8_64"


def machine(train: float = 0.003, evaluate: float = 0.001, start: float = 5.0) -> Machine:
    rate = Rate(ModelCost(MODEL, 64, 300_000, 15_000_000, 0), train, evaluate)
    return Machine(processor(), "2026-01-02T03:04:05+00:00", start, {(MODEL, 64): rate})


def test_a_training_is_its_images_times_the_machines_rate(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke")
    run = study.find("table1.deit_t.transmix.seed0")
    assert unmeasured(study.plan()) == {(MODEL, 64)}
    assert estimate(run, Assumptions()) is None
    found = estimate(run, Assumptions(machine=machine()))
    assert found.cpu_seconds == pytest.approx(5 + 2 * 64 * 0.003 + 2 * 32 * 0.001)  # 2 epochs of 64 and 32 images
    assert found.gpu_hours == 0
    every = [estimate(run, Assumptions(machine=machine())) for run in study.plan()]
    assert all(one is not None and one.cpu_seconds >= 5 for one in every)


def test_the_papers_models_are_estimated_as_before(tmp_path):
    run = make_study(tmp_path, "--scale", "paper").plan()[0]
    assert estimate(run, Assumptions(machine=machine())) == estimate(run, Assumptions())


def test_the_plan_gives_cpu_minutes_and_says_what_they_rest_on(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke")
    lines = list(plan_lines(study, Assumptions(machine=machine(train=0.6))))
    line = next(line for line in lines if "table1.deit_t.transmix.seed0" in line)
    assert float(line.split()[2]) == pytest.approx((5 + 128 * 0.6 + 64 * 0.001) / 60, abs=0.05)
    text = " ".join(lines)
    assert "CPU-min" in lines[0]
    assert "measured 2026-01-02 and kept in rates.json" in text
    assert "GPU" not in text


def test_a_rate_is_kept_and_one_of_another_machine_is_not_taken(tmp_path):
    write_machine(tmp_path, machine())
    assert read_machine(tmp_path) == machine()
    text = (tmp_path / NAME).read_text()
    (tmp_path / NAME).write_text(text.replace(processor(), "another processor"))
    assert read_machine(tmp_path) is None
    (tmp_path / NAME).write_text(text[:-20])
    assert read_machine(tmp_path) is None
    assert read_machine(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("cpuinfo", "named", "name"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC 9554\nmodel name\t: other\n", "x86_64", "AMD EPYC 9554"),
        ("processor\t: 0\nCPU part\t: 0xd0c\n", "aarch64", ""),
        (None, "arm", "arm"),
        (None, "", ""),
    ],
)
def test_the_processor_is_named_or_left_out(tmp_path, monkeypatch, cpuinfo, named, name):
    file = tmp_path / "cpuinfo"
    if cpuinfo:
        file.write_text(cpuinfo)
    monkeypatch.setattr("experiments.machine.Path", lambda _: file)
    monkeypatch.setattr("platform.processor", lambda: named)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert processor_name() == name
    assert processor() == (name or "aarch64")
    assert environment(Processes(0, 1, torch.device("cpu"))).processor == (name or None)


def spoilt(change) -> str:
    """A file of rates after `change` of its content, or of that of its only rate."""
    content = {"format": 1, "processor": processor(), "date": machine().date, "start": 5.0}
    content["rates"] = [asdict(rate) for rate in machine().rates.values()]
    change(content, content["rates"][0])
    return json.dumps(content)


NUMBERS = (math.nan, math.inf, -math.inf, 0, -0.003, 1e300, 10**400, "0.003", "fast", None, True, [0.003], {})


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: str(number)[:9])
@pytest.mark.parametrize("name", ["start", "train", "evaluate", "macs", "parameters", "image_size", "reading_macs"])
def test_a_rate_that_is_none_is_not_taken(tmp_path, name, number):
    def change(content, rate):
        part = content if name == "start" else rate if name in rate else rate["cost"]
        part[name] = number

    (tmp_path / NAME).write_text(spoilt(change))
    fits = name == "reading_macs" and type(number) is int and number == 0
    assert (read_machine(tmp_path) is not None) == fits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        "\x00\xff",
        spoilt(lambda content, _: content.update(rates=[7])),
        spoilt(lambda content, _: content.update(rates=7)),
        spoilt(lambda content, _: content.update(date=7)),
        spoilt(lambda content, _: content.update(date="yesterday")),
        spoilt(lambda content, _: content.pop("start")),
        spoilt(lambda _, rate: rate.pop("train")),
        spoilt(lambda _, rate: rate.update(cost=None)),
        spoilt(lambda _, rate: rate["cost"].update(model=["deit"])),
        spoilt(lambda _, rate: rate["cost"].update(more=1)),
    ],
    ids=lambda text: text[:9],
)
def test_a_file_of_rates_that_is_none_is_not_taken(tmp_path, text):
    (tmp_path / NAME).write_bytes(text.encode("latin-1"))
    assert read_machine(tmp_path) is None


def test_nothing_is_measured_while_the_environment_is_being_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    python = tmp_path / PYTHON
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("packages may still be missing"))
    assert measured_machine(tmp_path / "results", {(MODEL, 64)}, ()) is None


def test_nothing_is_measured_that_could_not_be_kept(tmp_path, monkeypatch, capsys):
    """Half a minute each time, for results that are somebody else's or on a disk that is read-only."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / COMPLETE).parent.mkdir()
    (tmp_path / COMPLETE).touch()
    (tmp_path / "file").touch()
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("it was measured"))
    assert measured_machine(tmp_path / "file" / "results", {(MODEL, 64)}, ()) is None
    assert capsys.readouterr().err.startswith(f"this machine is not measured: cannot write {tmp_path}/file/results: ")


def run_main(monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["experiments", *words])
    main()


def test_a_rate_is_measured_and_a_run_held_against_it(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.measure_rates.SECONDS", 0.05)
    study = make_study(tmp_path, "--scale", "smoke")
    run_main(monkeypatch, "rates", *study.options)
    kept = read_machine(tmp_path)
    assert kept.rates.keys() == {(MODEL, 64)}
    rate = kept.rates[MODEL, 64]
    assert rate.train > rate.evaluate > 0
    run_main(monkeypatch, "run", "table1.deit_t.baseline.seed0", *study.options, "--device", "cpu")
    run = study.find("table1.deit_t.baseline.seed0")
    cost = read_record(run.folder).cost
    assert cost["estimated"] == round(estimate(run, Assumptions(machine=kept)).cpu_seconds, 1)
    assert cost["cpu_seconds"] > kept.start
    line = tables()["estimates"].build(collect(study)).rows[-1]
    assert line["runs"].text == "1 run"


def test_the_page_says_how_far_off_estimates_were(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (0.5, 0.9))
    (note,) = tables()["estimates"].build(collect(study)).notes
    assert "make plan, before the runs" in note
    first, second = (study.find(f"table1.deit_t.transmix.seed{seed}") for seed in (0, 1))
    edit(first.folder, lambda content: content.update(cost={"estimated": 60.0, "cpu_seconds": 90.0}))
    edit(second.folder, lambda content: content.update(cost={"estimated": 60.0, "cpu_seconds": 30.0}))
    table = tables()["estimates"].build(collect(study))
    line, every = ({key: cell.text for key, cell in row.items()} for row in table.rows)
    assert line == every | {"table": "Table 1"}
    assert (line["estimated"], line["took"], line["ratio"]) == ("2.0", "2.0", "1.00 (0.50 to 1.50)")
    assert len(tables()["estimates"].numbers(collect(study))) == 2
    edit(first.folder, lambda content: content.update(cost={"estimated": "an hour"}))
    assert any("unexpected value of cost" in problem for problem in collect(study).problems)
