"""The check of the paper's models: it passes for good ones and names what is wrong with others."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_commands import run
from torch import nn

from experiments import check_mixes, check_paper, check_table1
from experiments.check_paper import Part
from experiments.check_table1 import CLASSES, DEVIATIONS, agrees, compare, reload, train_and_reload, training_step
from experiments.costs import known_costs, write_costs
from experiments.rows import PublishedRow, table1
from experiments.scales import SCALES
from experiments.study import Study
from tests.made_up import make_study
from transmix.common.errors import UserError
from transmix.models.build import build_model

PUBLISHED = table1()
RECIPE = replace(SCALES["tiny"].recipe("deit_t", "transmix"), ema_decay=0.99, clip_grad=1.0)


def known(row: str):
    return known_costs()[SCALES["paper"].recipe(row, "transmix").model, 224]


def built() -> tuple[nn.Module, dict]:
    torch.manual_seed(0)
    return build_model(RECIPE, CLASSES)


@pytest.mark.parametrize("row", ["deit_t", "pvt_t", "xcit_t", "cait_xxs"])
def test_a_model_of_each_family_trains_and_comes_back(row):
    loss = train_and_reload(SCALES["tiny"].recipe(row, "transmix"))
    assert 6 < loss < 8.5  # about log 1000


def test_a_step_changes_the_weights():
    model, _ = built()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    training_step(model, RECIPE)
    assert all((old != new).any() for old, new in zip(before, model.parameters(), strict=True))


def test_a_parameter_without_gradient_is_named():
    model, _ = built()
    model.forgotten = nn.Parameter(torch.zeros(1))
    with pytest.raises(UserError, match=r"no finite gradient other than 0 reaches forgotten$"):
        training_step(model, RECIPE)
    model.forgotten.requires_grad_(False)  # frozen on purpose
    training_step(model, RECIPE)


def test_a_parameter_whose_gradient_is_zero_is_named():
    model, _ = built()
    model.head.register_forward_hook(lambda head, inputs, output: output - head.bias)
    with pytest.raises(UserError, match=r"reaches head\.bias$"):
        training_step(model, RECIPE)


def test_a_loss_that_is_not_finite_is_named():
    model, _ = built()
    nn.init.constant_(model.head.weight, float("inf"))
    with pytest.raises(UserError, match="the loss of a training step is nan"):
        training_step(model, RECIPE)


@pytest.mark.parametrize(
    ("library", "function", "who"), [("timm", "create_model", "timm.create_model"), (None, "load_model", "transmix")]
)
def test_weights_that_come_back_changed_are_named(monkeypatch, library, function, who):
    model, about = built()
    reload(model, about)
    where = getattr(check_table1, library) if library else check_table1
    load = getattr(where, function)

    def load_and_change(*args, **kwargs):
        loaded = load(*args, **kwargs)
        changed = loaded[0] if isinstance(loaded, tuple) else loaded
        nn.init.zeros_(changed.head.weight)
        return loaded

    monkeypatch.setattr(where, function, load_and_change)
    with pytest.raises(UserError, match=rf"{who}.* loads other weights than were written: head\.weight$"):
        reload(model, about)


@pytest.mark.parametrize(("value", "printed", "same"), [(5.717, "5.7", True), (12.6, "12", False), (0.95, "1", True)])
def test_a_number_agrees_with_what_it_rounds_to(value, printed, same):
    assert agrees(value, printed) is same


@pytest.mark.parametrize("row", PUBLISHED)
def test_every_figure_of_the_slides_agrees_or_is_explained(row):
    cost, slides = known(row), PUBLISHED[row]
    off = {
        (row, title)
        for title, value, printed in (
            ("params", cost.parameters / 1e6, slides.params),
            ("GMACs", cost.macs / 1e9, slides.flops),
        )
        if not agrees(value, printed)
    }
    assert off == {key for key in DEVIATIONS if key[0] == row}  # and no explanation is left over
    assert len(list(compare(cost, slides))) == len(off)


def test_a_cost_that_is_not_the_committed_one_is_named():
    cost = replace(known("deit_t"), macs=1)
    with pytest.raises(UserError, match=r"macs=1,.* model_costs\.csv has .*macs=1253683200.*--write-costs"):
        list(compare(cost, PUBLISHED["deit_t"]))


def test_a_figure_without_an_explanation_is_named():
    slides: PublishedRow = replace(PUBLISHED["pvt_t"], params="13.3")
    with pytest.raises(UserError, match=r"13\.229 params, on the slides 13\.3, and no reason is known"):
        list(compare(known("pvt_t"), slides))


def test_reading_that_costs_too_much_is_named(monkeypatch):
    monkeypatch.setattr(check_table1, "READING_SHARE", 0.0001)
    with pytest.raises(UserError, match=r"reading class attention adds 0\.015 % of a forward pass, more than 0\.01 %"):
        list(compare(known("deit_t"), PUBLISHED["deit_t"]))


def test_the_command_checks_a_model_of_the_paper(monkeypatch, capsys):
    """The others take minutes: ``make check-paper``."""
    assert run(monkeypatch, capsys, "check-paper", "--rows", "deit_t") == (0, "")


def test_measured_costs_are_written_on_request(monkeypatch, capsys, tmp_path):
    file = tmp_path / "costs.csv"
    monkeypatch.setattr(check_table1, "write_costs", lambda costs: write_costs(costs, file))
    monkeypatch.setattr(check_table1, "train_and_reload", lambda recipe: 6.9)
    assert run(monkeypatch, capsys, "check-paper", "--rows", "deit_t", "--write-costs") == (0, "")
    assert known_costs(file) == known_costs()


def test_one_bad_model_does_not_keep_the_others_from_being_checked(monkeypatch, capsys):
    def bad() -> str:
        raise UserError("no gradient")

    checks = {"one": lambda: "line of one", "two": bad, "three": lambda: "line of three"}
    monkeypatch.setattr(check_table1, "part", lambda write: Part("heading", checks))
    monkeypatch.setattr(check_paper, "PARTS", check_paper.PARTS[:1])
    with pytest.raises(UserError, match=r"^1 of 3 checks are not as expected: two: no gradient$"):
        check_paper.run(arguments())
    assert capsys.readouterr().out.splitlines() == ["heading", "line of one", "two: no gradient", "line of three"]
    check_paper.run(arguments("three,one"))
    assert capsys.readouterr().out.splitlines()[1:3] == ["line of one", "line of three"]


def arguments(rows: str | None = None) -> Namespace:
    return Namespace(rows=rows, write_costs=False)


def test_an_unknown_row_is_named(monkeypatch, capsys):
    expected = (2, "error: unknown row 'deit_x': did you mean 'deit_t'?")
    assert run(monkeypatch, capsys, "check-paper", "--rows", "deit_x") == expected


def test_every_method_of_the_scales_for_one_gpu_is_rehearsed():
    checks = check_mixes.part(write=False).checks
    planned = [f"cifar100.{run.method}" for run in cifar100().plan() if run.kind == "train"]
    assert [name for name in checks if name.startswith("cifar100.")] == planned
    assert len(planned) == 15
    assert checks["in100.transmix"].args == ("in100", "deit_t", "transmix")


def cifar100() -> Study:
    return make_study(Path("results"), "--scale", "cifar100")


def test_a_step_at_the_benchmarks_size_with_a_teacher():
    line = check_mixes.check("cifar100", "deit_s", "attentivemix").split()
    assert line[:2] == ["cifar100.attentivemix", "deit_small_patch16_224"]
    assert 4 < float(line[2]) < 5.5  # about log 100
    assert line[3] == "1"  # the teacher's pass
