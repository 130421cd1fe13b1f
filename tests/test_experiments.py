"""Plans: which runs a study has, on which data and in which order, and the makefile fragment that starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from studies import MIXED_FAR, study

from experiments.estimate import Assumptions
from experiments.kinds.natural import folders
from experiments.kinds.occlusion import sweep
from experiments.makefile import fragment
from experiments.plan import plan_lines
from experiments.protocols import FineTuning
from experiments.rows import rows
from experiments.scales import PAIR, SCALES
from transmix.common.errors import UserError
from transmix.common.plain import plain

ROOT = Path(__file__).parent.parent


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
