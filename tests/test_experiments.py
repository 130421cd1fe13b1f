"""Recipes, plans, run identities, records and the generated makefile fragment."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import timm
import torch

from experiments.estimate import Assumptions
from experiments.kinds.natural import folders
from experiments.kinds.occlusion import sweep
from experiments.makefile import fragment
from experiments.plan import plan_lines
from experiments.protocols import FineTuning
from experiments.rows import model_name, rows, table1
from experiments.scales import PAIR, SCALES
from experiments.study import Study
from experiments.study_options import add_study_options, study_from
from transmix.attention import ClassAttention
from transmix.common.errors import UserError
from transmix.common.plain import built, plain
from transmix.models import create_model
from transmix.models.build import build_model
from transmix.recipe import Recipe, override, parse_settings


def study(*options: str) -> Study:
    parser = argparse.ArgumentParser()
    add_study_options(parser)
    return study_from(parser.parse_args(options))


def test_a_plan_says_which_data_are_lacking():
    def notes(*options: str) -> list[str]:
        return [line for line in plan_lines(study(*options), Assumptions()) if line.startswith("note: ")]

    (note,) = notes("--scale", "paper", "--rows", "deit_s")
    assert note.startswith(
        "note: 29 runs lack their data and cannot start: give IMAGENET=/path/to/imagenet (--imagenet"
    )
    assert all(f"{name}=" in note for name in ("ADE20K", "PASCAL_CONTEXT", "COCO"))
    (note,) = notes("--scale", "paper", "--rows", "deit_s", "--imagenet", "/data/imagenet")
    assert "IMAGENET=" not in note
    assert notes("--scale", "tiny") == []


PLANNED = [(scale.name, row) for scale in SCALES.values() for row in scale.known_rows]


@pytest.mark.parametrize(("scale", "row"), PLANNED)
def test_a_row_differs_from_its_baseline_by_the_label_rule_alone(scale, row):
    pair = [plain(SCALES[scale].recipe(row, method)) for method in PAIR]
    assert {name for name in pair[0] if pair[0][name] != pair[1][name]} == {"label_rule"}
    assert [recipe["label_rule"] for recipe in pair] == ["area", "mean"]
    assert timm.is_model(pair[0]["model"])


@pytest.mark.parametrize("row", rows())
def test_every_row_has_a_micro_model_whose_class_attention_can_be_read(row):
    model, about = build_model(SCALES["tiny"].recipe(row, "transmix"), num_classes=7)
    reader = ClassAttention(model)
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 64, 64))
    rows, columns = reader.grid
    assert logits.shape == (2, 7)
    assert about["image_size"] == 64
    assert reader.take().shape == (2, rows * columns)
    assert rows >= 4


def test_micro_models_are_ordered_as_in_the_paper():
    sizes = {row: SCALES["tiny"].recipe(row, "baseline").model for row in rows()}
    for family in ("deit", "pvt", "xcit"):
        members = [row.name for row in rows().values() if row.family == family]
        counts = [sum(p.numel() for p in create_model(sizes[row]).parameters()) for row in members]
        assert counts == sorted(counts)


def test_table_2_varies_one_row_by_how_it_mixes():
    lab = study("--scale", "lab", "--seeds", "2")
    runs = lab.shown_in("table2")
    assert [run.name for run in runs if run.seed == 1] == [
        f"{table}.deit_t.{method}.seed1"
        for table, method in [
            ("table1", "baseline"),
            ("table1", "transmix"),
            ("table2", "none"),
            ("table2", "cutmix"),
            ("table2", "oracle"),
        ]
    ]
    differs = {"none": {"mix_prob"}, "cutmix": {"mixup_alpha"}, "oracle": {"label_rule"}, "transmix": {"label_rule"}}
    base = plain(SCALES["lab"].recipe("deit_t", "baseline"))
    for method, expected in differs.items():
        recipe = plain(SCALES["lab"].recipe("deit_t", method))
        assert {name for name in base if base[name] != recipe[name]} == expected
    others = study("--scale", "lab", "--rows", "xcit_t,pvt_t", "--methods", "fmix").shown_in("table2")
    assert {(run.row, run.method) for run in others if not run.part} == {("xcit_t", m) for m in (*PAIR, "fmix")}
    shown = {run.table for run in study("--scale", "tiny").shown_in("report")}
    assert shown == {"table1", "table2", "table3", "table4", "table5", "occlusion", "lambda"}


def test_methods_are_chosen_beside_the_pair():
    lab = study("--scale", "lab", "--seeds", "1", "--methods", "cutmix,oracle")
    trainings = [run.method for run in lab.shown_in("table2") if run.kind == "train"]
    assert trainings == ["baseline", "transmix", "cutmix", "oracle"]
    chosen = next(run for run in lab.plan() if run.method == "oracle")
    usual = study("--scale", "lab").find("table2.deit_t.oracle.seed0")
    assert chosen.id == usual.id
    assert "--methods cutmix,oracle" in chosen.command
    assert lab.make("table2") == "make table2 SCALE=lab METHODS=cutmix,oracle SEEDS=1"
    pair = study("--methods", "transmix").plan()
    assert {run.method for run in pair if run.kind != "cost"} == {*PAIR, "random"}


def test_all_methods_are_those_that_a_study_can_train(tmp_path):
    """The oracle's labels need masks, and that the images stay on the device."""
    beside = ["none", "cutmix", "oracle"]
    for options, known in (
        (("--scale", "lab"), beside),
        (("--scale", "lab", "--set", "resident=false"), beside[:2]),
        (("--scale", "lab", "--imagenet", str(tmp_path)), beside[:2]),
        (("--scale", "tiny", "--rows", "deit_t", "--set", "resident=false"), beside[:2]),
        (("--scale", "tiny", "--rows", "deit_t"), beside),
    ):
        trained = study(*options, "--methods", "all").trained_by("deit_t")
        assert [name for name in trained if name in ("none", "cutmix", "oracle")] == known
    said = " ".join(plan_lines(study("--scale", "tiny", "--set", "resident=false", "--methods", "all"), Assumptions()))
    assert "tl_align (XCiT-T does not show the attention that it reads)" in said
    assert "oracle (label_rule=oracle needs the object masks that resident=True reads: add that)" in said
    with pytest.raises(UserError, match="--methods tl_align: XCiT-T does not show the attention that it reads: cho"):
        study("--rows", "xcit_t,pvt_t", "--methods", "tl_align")
    assert study("--rows", "pvt_t", "--methods", "tl_align").trained_by("pvt_t") == (*PAIR, "tl_align")
    with pytest.raises(UserError, match="--methods oracle needs object masks"):
        study("--scale", "lab", "--imagenet", str(tmp_path), "--methods", "oracle")


