"""GPU-hours and disk of planned runs, against sums by hand; and what the plan says about them."""

from __future__ import annotations

import re
import statistics
import sys

import pytest
from studies import study
from test_commands import run

from experiments.__main__ import main
from experiments.costs import known_costs, write_costs
from experiments.estimate import A100_TFLOPS, UTILISATION, Assumptions, estimate, images_of, total
from experiments.kinds import kinds
from experiments.plan import plan_lines
from experiments.rows import rows
from experiments.runs import Run

PAPER = ("--scale", "paper", "--rows", "all")
ROUND = Assumptions(  # half of 10 TFLOP/s: 5e12 FLOP/s whatever the precision
    gpu_tflops=dict.fromkeys(A100_TFLOPS, 10.0), utilisation=0.5, train_images=1_000_000, val_images=10_000
)


def planned(name: str, *options: str) -> Run:
    return study(*PAPER, *options).find(name)


def test_gpu_hours_of_deit_s_by_hand():
    """310 epochs of 3,906 batches of 256 and one evaluation each; 4,598,882,304 multiply-accumulates an image."""
    training = 310 * 3906 * 256 * 3 * 2 * 4_598_882_304
    evaluation = 310 * 10_000 * 2 * 4_598_882_304
    found = estimate(planned("table1.deit_s.transmix.seed0"), ROUND)
    assert found.gpu_hours == pytest.approx((training + evaluation) / 5e12 / 3600, rel=1e-12)
    assert found.gpu_hours == pytest.approx(476.77, abs=0.01)
    weights = 22_050_664 * 4
    assert found.disk == (2 + 4) * weights + 310 * 1024  # weights, state of weights and moments: each with an average


def test_gpu_hours_of_xcit_s_by_hand():
    """400 epochs of 976 batches of 1,024; its moving average is kept."""
    work = (400 * 976 * 1024 * 3 + 400 * 10_000) * 2 * 4_795_832_832
    assert estimate(planned("table1.xcit_s.baseline.seed0"), ROUND).gpu_hours == pytest.approx(work / 5e12 / 3600)


def test_pvt_keeps_no_moving_average():
    found = estimate(planned("table1.pvt_t.baseline.seed0"), ROUND)
    assert found.disk == (1 + 3) * 13_229_288 * 4 + 300 * 1024


def test_class_folders_in_place_of_the_scenes_are_counted(shared_folders):
    run = study("--scale", "smoke", "--imagenet", str(shared_folders)).find("table1.deit_t.baseline.seed0")
    assert images_of(run, Assumptions()) == (48, 15)
    run = study(*PAPER, "--imagenet", str(shared_folders)).find("table1.deit_t.baseline.seed0")
    assert images_of(run, Assumptions(train_images=7, val_images=3)) == (7, 3)


def test_measurements_are_forward_passes():
    macs = 1_253_683_200
    occlusion = estimate(planned("occlusion.deit_t.baseline.seed0"), ROUND)
    passes = 1 + 9 * 3 + 9 + 9 + 7 * 3 + 4 * 5  # clean, three orders of patches, grids, corruptions
    assert occlusion.gpu_hours == pytest.approx(passes * 10_000 * 2 * macs / 5e12 / 3600)
    assert occlusion.disk == passes * 10_000 // 8
    natural = estimate(planned("table5.deit_t.baseline.seed0"), ROUND)
    assert natural.gpu_hours == pytest.approx((7_500 + 2_000 + 10_000) * 2 * macs / 5e12 / 3600)
    labels = estimate(planned("lambda.deit_t.transmix.seed0"), ROUND)
    assert labels.gpu_hours == pytest.approx(10_000 * 2 * macs / 5e12 / 3600)
    assert labels.disk == 6 * 3 * 3 * 224 * 224


def test_fine_tuning_counts_pixels():
    """160,000 steps of 16 crops of 512 px, and 2,000 images once and once more at six scales, flipped or not."""
    macs = 4_598_882_304 * (512 / 224) ** 2
    views = 1 + 2 * (0.25 + 0.5625 + 1 + 1.5625 + 2.25 + 3.0625)
    work = (160_000 * 16 * 3 + 2_000 * views) * 2 * macs
    found = estimate(planned("table3.deit_s.upernet.random.seed0"), ROUND)
    assert found.gpu_hours == pytest.approx(work / 5e12 / 3600)
    assert found.disk == 4 * 22_050_664 * 4
    assert found == estimate(planned("table3.deit_s.upernet.transmix.seed0"), ROUND)


