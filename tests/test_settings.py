"""Settings: read with their types, each within a range that is checked where it is made, and named where it is not."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import fields

import pytest
from usual_settings import SMOKE, TUNING

from experiments.protocols import CURVES, LambdaStudy, NaturalAdversarial, Sweep
from experiments.scales import SCALES
from tests.made_up import make_study
from transmix.common.errors import UserError
from transmix.common.plain import built, plain
from transmix.common.ranges import Range, check, check_field, choice, number, text
from transmix.data.loaders import eval_transform, train_transform
from transmix.methods import methods
from transmix.recipe import INTERPOLATIONS, Recipe, override, parse_settings


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        *((f"{name}=nan", f"{name}=nan: must be") for name in ("hflip", "mix_prob", "switch_prob", "mixup_alpha")),
        *((f"{name}=nan", f"{name}=nan: must be") for name in ("cutmix_alpha", "drop_path", "layer_decay", "lr")),
        *((f"{name}=nan", f"{name}=nan: must be") for name in ("ema_decay", "random_erasing", "weight_decay")),
        ("clip_grad=inf", "clip_grad=inf: must be above 0"),
        ("clip_grad=-1", "clip_grad=-1: must be above 0"),
        ("clip_grad=0", "clip_grad=0: must be above 0"),
        ("lr=-1", "lr=-1: must be above 0"),
        ("lr=1e400", "lr=inf: must be above 0"),
        ("warmup_lr=-1", "warmup_lr=-1: must be from 0"),
        ("min_lr=5", "min_lr=5: must be at most lr=0.0015"),
        ("warmup_lr=0.1", "warmup_lr=0.1: must be at most lr=0.0015"),
        ("warmup_epochs=9", "warmup_epochs=9: must be at most epochs=2"),
        *((f"layer_decay={value}", f"layer_decay={value}: must be above 0 and at most 1") for value in (5, 0, -1)),
        *((f"smoothing={value}", f"smoothing={value}: must be from 0 to below 1") for value in (2, -1, 1)),
        ("repeated_augmentation=1000", "repeated_augmentation=1000: must be from 1 to 64"),
        ("repeated_augmentation=16", "must be below batch_size=16"),
        *((f"ema_decay={value}", f"ema_decay={value}: must be from 0 to below 1") for value in (2, -1, 1)),
        ("weight_decay=-0.5", "weight_decay=-0.5: must be from 0"),
        *((f"eval_crop={value}", f"eval_crop={value}: must be from 0.1 to 1") for value in (0, -1, 100, "inf", "nan")),
        ("crop_scale=2,1", "crop_scale=2: must be from 0.01 to 1"),
        ("crop_scale=1,0.5", "crop_scale=1,0.5: the smaller share comes first"),
        *((f"crop_scale={low},1", f"crop_scale={low}: must be from 0.01 to 1") for low in (0, -1, "nan")),
        ("crop_scale=0.1", "setting crop_scale='0.1': write two numbers"),
        *((f"{name}=1.5", f"{name}=1.5: must be from 0 to 1") for name in ("hflip", "mix_prob", "random_erasing")),
        ("mixup_alpha=-1", "mixup_alpha=-1: must be from 0"),
        ("cutmix_alpha=-1", "cutmix_alpha=-1: must be from 0"),
        *((f"cooldown_epochs={value}", f"cooldown_epochs={value}: must be from 0") for value in (-1, -2)),
        *((f"rand_augment={value}", "must be like rand-m9-mstd0.5-inc1") for value in ("", "rand-m999", "nope")),
        ("interpolation=nope", "unknown interpolation 'nope': "),
        *((f"image_size={value}", f"image_size={value}: must be from 1 to 4,096") for value in (0, 100_000)),
        ("model=", "model='': must be a name"),
        ("epochs=" + "9" * 400, "must be from 1 to 100,000"),
        ("epochs=" + "9" * 9000, ": write a whole number"),
        ("drop_path=1", "drop_path=1: must be from 0 to below 1"),
        ("micro_batch=0", "micro_batch=0: must be from 1"),
        ("label_warmup_epochs=-1", "label_warmup_epochs=-1: must be from 0"),
        ("label_warmup_epochs=9", "label_warmup_epochs=9: must be at most epochs=2"),
        ("attention_head=-1", "attention_head=-1: must be from 0"),
        ("attention_of=nobody", "unknown attention_of 'nobody'"),
        ("mixer=nobody", "unknown mixer 'nobody'"),
        ("teacher=", "teacher='': must be a name"),
    ],
)
def test_nonsense_is_one_line(pairs, message):
    with pytest.raises(UserError) as caught:
        override(SMOKE, **parse_settings([pairs]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": 0}, "draws=0: must be from 1"),
        ({"draws": 10**9}, "draws=1000000000: must be from 1 to 1,000"),
        ({"draws": True}, "draws=True: must be a whole number"),
        ({"curves": ("randm",)}, "unknown curve 'randm'"),
        ({"curves": ("random", "random")}, "must name each only once"),
        ({"curves": "random"}, "curves=random: must be several of 'text'"),
        ({"cells": ((2, 0),)}, "cells=0: must be from 1"),
        ({"cells": ((2, 2, 2),)}, "must be several of '2 of 'a whole number''"),
        ({"images": -3}, "images=-3: must be 1 or more"),
        ({"seed": 2**63}, "seed=9223372036854775808: must be from 0"),
    ],
)
def test_a_sweep_out_of_range(change, message):
    with pytest.raises(UserError) as caught:
        Sweep(**{"curves": CURVES} | change)
    assert message in str(caught.value)


def test_other_protocols_out_of_range():
    for make, change, message in (
        (LambdaStudy, {"mixes": 0}, "mixes=0: must be 1 or more"),
        (LambdaStudy, {"min_area": 0.6}, "max_area=0.6: must be above min_area=0.6"),
        (LambdaStudy, {"max_area": math.nan}, "max_area=nan: must be above 0 and at most 1"),
        (NaturalAdversarial, {"natural": ""}, "natural='': must be a name"),
    ):
        with pytest.raises(UserError, match=message):
            make(**change)
    for change, message in (
        ({"lr": math.inf}, "lr=inf"),
        ({"epochs": 3}, "its length is iterations or epochs"),
        ({"precision": "tf32"}, "unknown precision"),
        ({"config": "coco"}, "must be like ade20k/upernet_deit"),
        ({"image_size": (64, 64, 64)}, "must be 2 of 'a whole number'"),
    ):
        with pytest.raises(UserError, match=message):
            dataclasses.replace(TUNING, **change)


@pytest.mark.parametrize("name", INTERPOLATIONS)
def test_every_filter_trains_and_evaluates(name):
    """DeiT's paper recipe draws one for each training image; for evaluation timm knows no such filter."""
    recipe = dataclasses.replace(SMOKE, interpolation=name)
    assert train_transform(recipe)
    assert eval_transform(recipe.view)


