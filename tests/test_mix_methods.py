"""The methods' own functions: reference cases, and training by each of them. See `test_mix_oracles`, too."""

from __future__ import annotations

import importlib.util
import json

import mix_methods
import numpy as np
import pytest
import torch
from mix_methods import PATH, differences, read_cases
from mix_tasks import LABELS, OWN, batch, model, task

from transmix.common.errors import UserError
from transmix.methods import methods
from transmix.methods._graph_cut import swap_cut
from transmix.recipe import Mixing
from transmix.task import MixingTask

CASES = {case["id"]: case for case in read_cases(PATH)}


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return batch()


# -- reference cases -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_reference_case(name):
    assert differences(CASES[name]) == []


@pytest.mark.skipif(importlib.util.find_spec("gco") is None, reason="gco-wrapper is not installed")
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["method"] == "PuzzleMix"])
def test_reference_case_by_the_published_solver(name):
    assert differences(CASES[name], solver="gco") == []


@pytest.mark.skipif(importlib.util.find_spec("gco") is not None, reason="gco-wrapper is installed")
def test_without_the_published_solver_one_line_says_what_to_install():
    with pytest.raises(UserError, match=r"gco-wrapper: pip install '\.\[puzzlemix\]'"):
        swap_cut(np.zeros((2, 2, 2), np.int32), np.zeros((1, 2), np.int32), np.zeros((2, 1), np.int32))


def check_file(monkeypatch, capsys, *paths) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["mix_methods", *map(str, paths)])
    with pytest.raises(SystemExit) as ended:
        mix_methods.main()
    return ended.value.code, capsys.readouterr().out


def test_the_command_counts_cases_by_method(monkeypatch, capsys):
    status, out = check_file(monkeypatch, capsys, PATH)
    assert status == 0
    assert "FMix: 5 passed, 0 failed\n" in out
    assert out.endswith("all: 43 passed, 0 failed\n")


def test_the_command_names_what_is_wrong_and_what_it_does_not_know(monkeypatch, capsys, tmp_path):
    wrong = json.loads(json.dumps(CASES["gridmix-1"]))
    wrong["expected"]["pasted_mask"][1][0][0] = 0
    other = {"id": "new-1", "method": "NewMix", "inputs": {}, "expected": {}}
    strange = CASES["fmix-1"] | {"id": "fmix-9", "variant": "thirdparty"}
    more = CASES["fmix-1"] | {"id": "fmix-8", "expected": {"colour": 1}}
    short = CASES["fmix-1"] | {"id": "fmix-7", "inputs": CASES["fmix-1"]["inputs"] | {"partner": [5, 6]}}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"cases": [wrong, other, strange, more, short, CASES["fmix-2"]]}))
    status, out = check_file(monkeypatch, capsys, path)
    assert status == 1
    assert "gridmix-1: pasted_mask: off by up to 1 in 1 of 512 values" in out
    assert "new-1: unknown: method 'NewMix'" in out
    assert "fmix-9: unknown: method 'FMix', variant 'thirdparty'" in out
    assert "fmix-8: colour: unknown output" in out
    assert "fmix-7: IndexError" in out
    assert "FMix: 1 passed, 3 failed" in out


def test_a_file_of_another_kind_is_named(monkeypatch, tmp_path):
    path = tmp_path / "other.json"
    path.write_text("[]")
    with pytest.raises(UserError, match=r"other\.json holds no cases"):
        read_cases(path)


# -- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in methods() if methods()[name].settings.get("label_rule") != "oracle"])
def test_every_method_trains_and_costs_the_passes_that_it_declares(name, images):
    made = task(name)
    parameters = made.get_clip_parameters()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    passes = {True: set(), False: set()}  # of batches with a pasted region, and of others
    for _ in range(8):
        result = made(images, LABELS)
        assert result["loss"].isfinite()
        assert result["targets"].shape == (8, 4)
        optimizer.zero_grad()
        result["loss"].backward()
        optimizer.step()
        passes[result["mix"].pasted is not None].add(made.extra_passes)
    assert all(parameter.isfinite().all() for parameter in parameters)
    policy, declared = made.policy, methods()[name].extra_passes
    pasting = policy.switch_prob if policy.mixup_alpha > 0 else 1.0
    assert passes[False] <= {0}
    if declared:
        assert passes[True] == {declared / pasting}
        assert methods()[name].passes
    else:
        assert passes[True] <= {0}


@pytest.mark.parametrize("name", OWN)
def test_a_step_follows_from_its_generator(name, images):
    losses = {float(task(name, seed=5)(images, LABELS)["loss"].detach()) for _ in range(2)}
    others = {float(task(name, seed=seed)(images, LABELS)["loss"].detach()) for seed in range(4)}
    assert len(losses) == 1
    assert len(others) > 1


def test_a_teacher_of_other_classes_is_named(images):
    made = MixingTask(model(), 5, "tokenmix", teacher=model("deit_micro_small_patch8_64"), mixup_alpha=0.0)
    with pytest.raises(UserError, match="knows 4 classes, the data have 5"):
        made.train()(images, LABELS)


def test_a_variant_that_does_not_exist_is_named():
    with pytest.raises(UserError, match=r"unknown mix_options\.variant 'offical': did you mean 'official'"):
        Mixing(mixer="resizemix", mix_options={"variant": "offical"})


def test_every_card_says_where_the_method_is_from_and_how_to_run_it():
    for name, method in methods().items():
        assert "``make table" in method.card, name
        if method.own:
            place = "Pattern Recognition" if name == "gridmix" else "arXiv"
            for word in (place, "@", "Cost", "Expected", f",{name}"):
                assert word in method.card, (name, word)