MIXED_FAR = """
from transmix.methods import Method

METHOD = Method(title="Far CutMix", settings={"cutmix_alpha": 0.2}, tables=%s)
"""


def test_a_method_of_ones_own_is_planned_where_it_says_that_it_appears(plugins):
    (plugins / "methods").mkdir()
    for name, tables in (("far_a", ("table2", "table3", "table5")), ("far_b", ("table1", "lambda"))):
        (plugins / "methods" / f"{name}.py").write_text(MIXED_FAR % repr(tables))
    assert not [run for run in study("--scale", "smoke").plan() if run.method.startswith("far")]
    chosen = study("--scale", "smoke", "--rows", "deit_t,pvt_t", "--methods", "far_b,far_a")
    runs = [run.name for run in chosen.plan() if run.method.startswith("far_")]
    assert runs == [
        "table2.deit_t.far_a.seed0",
        "table1.deit_t.far_b.seed0",
        "table5.deit_t.far_a.seed0",
        "lambda.deit_t.far_b.seed0",
        "table3.deit_t.segmenter_linear.far_a.seed0",
        "table1.pvt_t.far_b.seed0",
        "lambda.pvt_t.far_b.seed0",
    ]
    tuned = next(run for run in chosen.plan() if run.part and run.method == "far_a")
    assert [need.name for need in tuned.needs] == ["table2.deit_t.far_a.seed0"]
    far = chosen.find("table2.deit_t.far_a.seed0").settings
    assert (far["cutmix_alpha"], far["label_rule"]) == (0.2, "area")