def test_fine_tuning_by_epochs():
    """12 epochs of 7,329 full batches of 16."""
    macs = 6 * 12 * 7329 * 16 * (800 * 1067 / 224**2) * 4_598_882_304 + 2 * 5000 * (800 * 1067 / 224**2) * 4_598_882_304
    found = estimate(planned("table4.deit_s.mask_rcnn_1x.baseline.seed0"), ROUND)
    assert found.gpu_hours == pytest.approx(macs / 5e12 / 3600)


def test_the_recipes_precision_chooses_the_peak():
    given = Assumptions(gpu_tflops={"fp32": 10.0, "bf16": 100.0})
    slow = estimate(planned("table1.deit_t.baseline.seed0"), given)
    fast = estimate(planned("table1.deit_t.baseline.seed0", "--set", "precision=bf16"), given)
    assert slow.gpu_hours == pytest.approx(10 * fast.gpu_hours)


def test_a_measured_rate_replaces_the_assumed_one():
    given = Assumptions(gpu_tflops={}, images_per_second={"deit_s": 1000.0}, train_images=256_000, val_images=3_000)
    found = estimate(planned("table1.deit_s.baseline.seed0"), given)
    assert found.gpu_hours == pytest.approx(310 * (256_000 + 3_000 / 3) / 1000 / 3600)  # evaluation is a third


def test_the_number_of_gpus_changes_days_only():
    name = "table1.deit_t.baseline.seed0"
    assert estimate(planned(name), Assumptions(gpus=1)) == estimate(planned(name), Assumptions(gpus=64))


def test_every_kind_of_run_can_be_estimated():
    assert {run.kind for run in study("--scale", "paper", "--weights", "timm").plan()} == kinds().keys()
    assert all(estimate(run, Assumptions()) for run in study(*PAPER).plan())


# timm's results/benchmark-train-amp-nchw-pt112-cu113-rtx3090.csv: training images/s of one RTX 3090 in half precision,
# whose peak is 71 TFLOP/s (dense, accumulating in float32). PVT v1 is not in it.
TIMM_IMAGES_PER_SECOND = {
    "deit_tiny_patch16_224": 2290.53,
    "xcit_tiny_24_p16_224": 683.44,
    "cait_xxs36_224": 375.80,
    "deit_small_patch16_224": 1053.64,
    "xcit_small_12_p16_224": 598.44,
    "xcit_medium_24_p16_224": 227.75,
    "deit_base_patch16_224": 390.88,
    "xcit_large_24_p16_224": 126.98,
}


def test_the_assumed_utilisation_is_what_timms_benchmark_reaches():
    reached = [6 * known_costs()[model, 224].macs * rate / 71e12 for model, rate in TIMM_IMAGES_PER_SECOND.items()]
    assert statistics.mean(reached) == pytest.approx(UTILISATION, abs=0.005)
    assert (min(reached), max(reached)) == (pytest.approx(0.12, abs=0.005), pytest.approx(0.58, abs=0.005))


def test_costs_survive_their_file(tmp_path):
    costs = known_costs()
    assert len(costs) == len(rows())
    write_costs(costs.values(), tmp_path / "costs.csv")
    assert known_costs(tmp_path / "costs.csv") == costs


NUMBERS = re.compile(r"^(\S+|to do) +([\d,.]+) +([\d,.]+) +([\d,.]+)$")


def totals(lines: list[str]) -> dict[str, tuple[float, ...]]:
    """The rows of the table of totals: GPU-hours, GB and days."""
    found = filter(None, map(NUMBERS.match, lines))
    return {match[1]: tuple(float(text.replace(",", "")) for text in match.groups()[1:]) for match in found}


