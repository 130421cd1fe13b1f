"""What a report says where records are few, missing, unreadable or of other data, and what it then does not claim."""

from __future__ import annotations

import re
import sys

import pytest
from reported import cells, run_named, written

from experiments.rows import table1 as published
from reports.__main__ import main
from reports.page.provenance import cautions
from reports.page.report import build, report_folder
from reports.page.summary import lines
from reports.records.collect import collect
from reports.tables import table1, tables
from tests.made_up import OTHER_DATA, make_study, write_examples, write_lambda, write_study, write_train


def test_one_seed_says_that_it_says_little(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.5,))
    collected = collect(study)
    assert cells(collected, "table1")["gain"] == "+1.50"
    verdict, power = tables()["table1"].build(collected).notes
    assert "One seed says little about other trainings: the difference is +1.50 points" in verdict
    # 15 of 1,000 images: 1.96 * sqrt(.015 * .985 / 1000) = 0.75
    low, high = re.search(r"over images \(paired bootstrap\), \+(.*) to \+(.*), excludes zero", verdict).groups()
    assert (float(low), float(high)) == pytest.approx((0.75, 2.25), abs=0.1)
    assert power.startswith("Power: one seed has no spread")


def test_a_difference_is_claimed_only_outside_the_interval(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--seeds", "3")
    write_study(study, (2.0, 2.2, 2.4))
    verdict, _ = tables()["table1"].build(collect(study)).notes
    assert "With TransMix the top-1 is higher here, +2.20 points" in verdict
    write_study(study, (-2.0, -2.2, -2.4))
    verdict, _ = tables()["table1"].build(collect(study)).notes
    assert "With TransMix the top-1 is lower here, −2.20 points" in verdict


def test_runs_on_different_data_are_not_compared(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    write_train(run_named(study, "table1.deit_t.transmix.seed0"), 51.0, data=OTHER_DATA)
    row = cells(collect(study), "table1")
    assert (row["baseline"], row["transmix"], row["gain"]) == ("50.00", "51.00", "not paired")
    assert "Not compared" in tables()["table1"].build(collect(study)).notes[0]
    assert any("made on different data" in caution for caution in cautions(collect(study)))


def test_no_record_still_gives_a_page(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke")
    texts = written(study)
    assert f"0 of {len(study.plan())} planned runs" in texts["index.html"]
    for table in tables():
        for line in tables()[table].build(collect(study)).rows:
            kinds = {cell.kind for cell in line.values()}
            assert "measured" not in kinds
    assert not list((report_folder(study) / "figures").glob("*"))


def test_no_published_number_is_ever_measured(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t,deit_s")
    numbers = {text for row in published().values() for text in (row.baseline, row.transmix, row.params, row.flops)}
    write_train(run_named(study, "table1.deit_t.baseline.seed0"), 41.5)
    for line in tables()["table1"].build(collect(study)).rows:
        ours = [line[key].text for key in ("model", "parameters", "gmacs", "baseline", "transmix", "gain")]
        assert not numbers & set(ours)
        assert all(cell.sources for cell in line.values() if cell.kind == "measured")
    rows = table1.numbers(collect(study))
    measured = {row[key] for row in rows for key in row if key.startswith("measured_")}
    assert {row["baseline_seeds"] for row in rows} == {0, 1}
    assert measured == {307_850, 0.0149, 41.5, "deit_micro_tiny_patch8_64", None}


@pytest.mark.parametrize(
    "content",
    ['{"format": 2', "[]", '{"format": 1}', '{"format": 2, "run": {}}', "\x00", "[" * 100_000],
    ids=lambda text: repr(text[:30]),
)
def test_unreadable_record_is_named_and_the_rest_stands(tmp_path, content):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    broken = run_named(study, "table1.deit_t.transmix.seed0")
    (broken.folder / "record.json").write_text(content)
    collected = collect(study)
    (problem,) = collected.problems
    assert str(broken.folder / "record.json") in problem
    assert f"{broken.command} --restart" in problem
    assert "\n" not in problem
    row = cells(collected, "table1")
    assert (row["baseline"], row["transmix"], row["gain"]) == ("50.00", "52.00", "+2.00")  # of seed 1
    assert row["seeds"] == "2 and 1"


def test_unreadable_only_record_says_so_everywhere(tmp_path, capsys, monkeypatch):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    broken = run_named(study, "table1.deit_t.transmix.seed0")
    write_train(broken, 150.0)  # no accuracy
    monkeypatch.setattr(sys, "argv", ["reports", *study.options])
    main()
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert "unexpected value of metrics.top1" in output.err
    assert re.search(r"DeiT-T +72.2 +72.6 +\+0.4 +1 and 0 +50.00 +unreadable +unreadable", output.out)
    page = (tmp_path / "tiny" / "report" / "index.html").read_text()
    assert "unexpected value of metrics.top1" in page
    assert "1 record unreadable" in page
    assert "27.95" in page  # the occlusion runs still count
    assert output.out.endswith(f"Report: {tmp_path / 'tiny' / 'report' / 'index.html'}\n")


def test_a_record_of_another_run_is_not_taken(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    theirs, ours = (run_named(study, f"table1.deit_t.{method}.seed0") for method in ("baseline", "transmix"))
    (ours.folder / "record.json").write_bytes((theirs.folder / "record.json").read_bytes())
    (problem,) = collect(study).problems
    assert "is the record of another run, table1.deit_t.baseline.seed0" in problem


def test_broken_examples_cost_only_the_pictures(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (1.0,))
    run = run_named(study, "lambda.deit_t.transmix.seed0")
    (run.folder / "examples.npz").write_text("no archive")
    report = build(collect(study))
    assert report.sections["lambda"].shown.blocks == ()
    (problem,) = report.problems
    assert f"{run.folder / 'examples.npz'} is not readable (not a numpy archive)" in problem
    assert cells(collect(study), "lambda")["error_area"] == "0.125"
    write_examples(run.folder / "examples.npz", 2)
    (examples,) = build(collect(study)).sections["lambda"].shown.blocks
    assert len(examples.items) == 2


def test_data_without_masks_claims_no_error(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    run = run_named(study, "lambda.deit_t.transmix.seed0")
    write_lambda(run, None)
    row = cells(collect(study), "lambda")
    assert (row["label_shift"], row["error_area"], row["error_mean"]) == ("0.062", "no masks", "no masks")
    (examples,) = build(collect(study)).sections["lambda"].shown.blocks
    assert "true" not in examples.items[0].lambdas
    assert "no λ can be called better" in tables()["lambda"].build(collect(study)).notes[0]


def test_reports_of_other_data_and_recipes_lie_apart(tmp_path):
    def name(*options: str) -> str:
        return report_folder(make_study(tmp_path, *options)).name

    own = name("--scale", "tiny", "--imagenet", str(tmp_path / "birds"))
    names = [name("--scale", "tiny"), own, name("--set", "lr=1e-3"), name("--set", "lr=2e-3")]
    assert len(set(names)) == 4
    assert own.startswith("report-birds-")
    assert name("--scale", "paper", "--imagenet", "/data/imagenet") == "report"


def test_records_that_the_study_does_not_plan_are_counted(tmp_path):
    wide = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(wide, (1.0, 2.0))
    narrow = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t")
    assert "Not shown" not in dict(lines(collect(wide)))
    more = len(wide.plan()) - len(narrow.plan())
    assert dict(lines(collect(narrow)))["Not shown"].startswith(f"{more} records beside these in {tmp_path}/tiny, of ")


def test_paper_scale_has_no_banner(tmp_path):
    page = written(make_study(tmp_path, "--scale", "paper"))["index.html"]
    assert "not comparable" not in page