@pytest.mark.parametrize(
    "text", ["rand", "rand-m9-mstd0.5-inc1", "rand-m7-n3-p0.5-mmax10-tweights", "rand-m10-t3a", "rand-mstd100-inc0"]
)
def test_every_form_of_randaugment_is_timms(text):
    assert train_transform(override(SMOKE, rand_augment=text))


def test_every_option_of_a_method_has_a_range_or_choices():
    for method in methods().values():
        for name, usual in method.options.items():
            assert (name in method.choices) + (name in method.ranges) + (type(usual) is bool) == 1, (method.name, name)
            if name in method.ranges and usual is not None:
                assert usual in method.ranges[name], (method.name, name)


@pytest.mark.parametrize(
    ("mixer", "written", "message"),
    [
        ("fmix", "decay=-1", "mix_options.decay=-1: must be from 0 to 10"),
        ("fmix", "decay=nan", "mix_options.decay=nan: must be finite"),
        ("fmix", "decay=high", "mix_options.decay=high: must be a number"),
        ("fmix", "max_soft=0.6", "mix_options.max_soft=0.6: must be from 0 to 0.5"),
        ("maskmix", "cells=1", "mix_options.cells=1: must be from 2 to 64"),
        ("maskmix", "cells=2.0", "mix_options.cells=2: must be a whole number"),
        ("maskmix", "cells=" + "9" * 400, "must be from 2 to 64"),
        ("maskmix", "share=true", "mix_options.share=True: must be a number"),
        ("resizemix", "smallest=0.9", "mix_options.smallest=0.9: must be at most mix_options.largest=0.8"),
        ("resizemix", "smallest=0", "mix_options.smallest=0: must be from 0.01 to 1"),
        ("resizemix", "interpolation=3", "mix_options.interpolation=3: must be text"),
        ("smmix", "largest=1", "mix_options.largest=1: must be from 0 to below 1"),
        ("puzzlemix", "weights=1", "mix_options.weights=1: must be from 2 to 16"),
        ("puzzlemix", "weights=none", "mix_options.weights=None: must be a whole number"),
        ("puzzlemix", "transport=1", "mix_options.transport=1: must be true or false"),
        ("attentivemix", "top_k=0", "mix_options.top_k=0: must be from 1 to 4,096"),
        ("attentivemix", "top_k=1.5", "mix_options.top_k=1.5: must be a whole number or none"),
        ("attentivemix", "beta=-2", "mix_options.beta=-2: must be from 0.01 to 100"),
        ("mixpro", "cells=65", "mix_options.cells=65: must be from 2 to 64"),
    ],
)
def test_options_of_methods_out_of_range(mixer, written, message):
    with pytest.raises(UserError) as caught:
        override(SMOKE, teacher="t", mixer=mixer, **parse_settings([f"mix_options.{written}"]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_every_recipe_of_every_scale_is_within_the_ranges(tmp_path):
    for name in SCALES:
        study = make_study(tmp_path, "--scale", name, "--rows", "all")
        for row in study.rows:
            for method in study.trained_by(row):
                check(study.recipe(row, method))


@dataclasses.dataclass(frozen=True)
class Example:
    share: float = number(0.5, above=0, below=1)
    count: int | None = number(None, least=1)
    name: str = choice("a", of=("a", "b"))
    word: str = text("x", form="[a-z]+", like="a small word")


def test_ranges_in_words():
    assert [str(Range(0, 1)), str(Range(1, None)), str(Range(0, 1, ("high",)))] == [
        "from 0 to 1",
        "1 or more",
        "from 0 to below 1",
    ]
    for change, message in (
        ({"share": 1}, "share=1: must be above 0 and below 1"),
        ({"count": 1.0}, "count=1: must be a whole number or none"),
        ({"count": 0}, "count=0: must be 1 or more"),
        ({"name": "c"}, "unknown name 'c'"),
        ({"word": "X"}, "word=X: must be a small word"),
        ({"word": "x" * 200 + "\n"}, r"word='x+\.\.\.: must be a small word"),
    ):
        with pytest.raises(UserError, match=message):
            check(Example(**change))
    check_field(Example, "share", 0.25)


def test_settings_survive_json():
    recipe = SCALES["tiny"].recipe("deit_t", "transmix")
    assert built(Recipe, json.loads(json.dumps(plain(recipe)))) == recipe


def test_settings_from_the_command_line_are_typed():
    parsed = parse_settings(
        ["lr=1e-3", "epochs=5", "ema_decay=none", "crop_scale=0.5,1", "report_ema=false", "precision=bf16"]
    )
    assert parsed == {
        "lr": 0.001,
        "epochs": 5,
        "ema_decay": None,
        "crop_scale": (0.5, 1.0),
        "report_ema": False,
        "precision": "bf16",
    }
    assert all(parse_settings([f"{field.name}=none"]) for field in fields(Recipe) if "None" in str(field.type))


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("lrr=1", "unknown setting 'lrr': did you mean 'lr'"),
        ("LR=1", "unknown setting 'LR': did you mean 'lr'"),
        ("resident=yes", "resident='yes': write true or false"),
        ("crop_scale=0.1", "crop_scale='0.1': write two numbers, LOW,HIGH"),
        ("mixup-switch-prob=0.8", "did you mean 'switch_prob'"),  # what the official configuration got wrong
        ("epochs=many", "epochs='many': write a whole number"),
        ("epochs", "has no value"),
    ],
)
def test_a_wrong_setting_is_named(pair, message):
    with pytest.raises(UserError, match=message):
        parse_settings([pair])


def test_a_setting_out_of_range_is_named():
    recipe = SCALES["tiny"].recipe("deit_t", "baseline")
    for change, message in (
        ({"label_rule": "are"}, "did you mean 'area'"),
        ({"epochs": 0}, "epochs=0: must be from 1 to 100,000"),
        ({"report_ema": True}, "report_ema=True needs ema_decay"),
        ({"warm_up": 3}, "did you mean 'warmup_"),
    ):
        with pytest.raises(UserError, match=message):
            override(recipe, **change)
