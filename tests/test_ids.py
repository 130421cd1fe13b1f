"""Run ids: what changes them, and that a setting that is new does not."""

from __future__ import annotations

from dataclasses import field, make_dataclass, replace

import pytest
from frozen_defaults import broken_promises, defaults_now, frozen
from studies import MIXED_FAR, study

from experiments.kinds import kinds
from experiments.kinds.cost import StepCost
from experiments.protocols import FineTuning
from experiments.runs import Run, run_id
from tests.made_up import make_study
from transmix.common.errors import UserError
from transmix.common.plain import built, defaults, differing, plain

SCALES = ("smoke", "tiny", "lab", "paper")


def test_no_default_has_changed():
    assert not broken_promises(), "\n".join(broken_promises())


def test_every_default_is_frozen():
    new = defaults_now().keys() - frozen().keys()
    assert not new, f"settings that are new: {', '.join(sorted(new))}: 'python -m tests.frozen_defaults' adds them"


def test_a_changed_default_is_named_with_what_to_do_instead(monkeypatch):
    monkeypatch.setattr("frozen_defaults.frozen", lambda: {"Recipe.drop_path": "0.2", "Recipe.no_more": "1"})
    changed, gone = broken_promises()
    assert changed.startswith("Recipe.drop_path was 0.2 by default, now it is 0.1")
    assert changed.endswith("a new meaning is a new setting")
    assert "now it is gone" in gone


@pytest.fixture(scope="module")
def ids_now(tmp_path_factory) -> list[tuple[Run, str]]:
    """Every run of every scale with its id."""
    given, results = {"paper": ("--weights", "timm")}, tmp_path_factory.mktemp("results")
    studies = [make_study(results, "--scale", scale, *given.get(scale, ())) for scale in SCALES]
    return [(run, run.id) for study in studies for run in study.plan()]


@pytest.mark.parametrize("kind", kinds())
def test_a_new_setting_changes_no_id_until_it_is_used(ids_now, monkeypatch, kind):
    planned = [run for run, _ in ids_now if run.kind == kind]
    assert planned
    before = [known for run, known in ids_now if run.kind == kind]
    settings = kinds()[kind].settings
    new = [("made_up", dict, field(default_factory=lambda: {"holes": (1, 2)}))]
    extended = make_dataclass(settings.__name__, new, bases=(settings,), frozen=True)
    monkeypatch.setitem(kinds(), kind, replace(kinds()[kind], settings=extended))

    def ids(made_up) -> list[str]:
        return [
            run_id(r.name, kind, r.settings | made_up, r.data.name, r.seed, [need.id for need in r.needs])
            for r in planned
        ]

    assert ids({}) == before  # as an older record has it
    assert ids({"made_up": {"holes": [1, 2]}}) == before
    assert not set(ids({"made_up": {"holes": [1, 3]}})) & set(before)


def test_settings_without_a_default_always_count():
    recipe = kinds()["train"].settings(model="a", image_size=64)
    assert differing(type(recipe), plain(recipe)) == {"model": "a", "image_size": 64}
    assert not {"model", "image_size"} & defaults(type(recipe)).keys()


@pytest.mark.parametrize("settings", dict.fromkeys(kind.settings for kind in kinds().values()))
def test_what_differs_gives_the_settings_again(settings):
    known = {
        "model": "a",
        "weights": "w.pth",
        "image_size": 64,
        "config": "coco/x_deit",
        "batch_size": 2,
        "lr": 0.1,
        "curves": ["random"],
    }
    if settings is FineTuning:
        known |= {"image_size": [64, 64], "epochs": 1}
    if settings is StepCost:
        known |= dict.fromkeys(("drop_path", "clip_grad", "ema_decay"), 0.5) | {
            "precision": "fp32",
            "ema_warmup": False,
        }
        known |= {"interpolation": "bicubic", "eval_crop": 1.0, "batch": 2, "methods": {"cutmix": {"mixup_alpha": 0.0}}}
    needed = {name: known[name] for name in settings.__dataclass_fields__ if name in known}
    whole = built(settings, needed)
    assert built(settings, differing(settings, plain(whole))) == whole


def test_a_changed_recipe_is_another_run_and_everything_that_needs_it_too():
    before, after = study().plan(), study("--set", "lr=1e-3").plan()
    assert [run.name for run in before] == [run.name for run in after]
    same = {run.id for run in before} & {run.id for run in after}
    # which have nothing of Table 1: random weights, and what a step costs
    assert same == {run.id for run in before if run.method == "random" or run.kind == "cost"}
    assert [run.id for run in before] == [run.id for run in study().plan()]


def test_a_label_rule_is_changed_for_transmix_alone():
    """Otherwise the baseline of ``SET="label_rule=attention"`` would be the same run again."""
    runs = study("--rows", "deit_t", "--set", "label_rule=attention").shown_in("table2")
    rules = {run.method: run.settings["label_rule"] for run in runs if run.kind == "train"}
    assert rules == {"baseline": "area", "transmix": "attention"}


def test_settings_of_attention_and_of_a_method_change_no_other_runs(plugins, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    teacher = f"teacher={tmp_path / 'weights.safetensors'}"
    (plugins / "methods").mkdir()
    text = MIXED_FAR % "('table2',)"
    own = "settings={}, options={'holes': 9}"
    text = text.replace('settings={"cutmix_alpha": 0.2}', own) + "\n\ndef mix(step):\n    return None\n"
    (plugins / "methods" / "far_d.py").write_text(text)
    options = ("--rows", "deit_t", "--methods", "far_d,none")

    def changed(*settings: str) -> set[str]:
        set_ = [part for setting in settings for part in ("--set", setting)]
        before, after = (study(*options, *more).shown_in("table2") for more in ((), set_))
        return {one.method for one, other in zip(before, after, strict=True) if one.id != other.id and not one.part}

    assert changed("mix_options.holes=20") == {"far_d"}
    assert changed("attention_block=-2", "label_warmup_epochs=3") == {"transmix"}
    with pytest.raises(UserError, match="setting teacher: no method that is trained heeds it, --methods chooses"):
        changed(teacher)
    assert changed("attention_of=teacher", teacher) == {"transmix"}
    assert changed("lr=1e-3") == {"baseline", "transmix", "none", "far_d"}
    with pytest.raises(UserError, match="unknown mix_option of the methods that are trained 'hole': did you mean 'hol"):
        study(*options, "--set", "mix_options.hole=1")


def test_where_results_and_data_lie_does_not_change_what_a_run_is():
    one, other = study(), study("--results", "elsewhere", "--data", "there")
    assert [run.id for run in one.plan()] == [run.id for run in other.plan()]


def test_own_data_is_another_run(tmp_path):
    own = study("--imagenet", str(tmp_path))
    assert own.classification_data.name.startswith(tmp_path.name)
    same = {run.id for run in own.plan()} & {run.id for run in study().plan()}
    assert same == {run.id for run in own.plan() if run.method == "random"}


def test_own_dense_data_is_another_run(tmp_path):
    own = study("--ade20k", str(tmp_path), "--coco", str(tmp_path / "birds"))
    runs = {run.name: run for run in own.plan()}
    for name, run in {run.name: run for run in study().plan()}.items():
        assert (runs[name].id == run.id) == (run.table not in ("table3", "table4"))
    detection = next(run for run in own.plan() if run.kind == "detection")
    assert detection.data.name.startswith("birds-")
    assert str(tmp_path / "birds") in detection.command
    with pytest.raises(UserError, match=r"is not laid out as ade20k: images/training is missing"):
        own.check_data()
