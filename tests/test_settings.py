"""Settings: each has a range, checked where it is made: nothing outside is accepted, nothing ends in a traceback."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.__main__ import main
from experiments.protocols import CURVES, FineTuning, LambdaStudy, NaturalAdversarial, Sweep
from experiments.scales import SCALES
from tests.made_up import make_study
from transmix.common.errors import UserError, exit_on_user_error
from transmix.common.ranges import Range, check, check_field, choice, number, text
from transmix.data.loaders import eval_transform, train_transform
from transmix.methods import methods
from transmix.models.build import check_model
from transmix.recipe import INTERPOLATIONS, Recipe, override, parse_settings

ROOT = Path(__file__).parent.parent
SMOKE = SCALES["smoke"].recipe("deit_t", "baseline")
TUNING = FineTuning("ade20k/upernet_deit", 8, 1e-3, (64, 64), iterations=2)
KINDS = (SMOKE, Sweep(CURVES), LambdaStudy(), NaturalAdversarial(), TUNING)


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


ENDS = [0, 1, -1, 2, 0.5, 1e-9, 1e9, -1e9, 10**30, 10**400, math.nan, math.inf, -math.inf, True, "", "nope", None]


def values(field: dataclasses.Field) -> st.SearchStrategy[object]:
    """Something for a field: of its type or not, in its range or at the ends of it or far away."""
    found = st.sampled_from(ENDS)
    if "range" in field.metadata:
        allowed = field.metadata["range"]
        high = 10 if allowed.high is None else allowed.high
        found |= st.sampled_from([allowed.low, allowed.high, allowed.low - 1]) | st.floats(allowed.low, high)
        found |= st.integers(math.ceil(allowed.low), math.floor(high))
    if names := list(field.metadata.get("names", ())):
        found |= st.sampled_from(names)
    if not str(field.type).startswith("tuple"):
        return found
    several = st.lists(found, max_size=3).map(tuple)
    return found | several | st.lists(several, max_size=3).map(tuple)


def changes(usual: object) -> st.SearchStrategy[dict[str, object]]:
    """One or two settings of a dataclass, with any values."""
    fields = {field.name: values(field) for field in dataclasses.fields(usual)}
    chosen = st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=2, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: fields[name] for name in names}))


@pytest.mark.parametrize("usual", KINDS, ids=lambda usual: type(usual).__name__)
def test_any_values_are_accepted_within_the_ranges_or_refused_in_a_line(usual):
    refused: list[bool] = []

    @settings(max_examples=500, deadline=None, derandomize=True)
    @given(changes(usual))
    def check_one(change):
        made = refused_in_a_line(lambda: dataclasses.replace(usual, **change))
        refused.append(made is None)
        for field in dataclasses.fields(usual) if made else ():
            check_within(field, getattr(made, field.name))

    check_one()
    assert refused.count(False) > 2
    assert refused.count(True) > 20


def check_within(field: dataclasses.Field, value: object) -> None:
    if isinstance(value, tuple):
        for one in value:
            check_within(field, one)
    if isinstance(value, float):
        assert math.isfinite(value), (field.name, value)
    if type(value) in (int, float) and "range" in field.metadata:
        assert value in field.metadata["range"]
    if "names" in field.metadata and isinstance(value, str):
        assert value in field.metadata["names"]


WRITTEN = st.lists(
    st.sampled_from([*"019-.ex,=m\x00\n '\"", "nan", "inf", "none", "true", "rand", "$(id)", "9" * 5000]), max_size=4
).map("".join)
NAMES = [field.name for field in dataclasses.fields(Recipe)]
OWN = {name: method for name, method in methods().items() if method.options}


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.sampled_from(NAMES), WRITTEN | st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
def test_any_text_of_a_setting_is_taken_or_refused_in_a_line(name, written):
    refused_in_a_line(lambda: override(SMOKE, **parse_settings([f"{name}={written}"])))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.data())
def test_any_text_of_a_methods_option_is_taken_or_refused_in_a_line(data):
    name = data.draw(st.sampled_from(sorted(OWN)))
    option = data.draw(st.sampled_from(sorted(OWN[name].options)))
    written = data.draw(WRITTEN | st.floats(-20, 100).map(str) | st.integers(-20, 100).map(str))
    pairs = parse_settings([f"mixer={name}", "teacher=t", f"mix_options.{option}={written}"])
    made = refused_in_a_line(lambda: override(SMOKE, **pairs))
    allowed = OWN[name].ranges.get(option)
    if made is not None and allowed is not None and made.options[option] is not None:
        assert made.options[option] in allowed


def refused_in_a_line(make: Callable[[], object]) -> Any:
    said = ""
    try:
        made = make()
    except UserError as error:
        made, said = None, str(error)
    assert "\n" not in said
    assert len(said) < 250
    return made


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


ROBUSTNESS = "robustness m --weights w --data d --sweep random"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("experiments plan --seeds 100000", "--seeds 100000: must be a whole number from 1 to 1,200"),
        ("experiments plan --scale paper --rows all --seeds 1000", "--seeds 1000 of 12 rows: at most 1,200 in all"),
        ("experiments plan --imagenet /nowhere --set lr=-1", "lr=-1: must be above 0 and at most 10"),
        ("experiments plan --imagenet /nowhere --set min_lr=5", "min_lr=5: must be at most lr="),
        ("experiments plan --set lr=1e-3 --set lr=2e-3", "setting lr is given twice, 1e-3 and 2e-3: give one"),
        ("experiments plan --set teacher=/nowhere", "setting teacher: no method that is trained heeds it, --methods"),
        ("experiments plan --methods cutmix --set as_published=true", "setting as_published: no method that is"),
        ("experiments run x --workers -1", "--workers -1: must be a whole number from 0 to 1,024"),
        ("experiments run x --checkpoint-seconds nan", "--checkpoint-seconds nan: must be a number from 0 to 604,800"),
        ("ROBUSTNESS --draws 1000000000", "--draws 1000000000: must be"),
        ("ROBUSTNESS --batch-size 0", "--batch-size 0: must be"),
        ("ROBUSTNESS --seed -1", "--seed -1: must be"),
        ("ROBUSTNESS --precision fp8", "unknown precision 'fp8'"),
        ("ROBUSTNESS --dino /nowhere", "--dino /nowhere: there is no such file"),
        (
            "ROBUSTNESS --masks /nowhere",
            "--masks /nowhere: there is no such file",
        ),
    ],
)
def test_options_out_of_range_are_one_line_before_anything_is_loaded(words, message):
    module, *others = words.replace("ROBUSTNESS", ROBUSTNESS).split()
    script = f"""
