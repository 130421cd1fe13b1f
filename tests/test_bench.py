"""The bench: every part measures what it says, the record is read again, and only failures end it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
from made_up import make_study, write_study

from benchmarks import __main__ as bench
from benchmarks import gpu, loading, loop, operators, reports, steps, sweep
from benchmarks.memory import peak_bytes
from benchmarks.official import OfficialStep
from benchmarks.rows import Row, ratio, turns
from benchmarks.steps import batch_of, recipe_of
from benchmarks.sweep import write_images
from experiments.scales import SCALES
from reports.page.report import build, report_folder, write
from reports.records.bench import NAME
from reports.records.collect import collect
from reports.tables import tables
from transmix.common.errors import UserError
from transmix.common.files import write_text
from transmix.common.seeding import seed_python_numpy_torch
from transmix.data.loaders import TrainLoader
from transmix.data.sources.folders import FolderImages
from transmix.models.build import build_model
from transmix.recipe import override
from transmix.task import MixingTask
from transmix.training.distributed import join_processes

CPU = torch.device("cpu")


def test_contenders_take_turns_and_ratios_are_the_rounds_medians():
    ticks = iter(range(100))
    order = []
    taken = turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3, lambda: next(ticks))
    assert "".join(order) == "ab" + "ab" + "ba" + "ab", "warmed up, then every other round backwards"
    assert taken["a"].tolist() == [1, 1, 1]
    row = ratio("x", "y", np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 1.0]), 1.5)
    assert (row.value, row.low, row.high) == (2, 1, 9)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("", "", 1.0, goal=1.02), "met"),
        (Row("", "", 1.1, goal=1.02), "missed"),
        (Row("", "", 1.1, low=1.0, high=1.2, goal=1.02), "near"),
        (Row("", "", 4.0, goal=5, most=False), "missed"),
        (Row("", "", 4.0, low=3.0, high=5.5, goal=5, most=False), "near"),
        (Row("", "", 6.0, goal=5, most=False), "met"),
        (Row("", "", 6.0), ""),
    ],
)
def test_a_goal_is_met_missed_or_near(row, verdict):
    assert row.verdict == verdict


def test_memory_is_counted_to_the_byte():
    def work() -> None:
        first = torch.zeros(1000)
        second = first + 1  # both are held
        del first
        third = second + 1  # the first is free by now
        assert third.sum() == 2000

    assert 8000 <= peak_bytes(work, CPU) <= 8100


def test_the_official_step_has_our_loss():
    recipe = recipe_of(bench.MICRO, 64, 4, "transmix")
    batch = batch_of(64, 4, classes=10)
    torch.manual_seed(0)
    model, _ = build_model(recipe, 10)
    images = batch.images.float() / 255
    task = MixingTask(model.train(), 10, recipe, rng=np.random.default_rng(3))
    ours = task(images, batch.labels)["loss"]
    theirs = OfficialStep(model, 10, np.random.default_rng(3))(images, batch.labels)
    assert theirs.item() == pytest.approx(ours.item(), abs=1e-5)


def test_the_small_parts_measure_what_they_say():
    with join_processes("cpu") as processes:
        found = steps.rows(bench.MICRO, 64, 8, 2, 1, CPU)
        found += loop.loop_rows("deit_t", 64, 1, processes)
        found += loading.rows("deit_s", 8, 1, processes)
        found += operators.rows(32, 2, CPU)
        found += sweep.rows(
            bench.MICRO, {"patch_size": 32}, 4, sweep.Sweep(curves=("random",), tenths=(5,), draws=2), 1, 5.0, processes
        )
    names = [row.name for row in found]
    assert names[:3] == [
        "TransMix step / CutMix step, time",
        "TransMix step / CutMix step, memory",
        "our step / official code's",
    ]
    assert "training loop / bare loop, rate" in names
    assert "our loader / timm's, time" in names
    assert "stand-in / torchvision, roi_align" in names
    assert "2 passes / sweep of 2 settings" in names
    memory = found[1]
    assert 1 <= memory.value < 1.1
    assert all(0 < row.value < 100 for row in found if not row.unit)
    read = next(row for row in found if row.unit == "images/s")
    assert 1 < read.value < 10_000


def test_timms_loader_does_the_work_of_ours(tmp_path):
    plain = {"batch_size": 16, "micro_batch": 16, "rand_augment": None, "repeated_augmentation": 1}
    recipe = override(SCALES["paper"].recipe("deit_s", "transmix"), **plain)
    folder = write_images(tmp_path / "images", 16, 300)
    (ours,) = TrainLoader(recipe, FolderImages(folder), 0).epoch(0)
    seed_python_numpy_torch(0, "timm")
    ((images, labels),) = loading.timm_loader(recipe, folder)
    assert (images.shape, images.dtype) == (ours.images.shape, ours.images.dtype) == ((16, 3, 224, 224), torch.uint8)
    assert labels.bincount().tolist() == ours.labels.bincount().tolist() == [2] * 6 + [1] * 4
    for measure in (torch.mean, torch.std):  # smooth noise: the same, wherever it is cropped
        assert measure(images.float()).item() == pytest.approx(measure(ours.images.float()).item(), rel=0.05)


def test_a_report_is_timed_whatever_a_library_says_on_stderr(monkeypatch):
    lines = reports.rows((8,), "deit_t")
    assert [row.where for row in lines] == ["8 records"]
    assert lines[0].unit == "s"
    monkeypatch.setattr(reports, "write_run", lambda run, gain: write_text(run.folder / "record.json", "{"))
    with pytest.raises(UserError, match=r"the report failed: warning: record .* is not readable"):
        reports.rows((8,), "deit_t")


ROWS = [
    Row("TransMix step / CutMix step, time", f"{bench.DEIT}, 224 px, batch 16", 0.999, 0.99, 1.01, 1.02),
    Row("report, CPU time", "100 records", 12.0, unit="s"),
]


def run(monkeypatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    bench.main()


def test_the_record_is_on_the_page_with_machine_and_date(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(bench.PARTS, "steps", lambda processes, quick: ROWS)
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (0.5, 0.9))
    claim = next(row for row in tables()["claims"].build(collect(study)).rows if row["claim"].text[1] == "d")
    assert "make bench" in claim["here"].text
    assert claim["verdict"].text == "shown of parameters (1 of the paper’s 12 models tested)"
    run(monkeypatch, "steps", "--device", "cpu", "--json", str(study.results / NAME))
    out = capsys.readouterr().out
    assert "TransMix step / CutMix step" in out
    assert "at most 1.02" in out
    record = json.loads((study.results / NAME).read_text())
    page = write(build(collect(study)), report_folder(study)).read_text()
    assert record["device"] in page
    assert record["date"][:10] in page
    claim = next(row for row in tables()["claims"].build(collect(study)).rows if row["claim"].text[1] == "d")
    assert claim["effect"].text == "+0 parameters; time × 0.999 (0.990 to 1.010 over rounds)"
    assert claim["verdict"].text == (
        f"shown of parameters (1 of the paper’s 12 models tested); shown of time ({bench.DEIT}, 224 px, batch 16)"
    )
    assert "224 px" in claim["here"].text
    line = tables()["claims"].numbers(collect(study))[4]
    assert (line["of"], line["effect"], line["lowest_round"]) == (f"{bench.DEIT}, 224 px, batch 16", 0.999, 0.99)
    assert line["verdict"] == "shown of time"


@pytest.mark.parametrize(("ends", "verdict"), [((0.99, 1.02), "shown of time"), ((0.99, 1.03), "not shown of time")])
def test_no_cost_in_time_is_shown_where_no_round_took_longer(monkeypatch, tmp_path, ends, verdict):
    row = Row("TransMix step / CutMix step, time", f"{bench.DEIT}, 224 px, batch 16", 1.01, *ends, goal=1.02)
    monkeypatch.setitem(bench.PARTS, "steps", lambda processes, quick: [row])
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (0.5, 0.9))
    run(monkeypatch, "steps", "--device", "cpu", "--json", str(study.results / NAME))
    claim = next(row for row in tables()["claims"].build(collect(study)).rows if row["claim"].text[1] == "d")
    assert claim["verdict"].text.split("; ")[1].startswith(f"{verdict} (")


def test_every_model_that_was_timed_is_named_and_must_keep_to_the_goal(monkeypatch, tmp_path):
    small = Row("TransMix step / CutMix step, time", f"{bench.MICRO}, 64 px, batch 32", 1.1, 1.05, 1.2, 1.02)
    monkeypatch.setitem(bench.PARTS, "steps", lambda processes, quick: [small, *ROWS])
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (0.5, 0.9))
    run(monkeypatch, "steps", "--device", "cpu", "--json", str(study.results / NAME))
    table = tables()["claims"].build(collect(study))
    claim = next(row for row in table.rows if row["claim"].text[1] == "d")
    assert claim["effect"].text == "+0 parameters; time × 0.999 to × 1.100"
    assert "; not shown of time (deit_micro_tiny_patch8_64, 64 px" in claim["verdict"].text
    lines = [note for note in table.notes if note.startswith("(d) ")]
    assert [line.split(",")[0] for line in lines] == [f"(d) {bench.MICRO}", f"(d) {bench.DEIT}"]
    assert lines[0].endswith("a step takes × 1.100 (1.050 to 1.200 over rounds) of CutMix’s; goal: at most 1.02.")


def test_a_quick_bench_is_no_evidence_and_said_to_be_quick(monkeypatch, tmp_path):
    monkeypatch.setitem(bench.PARTS, "steps", lambda processes, quick: ROWS)
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (0.5, 0.9))
    run(monkeypatch, "steps", "--quick", "--device", "cpu", "--json", str(study.results / NAME))
    table = tables()["claims"].build(collect(study))
    claim = next(row for row in table.rows if row["claim"].text[1] == "d")
    assert "time" not in claim["verdict"].text + claim["effect"].text
    assert "make bench" in claim["here"].text
    assert "The bench kept here is a quick one, which measures nothing: make bench times a step." in table.notes
    assert tables()["speed"].build(collect(study)).caption.startswith("A quick bench, ")


WHOLE = {
    "format": 1,
    "quick": False,
    "date": "2026-01-02T03:04:05+00:00",
    "commit": "0123456",
    "device": "CPU",
    "cores": 2,
    "rows": [asdict(ROWS[0])],
}


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {**WHOLE, "format": 2},
        {**WHOLE, "rows": None},
        {**WHOLE, "rows": [{}]},
        {**WHOLE, "rows": [{**asdict(ROWS[0]), "high": None}]},
        *({key: value for key, value in WHOLE.items() if key != lost} for lost in WHOLE),
        *({**WHOLE, "rows": [{k: v for k, v in asdict(ROWS[0]).items() if k != lost}]} for lost in asdict(ROWS[0])),
    ],
)
def test_a_bench_of_another_layout_is_a_note_and_no_evidence(tmp_path, content):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (0.5, 0.9))
    write_text(study.results / NAME, json.dumps(content))
    table = tables()["claims"].build(collect(study))
    assert any("bench.json is not as make bench writes it" in note for note in table.notes)
    claim = next(row for row in table.rows if row["claim"].text[1] == "d")
    assert "time" not in claim["verdict"].text + claim["effect"].text
    assert len(tables()["claims"].numbers(collect(study))) == 8


def test_a_whole_bench_without_a_step_is_no_evidence(tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_text(study.results / NAME, json.dumps({**WHOLE, "rows": [asdict(ROWS[1])]}))
    assert not any("of time" in row["verdict"].text for row in tables()["claims"].build(collect(study)).rows)


def test_without_a_bench_of_ones_own_the_published_one_is_shown_as_published(monkeypatch, tmp_path):
    monkeypatch.setitem(bench.PARTS, "steps", lambda processes, quick: ROWS)
    monkeypatch.setattr("reports.records.collect.PUBLISHED_RUNS", tmp_path / "published")
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t")
    assert tables()["speed"].build(collect(study)).rows == ()
    run(monkeypatch, "steps", "--device", "cpu", "--json", str(tmp_path / "published" / NAME))
    table = tables()["speed"].build(collect(study))
    assert table.caption.startswith("Published with this suite. ")
    assert [row["value"].text for row in table.rows] == ["0.999", "12.0 s"]
    assert {row["value"].kind for row in table.rows} == {"published"}
    assert [row["verdict"].text for row in table.rows] == ["met", ""]
    assert "make bench measures it" in table.notes[0]
    run(monkeypatch, "steps", "--device", "cpu", "--json", str(study.results / NAME))
    table = tables()["speed"].build(collect(study))
    assert ({row["value"].kind for row in table.rows}, table.notes) == ({"measured"}, ())


def test_a_damaged_record_is_a_note_and_an_unknown_part_an_error(monkeypatch, tmp_path):
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t")
    write_text(study.results / NAME, '{"format": 1, "rows": [{}]}')
    (note,) = tables()["speed"].build(collect(study)).notes
    assert "bench.json is not as make bench writes it (lacks 'name'): run make bench again" in note
    with pytest.raises(UserError, match="part of the bench 'step'"):
        run(monkeypatch, "step")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--json", "{folder}"), "cannot write {folder}: it is a folder: name a file"),
        (("--json", "{folder}/file/bench.json"), "cannot write {folder}/file: file exists"),
        (("--jsn", "x"), "unrecognized arguments: --jsn x: see python -m benchmarks --help"),
        (("--device", "tpu"), "argument --device: invalid choice: 'tpu'"),
    ],
)
def test_a_wrong_option_and_a_record_that_cannot_be_written_are_told_before_minutes_of_work(
    monkeypatch, tmp_path, words, line
):
    monkeypatch.setitem(bench.PARTS, "steps", lambda processes, quick: pytest.fail("it was measured"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        run(monkeypatch, "steps", *(word.format(folder=tmp_path) for word in words))
    assert str(error.value).startswith(line.format(folder=tmp_path))


def test_a_gpus_steps_run_on_the_cpu_too():
    for how in (("bf16", False, True), ("fp32", False, False)):
        gpu.step_with(bench.MICRO, 64, 4, CPU, *how)()
    with join_processes("cpu") as processes:
        assert bench.PARTS["gpu"](processes, False) == []
