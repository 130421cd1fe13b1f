"""What a step costs: turns that are fair, against a stopwatch, for a method of one's own file, too."""

from __future__ import annotations

import sys
import time

import pytest
import torch

from experiments.__main__ import main
from experiments.cards import cards
from experiments.method_sheet import sample
from experiments.step_costs import take_turns
from reports.records.collect import collect
from reports.tables import table2
from tests.made_up import make_study
from transmix.data.scenes import ScenesSpec
from transmix.data.scenes.compose import single_object_scene
from transmix.methods import methods

BURN = 0.15  # CPU seconds that the method below wastes in each step
SLOW = f'''"""Slow CutMix: {BURN} CPU seconds a step for nothing."""

import time

from transmix.methods import Method
from transmix.mixing import mix_batch

METHOD = Method(title="Slow CutMix", settings={{"mixup_alpha": 0.0}}, passes="idle work")


def mix(step):
    end = time.process_time() + {BURN}
    while time.process_time() < end:
        pass
    return mix_batch(step.images, step.policy, step.rng)
'''


def test_turns_are_timed_by_method_and_every_other_round_goes_backwards():
    now, order = [0.0], []

    def made(name: str, seconds: float, passes: int):
        def take(step: int):
            now[0] += seconds
            order.append((name, step))
            return passes, torch.zeros(())

        return take

    steps = {"cutmix": made("cutmix", 1.0, 0), "other": made("other", 1.5, 3)}
    seconds, passes = take_turns(steps, rounds=2, steps=2, clock=lambda: now[0])
    assert seconds["cutmix"].tolist() == [2.0, 2.0]
    assert seconds["other"].tolist() == [3.0, 3.0]
    assert passes == {"cutmix": 0, "other": 3}
    warm, turns = order[:2], order[2:]
    assert warm == [("cutmix", 0), ("other", 0)]  # not timed
    assert [name for name, _ in turns] == ["cutmix"] * 2 + ["other"] * 4 + ["cutmix"] * 2
    assert [step for name, step in turns if name == "cutmix"] == [0, 1, 2, 3]


def test_a_method_of_ones_own_is_planned_timed_shown_and_drawn_from_its_one_file(plugins, tmp_path, monkeypatch):
    (plugins / "methods").mkdir()
    (plugins / "methods" / "far_slow.py").write_text(SLOW)
    study = make_study(tmp_path, "--scale", "smoke", "--methods", "cutmix,far_slow")
    assert study.find("table2.deit_t.far_slow.seed0").kind == "train"
    (run,) = [run for run in study.plan() if run.kind == "cost"]
    monkeypatch.setattr(sys, "argv", ["experiments", "run", run.name, *run.options, "--device", "cpu"])
    began = time.process_time()
    main()
    spent = time.process_time() - began
    metrics = run.record().metrics
    seconds = metrics["step_seconds"]
    more = seconds["far_slow"] - seconds["cutmix"]
    assert more == pytest.approx(BURN, rel=0.3)  # the stopwatch inside the method
    assert metrics["relative"]["far_slow"] == pytest.approx(seconds["far_slow"] / seconds["cutmix"])
    assert 8 * sum(seconds.values()) < spent  # one round of eight steps, and what comes before
    row = {line["method"]: line for line in table2.numbers(collect(study))}["far_slow"]
    assert (row["name"], row["cost"]) == ("Slow CutMix", "idle work")
    assert row["step_relative"] > 1.5
    assert any(card.title == "Slow CutMix" and "for nothing" in card.text for card in cards())
    scenes = [single_object_scene(ScenesSpec(), "train", index) for index in range(4)]
    drawn = sample("far_slow", methods()["far_slow"], scenes, ScenesSpec().classes, None)
    assert len(drawn.tiles) == 4