def test_make_finds_a_method_of_ones_own(plugins):
    (plugins / "methods").mkdir()
    (plugins / "methods" / "far_c.py").write_text(MIXED_FAR % ("('table2',)",))
    command = [
        "make",
        "-n",
        "table2",
        "SCALE=smoke",
        "METHODS=far_c",
        f"PLUGINS={plugins}",
        f"RESULTS={plugins}/results",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PLUGINS"}
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert out.returncode == 0, out.stderr
    assert "experiments run table2.deit_t.far_c.seed0" in out.stdout


ROW = """
from dataclasses import replace

from experiments.rows import Row
from experiments.rows.deit import deit_s


def swin_t():
    return replace(deit_s(), model="swin_tiny_patch4_window7_224")


def registers():
    return replace(deit_s(), model="vit_medium_patch16_reg4_256", image_size=256)


ROWS = (
    Row("swin_t", "swin", "Swin-T", swin_t, models={"tiny": "swin_tiny_patch4_window7_224"}, attention=False),
    Row("vit_reg", "vit", "ViT-M + registers", registers, models={"tiny": "vit_little_patch16_reg1_gap_256"}),
)
"""


def test_a_model_that_the_paper_does_not_have_is_one_file(plugins, tmp_path):
    (plugins / "rows").mkdir()
    (plugins / "rows" / "far_rows.py").write_text(ROW)
    assert [*rows()][-2:] == ["swin_t", "vit_reg"]
    assert [rows()[name].published for name in ("swin_t", "vit_reg")] == [None, None]
    assert [model_name(row) for row in ("swin_t", "deit_t", "gone")] == ["Swin-T", "DeiT-T", "gone"]
    chosen = study("--scale", "smoke", "--rows", "vit_reg,swin_t", "--methods", "all")
    assert [run.name for run in chosen.plan() if run.row == "swin_t"] == [
        f"{table}.swin_t.baseline.seed0" for table in ("table1", "occlusion", "table5")
    ]
    assert {*PAIR, "fmix", "tl_align"} <= {run.method for run in chosen.plan() if run.row == "vit_reg"}
    assert "swin_t" not in {run.row for run in study("--scale", "paper").plan()}
    assert "swin_t" in study("--scale", "smoke", "--rows", "all").rows
    sweeps = [
        study("--scale", "smoke", "--rows", "swin_t", *data).find("occlusion.swin_t.baseline.seed0").settings["curves"]
        for data in ((), ("--imagenet", str(tmp_path)))
    ]
    assert [("salient" in curves, "random" in curves) for curves in sweeps] == [(True, True), (False, True)]
    with pytest.raises(UserError, match="unknown row at scale lab 'swin_t'"):
        study("--scale", "lab", "--rows", "swin_t")
    (plugins / "rows" / "far_twice.py").write_text(ROW)
    rows.cache_clear()
    with pytest.raises(UserError, match="row swin_t is declared twice"):
        rows()


def test_the_papers_rows_come_in_its_order_with_its_names():
    assert [row.row for row in table1().values()] == list(rows()) == list(table1())
    for row in rows().values():
        assert row.title == row.published.model
        assert row.name == row.published.row == row.recipe.__name__
        assert row.models.keys() == {"tiny", "lab"}


def test_what_robustness_is_measured_on(tmp_path):
    """Table 5 needs images that mislead: the scenes bring them, other data does not, and a report does without."""
    scenes = study("--scale", "tiny")
    (natural,) = {tuple(run.settings.items()) for run in scenes.plan() if run.kind == "natural"}
    assert dict(natural) == {"natural": "scenes-A", "outliers": "scenes-O"}
    assert sweep(scenes).saliency == "objects"
    own = study("--scale", "tiny", "--imagenet", str(tmp_path))
    assert sweep(own).saliency == "attention"
    assert "table5" not in {run.table for run in own.shown_in("report")}
    assert not folders(own)
    both = ("--imagenet-a", str(tmp_path / "a"), "--imagenet-o", str(tmp_path / "o"))
    given = study("--scale", "paper", "--imagenet", str(tmp_path), *both)
    runs = [run for run in given.shown_in("report") if run.kind == "natural"]
    assert runs[0].settings == {"natural": "imagenet-a", "outliers": "imagenet-o"}
    assert runs[0].inputs == {"natural": tmp_path / "a", "outliers": tmp_path / "o"}
    assert runs[0].command.endswith(f"--imagenet-a {tmp_path / 'a'} --imagenet-o {tmp_path / 'o'}")
    published = study("--scale", "lab", "--protocol", "published", "--dino", str(tmp_path / "dino.pth"))
    assert (sweep(published).protocol, sweep(published).saliency) == ("published", "dino")


def test_every_recipe_is_a_lab_book_entry():
    for row in rows().values():
        assert f"make table1 SCALE=paper ROWS={row.name}" in row.recipe.__doc__
        assert "Expected (slides)" in row.recipe.__doc__


def test_paper_recipes_hold_the_official_configuration():
    """method_facts.md §2.1, columns "OFF DeiT-S" and "OFF DeiT-B"."""
    small, base = (plain(SCALES["paper"].recipe(row, "transmix")) for row in ("deit_s", "deit_b"))
    expected = {
        "epochs": 300,
        "cooldown_epochs": 10,
        "batch_size": 256,
        "lr": 1e-3,
        "min_lr": 1e-5,
        "warmup_lr": 1e-6,
        "warmup_epochs": 20,
        "weight_decay": 0.03,
        "drop_path": 0.1,
        "random_erasing": 0.0,
        "mixup_alpha": 0.8,
        "cutmix_alpha": 1.0,
        "switch_prob": 0.5,
        "ema_decay": 0.99996,
        "report_ema": True,
        "eval_crop": 0.9,
    }
    assert {name: small[name] for name in expected} == expected
    changed = {"warmup_epochs": 5, "weight_decay": 0.05, "switch_prob": 0.8}
    assert {name: base[name] for name in expected} == expected | changed


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


def test_fine_tuning_starts_from_both_weights_of_table_1_or_from_none():
    runs = {run.name: run for run in study().plan()}
    by_method = {m: runs[f"table3.xcit_t.upernet.{m}.seed0"] for m in ("baseline", "transmix", "random")}
    assert [need.name for need in by_method["transmix"].needs] == ["table1.xcit_t.transmix.seed0"]
    assert [need.name for need in by_method["baseline"].needs] == ["table1.xcit_t.baseline.seed0"]
    assert by_method["random"].needs == ()
    assert len({str(run.settings) for run in by_method.values()}) == 1  # they differ in nothing else
    assert FineTuning.of(by_method["random"].settings) in SCALES["tiny"].fine_tuning
    assert [run.method for run in runs.values() if run.part == "mask_rcnn_1x"] == ["baseline", "transmix"]
    assert study("--scale", "desk").find("table4.xcit_t.mask_rcnn_1x.random.seed0")


def test_every_row_of_the_paper_is_fine_tuned_on_both_tasks():
    parts = {}
    for run in study("--scale", "paper").plan():
        if run.part and run.method == "random":
            parts.setdefault(run.row, []).append(run.part)
    segmenter = ["segmenter_linear", "segmenter_mask"]
    context = [f"pascal_context-{part}" for part in segmenter]
    both = ["mask_rcnn_1x", "mask_rcnn_3x"]
    assert parts["deit_s"] == ["upernet", *segmenter, *context, *both]
    assert parts["xcit_l"] == ["upernet", "semantic_fpn", *both]
    assert parts["cait_xxs"] == ["upernet", *both]
    assert parts["pvt_s"] == parts["pvt_l"] == ["semantic_fpn", "mask_rcnn_1x"]
    assert parts.keys() == rows().keys()
    large = study("--scale", "paper").find("table4.pvt_l.mask_rcnn_1x.random.seed0")
    assert large.settings["batch_size"] == 8


def test_data_that_is_not_given_is_asked_for():
    run = study("--scale", "paper").find("table4.deit_t.mask_rcnn_1x.random.seed0")
    assert run.data.source is None
    assert run.data.remedy == "COCO=/path/to/coco (--coco PATH)"


def test_a_run_comes_after_what_it_needs():
    runs = study("--rows", "all", "--seeds", "2").plan()
    dense = sum(run.table in ("table3", "table4") for run in runs)
    # and one, for one row, whose steps are timed once
    assert len(runs) == len(rows()) * 2 * 7 + 1 + dense
    for place, run in enumerate(runs):
        assert all(need in runs[:place] for need in run.needs)


def test_the_fragment_has_a_rule_for_every_record():
    plan = study("--seeds", "2")
    text = fragment(plan)
    for run in plan.plan():
        assert f"\n{run.folder}/record.json: " in text
        assert f"-m experiments run {run.id} --scale tiny --seeds 2" in text
    occlusion = next(run for run in plan.plan() if run.kind == "occlusion")
    assert f"{occlusion.folder}/record.json: {occlusion.needs[0].folder}/record.json |" in text


def test_planning_imports_nothing_heavy():
    code = (
        "import sys; from experiments.__main__ import main; sys.argv = ['x', 'plan', '--scale', 'paper']; main();"
        "print([m for m in ('torch', 'timm', 'numpy', 'rich') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.splitlines()[-1] == "[]"
    assert "table1.deit_s.transmix.seed0" in out.stdout


ROOT = Path(__file__).parent.parent