import runpy, sys
sys.argv = ["x", *{others!r}]
sys.modules["torch"] = None
runpy.run_module("{module}", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "nope"}, "unknown model 'nope': the nearest of "),
        ({"model": "vit_tiny_patch16_224.nope"}, "unknown pretrained tag of vit_tiny_patch16_224 'nope'"),
        ({"model": "resnet18"}, "model=resnet18: ResNet has no class attention to mix labels by"),
        ({"image_size": 100}, "for image_size=100: the size must be a multiple of 8 px"),
        ({"image_size": 7}, "for image_size=7"),
        ({"image_size": 1}, "for image_size=1"),
        ({"model": "pvt_micro_tiny_patch2_64", "image_size": 40}, "multiple of 16 px"),
        ({"model": "xcit_micro_tiny_patch8_64", "image_size": 60}, "should divide image dimensions evenly"),
        ({"attention_head": 5}, "attention_head=5: the block has heads 0 to 1"),
        ({"attention_block": 9}, "attention_block=9"),
    ],
)
def test_a_model_that_cannot_be_trained_so_is_one_line(change, message):
    with pytest.raises(UserError) as caught:
        check_model(dataclasses.replace(SMOKE, label_rule="mean", **change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_model_of_another_kind_trains_by_area():
    check_model(dataclasses.replace(SMOKE, model="test_resnet"))


def test_the_model_is_looked_at_before_the_data(tmp_path, monkeypatch, capsys):
    words = "run table1.deit_t.transmix.seed0 --scale smoke --set image_size=100 --device cpu"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["experiments", *words.split()])
    with pytest.raises(SystemExit):
        exit_on_user_error(main)
    assert "must be a multiple of 8 px" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