def test_totals_add_up():
    plan = study(*PAPER, "--seeds", "2")
    given = Assumptions(gpus=16)
    found = totals(list(plan_lines(plan, given)))
    whole = total(estimate(run, given) for run in plan.plan())
    hours, disk, days = found["all"]
    assert hours == pytest.approx(whole.gpu_hours, abs=0.05)
    assert disk == pytest.approx(whole.disk / 1e9, abs=0.005)
    assert days == pytest.approx(whole.gpu_hours / 24 / 16, abs=0.05)
    tables = {run.table for run in plan.plan()}
    for groups in (rows(), tables):
        assert sum(found[name][0] for name in groups) == pytest.approx(hours, abs=0.05 * len(groups))
        assert sum(found[name][1] for name in groups) == pytest.approx(disk, abs=0.005 * len(groups))
    assert found.keys() == {*rows(), *tables, "all", "to do"}
    assert found["to do"] == found["all"]  # nothing is done


def test_the_plan_states_what_it_rests_on():
    text = " ".join(plan_lines(study(*PAPER), Assumptions()))
    for words in (
        "make check-paper",
        "30 % of a GPU's peak",
        "fp32 19.5, tf32 156, bf16 312, fp16 312 (NVIDIA A100",
        "1,281,167 for training, 50,000 for validation",
        "8 GPUs at work",
        "AdamW's two moments",
    ):
        assert words in text
    assert "measured:" not in text
    rates = {"fp32": 67.0, "bf16": 989.0, "fp16": 989.0}
    text = " ".join(plan_lines(study(*PAPER), Assumptions(rates, 0.4, {"deit_s": 2500.0}, 64)))
    for words in ("deit_s 2,500 training images/s", "40 % of", "bf16 989, fp16 989 (as given)", "64 GPUs at work"):
        assert words in text
    assert "1 GPU at work" in " ".join(plan_lines(study(*PAPER), Assumptions(gpus=1)))
    assert "timm" not in text  # the benchmark is the default's source, not this one's


def test_an_unknown_cost_is_said_and_the_rest_is_estimated():
    plan = study("--scale", "paper", "--rows", "deit_t,deit_s", "--set", "model=deit_tiny_patch16_224")
    assert not [line for line in plan_lines(plan, Assumptions()) if "?" in line]
    lines = list(plan_lines(study("--scale", "paper", "--set", "image_size=384"), Assumptions()))
    assert "No estimate" in " ".join(lines)
    assert "deit_small_patch16_224 at 384 px" in " ".join(lines)
    assert all("?" in line for line in lines if line.startswith("not run") and " table1." in line)
    assert "xcit_micro_tiny_patch8_64 at 64 px" in " ".join(plan_lines(study(), Assumptions()))


def test_options_of_the_command_line_reach_the_plan(monkeypatch, capsys):
    options = (
        "--gpu-tflops bf16=989,fp16=980,fp32=67 --utilisation 0.25 --gpus 32 --train-images 1000000 --val-images 5000"
    )
    monkeypatch.setattr(sys, "argv", ["experiments", "plan", "--scale", "paper", *options.split()])
    main()
    given = Assumptions({"bf16": 989.0, "fp16": 980.0, "fp32": 67.0}, 0.25, {}, 32, 1_000_000, 5000)
    assert capsys.readouterr().out.splitlines() == list(plan_lines(study("--scale", "paper"), given))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--gpu-tflops bf61=989", "unknown precision in --gpu-tflops 'bf61': did you mean 'bf16'?"),
        ("--gpu-tflops bf16=fast", "--gpu-tflops bf16=fast: write bf16=N with a positive number"),
        ("--gpu-tflops bf16", "--gpu-tflops bf16: write bf16=N with a positive number"),
        ("--gpu-tflops bf16=989", "--gpu-tflops has no rate for fp32, which some runs need: add fp32=N"),
        ("--images-per-second deit_x=1", "unknown row in --images-per-second 'deit_x': did you mean 'deit_t'?"),
        ("--images-per-second deit_s=0", "--images-per-second deit_s=0: write deit_s=N with a positive number"),
        ("--utilisation 30", "--utilisation 30: must be a number above 0 and at most 1"),
        ("--utilisation nan", "--utilisation nan: must be a number above 0 and at most 1"),
        ("--gpus 0", "--gpus 0: must be a whole number from 1 to 1,000,000,000,000"),
        ("--train-images -1", "--train-images -1: must be a whole number from 1 to 1,000,000,000,000"),
    ],
)
def test_impossible_assumptions_are_one_line(monkeypatch, capsys, option, message):
    assert run(monkeypatch, capsys, "plan", "--scale", "paper", *option.split()) == (2, f"error: {message}")
