"""What is checked before anything is loaded: options of commands, and whether a model can be trained so."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from usual_settings import SMOKE

from experiments.__main__ import main
from transmix.common.errors import UserError, exit_on_user_error
from transmix.models.build import check_model

ROOT = Path(__file__).parent.parent
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
        ("experiments plan --methods cutmix,", "--methods cutmix,: has an empty name beside a comma: remove that"),
        ("experiments plan --rows deit_t,,xcit_t", "--rows deit_t,,xcit_t: has an empty name beside a comma: remove"),
        ("experiments plan --scale paper --weights deit_s=a,", "--weights deit_s=a,: has an empty name beside a comma"),
        ("experiments plan --images-per-second deit_s=9,", "--images-per-second deit_s=9,: has an empty name beside"),
        (
            "experiments run table1.deit_s.transmix.seed0 --scale paper",
            "there are no embedded data for imagenet: give IMAGENET=/path/to/imagenet (--imagenet [NAME:]PATH)",
        ),
        ("experiments run table3.deit_s.upernet.transmix.seed0 --scale paper", "for ade20k: give ADE20K=/path/to/"),
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
