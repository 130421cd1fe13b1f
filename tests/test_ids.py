"""Run ids: what changes them, and that a setting that is new does not."""

from __future__ import annotations

from dataclasses import field, make_dataclass, replace

import pytest
from frozen_defaults import broken_promises, defaults_now, frozen

from experiments.kinds import kinds
from experiments.kinds.cost import StepCost
from experiments.protocols import FineTuning
from experiments.runs import Run, run_id
from tests.made_up import make_study
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
