"""Published runs of this suite beside ours: numbers from the right records, and never taken for ours."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from experiments.runs import Run
from experiments.study import Study
from reports.page.report import build, write
from reports.records import collect as collecting
from reports.records.collect import Collected, collect
from reports.tables import tables
from tests.made_up import (
    OTHER_DATA,
    edit,
    make_study,
    put,
    write_fine_tuned,
    write_natural,
    write_occlusion,
    write_train,
)

H100 = "published runs of this suite: scale tiny, NVIDIA H100"
WRITERS = {
    "train": write_train,
    "occlusion": write_occlusion,
    "natural": write_natural,
    "segmentation": write_fine_tuned,
    "detection": write_fine_tuned,
}


@pytest.fixture
def study(tmp_path) -> Study:
    return make_study(tmp_path / "ours", "--scale", "tiny", "--rows", "deit_t,xcit_t", "--seeds", "2")


def publish(folder: Path, study: Study, values: dict[str, float], device: str = "NVIDIA H100") -> None:
    """Records of some runs, by name, as they are published; a run's number is its first metric."""
    elsewhere = make_study(folder / "elsewhere", *study.options[: study.options.index("--results")])
    for name, value in values.items():
        run = elsewhere.find(name)
        WRITERS[run.kind](run, value)
        record = json.loads((run.folder / "record.json").read_text())
        record["environment"]["device"] = device
        put(folder / "set" / run.id, record)


def ours(study: Study, name: str) -> Run:
    return study.find(name)


def texts(collected: Collected, table: str, group: str = H100) -> list[tuple[str, ...]]:
    """The columns of a set, line by line."""
    built = tables()[table].build(collected)
    keys = [column.key for column in built.columns if column.group == group]
    assert keys
    return [tuple(line[key].text for key in keys) for line in built.rows]


def test_there_is_no_column_without_a_published_run(study, tmp_path):
    (tmp_path / "published" / "set" / "table1.deit_t.transmix.seed0-00000000").mkdir(parents=True)  # another recipe's
    for folder in (tmp_path / "none", tmp_path / "published"):
        collected = collect(study, folder)
        assert collected.published == ()
        for table in tables().values():
            assert not any(column.group.startswith("published runs") for column in table.build(collected).columns)


def test_a_study_that_was_copied_from_a_set_does_not_stand_beside_itself(study, tmp_path):
    names = ("table1.deit_t.baseline.seed0", "table1.deit_t.baseline.seed1")
    publish(tmp_path / "published", study, dict.fromkeys(names, 40.0))
    for name in names:
        run = ours(study, name)
        shutil.copytree(tmp_path / "published" / "set" / run.id, run.folder)
    assert collect(study, tmp_path / "published").published == ()
    write_train(ours(study, names[1]), 41.0)  # made again
    assert [there.name for there in collect(study, tmp_path / "published").published] == ["set"]
    shutil.rmtree(ours(study, names[1]).folder)
    assert [there.name for there in collect(study, tmp_path / "published").published] == ["set"]


def test_table_1_has_means_and_the_paired_gain_of_the_seeds_that_are_there(study, tmp_path):
    tops = {"baseline.seed0": 50.0, "baseline.seed1": 52.0, "transmix.seed0": 50.5, "transmix.seed1": 53.5}
    publish(tmp_path, study, {f"table1.deit_t.{run}": top1 for run, top1 in tops.items()})
    publish(tmp_path, study, {"table1.xcit_t.baseline.seed1": 60.5})
    collected = collect(study, tmp_path)
    columns = [column.title for column in tables()["table1"].build(collected).columns if column.group == H100]
    assert columns == ["Baseline", "TransMix", "Gain"]
    lines = texts(collected, "table1")
    assert lines[0] == ("51.00", "52.00", "+1.00 ± 6.35")  # gains 0.5 and 1.5: 12.706 * 0.5
    assert lines[1] == ("none published",) * 3
    assert lines[2] == ("60.50", "none published", "none published")
    # ours are not run, and stay so
    assert {result.status for result in collected.results} == {"not run"}
    row = tables()["table1"].build(collected).rows[0]
    assert {row[key].text for key in ("baseline", "transmix", "gain")} == {"not run"}
    assert {cell.kind for key, cell in row.items() if key.startswith("set")} == {"published"}
    cells = [cell for line in tables()["table1"].build(collected).rows for cell in line.values()]
    assert {source.set for cell in cells for source in cell.sources} == {"set"}  # no record of ours


def test_the_other_tables_have_their_first_metric(study, tmp_path):
    values = {
        "table3.xcit_t.upernet.baseline.seed0": 20.0,
        "table3.xcit_t.upernet.transmix.seed0": 21.5,
        "table4.xcit_t.mask_rcnn_1x.baseline.seed1": 10.0,
        "table5.xcit_t.baseline.seed0": 30.0,
        "table5.xcit_t.transmix.seed0": 29.0,
        "occlusion.deit_t.baseline.seed0": 50.0,
        "occlusion.deit_t.transmix.seed0": 52.0,
        "table1.deit_t.transmix.seed0": 55.5,
    }
    publish(tmp_path, study, values)
    collected = collect(study, tmp_path)
    segmented = texts(collected, "table3")
    assert segmented[:4] == [("none published",), ("20.00",), ("21.50",), ("+1.50",)]
    assert texts(collected, "table4")[0] == ("10.00",)
    # a difference needs both methods of one of us: DeiT-T has two lines, XCiT-T three
    assert texts(collected, "table5") == [("none published",)] * 2 + [("30.00",), ("29.00",), ("−1.00",)]
    assert texts(collected, "occlusion")[0] == ("27.95", "29.05", "+1.10")
    assert texts(collected, "table2")[3] == ("55.50", "none published")  # CutMix alone is not
    for name in ("table3", "table4", "table5", "occlusion"):
        assert not any(
            cell.kind == "measured" for line in tables()[name].build(collected).rows for cell in line.values()
        )


def test_equal_numbers_are_counted_and_the_others_measured(study, tmp_path):
    values = {"baseline.seed0": 50.0, "baseline.seed1": 52.0, "transmix.seed0": 50.5, "transmix.seed1": 53.5}
    publish(tmp_path, study, {f"table1.deit_t.{run}": top1 for run, top1 in values.items()})
    for run, top1 in values.items():
        write_train(ours(study, f"table1.deit_t.{run}"), top1)
    note = tables()["table1"].build(collect(study, tmp_path)).notes[-1]
    assert (
        note
        == "Published runs of this suite: scale tiny, NVIDIA H100: 4 of 4 numbers are equal to ours to the last digit."
    )
    write_train(ours(study, "table1.deit_t.transmix.seed1"), 53.1)
    ours(study, "table1.deit_t.baseline.seed1").folder.joinpath("record.json").unlink()
    note = tables()["table1"].build(collect(study, tmp_path)).notes[-1]
    assert note.endswith(
        "2 of 3 numbers are equal to ours to the last digit; the distance is 0.13 points in the mean and 0.4 at most."
    )


def test_runs_on_other_images_are_not_compared(study, tmp_path):
    for run, top1 in {"baseline.seed0": 50.0, "transmix.seed0": 50.5}.items():
        publish(tmp_path, study, {f"table1.deit_t.{run}": top1})
        write_train(ours(study, f"table1.deit_t.{run}"), top1)
    folder = ours(study, "table1.deit_t.transmix.seed0").folder
    edit(folder, lambda record: record["data"].update(OTHER_DATA))
    note = tables()["table1"].build(collect(study, tmp_path)).notes[-1]
    assert note == (
        "Published runs of this suite: scale tiny, NVIDIA H100: 1 of 1 number is equal to ours to the last digit. "
        "1 run on other data than ours, so not compared."
    )


def test_an_unreadable_published_record_is_named(study, tmp_path):
    publish(tmp_path, study, {"table1.deit_t.baseline.seed0": 50.0, "table1.deit_t.transmix.seed0": 51.0})
    path = tmp_path / "set" / ours(study, "table1.deit_t.transmix.seed0").id / "record.json"
    path.write_text(path.read_text()[:-20])
    collected = collect(study, tmp_path)
    (problem,) = collected.problems
    assert str(path) in problem
    assert problem.endswith(f"restore this published record, or remove {path.parent}")
    assert texts(collected, "table1")[0] == ("50.00", "unreadable", "unreadable")


def test_two_sets_of_one_device_have_columns_of_their_own(study, tmp_path):
    publish(tmp_path, study, {"table1.deit_t.baseline.seed0": 50.0})
    (tmp_path / "set").rename(tmp_path / "first")
    publish(tmp_path, study, {"table1.deit_t.baseline.seed0": 51.0})
    (tmp_path / "set").rename(tmp_path / "second")
    collected = collect(study, tmp_path)
    assert texts(collected, "table1", f"{H100}, first")[0][0] == "50.00"
    assert texts(collected, "table1", f"{H100}, second")[0][0] == "51.00"


def test_sets_of_cpus_are_told_apart_by_the_processors_they_name(study, tmp_path):
    for processor, top1 in {"AMD EPYC 9554": 50.0, "Intel Xeon 8480": 51.0}.items():
        publish(tmp_path, study, {"table1.deit_t.baseline.seed0": top1}, "CPU (x86_64)")
        (tmp_path / "set").rename(tmp_path / processor)
        folder = tmp_path / processor / ours(study, "table1.deit_t.baseline.seed0").id
        edit(folder, lambda record, name=processor: record["environment"].update(processor=name))
    collected = collect(study, tmp_path)
    heading = "published runs of this suite: scale tiny, CPU (x86_64)"
    assert texts(collected, "table1", f"{heading} AMD EPYC 9554")[0][0] == "50.00"
    assert texts(collected, "table1", f"{heading} Intel Xeon 8480")[0][0] == "51.00"


def test_every_format_has_them_and_the_suites_own_folder_is_read(study, tmp_path, monkeypatch):
    publish(tmp_path, study, {"table1.deit_t.baseline.seed0": 50.4, "table5.deit_t.baseline.seed0": 20.6})
    monkeypatch.setattr(collecting, "PUBLISHED_RUNS", tmp_path)
    page = write(build(collect(study)), tmp_path / "report")
    for name in ("index.html", "report.md", "table1.tex", "table5.tex"):
        text = (page.parent / name).read_text()
        assert H100 in text
        assert "50.40" in text or "20.60" in text
    assert "50.4" not in (page.parent / "table1.csv").read_text()


def test_published_numbers_lead_to_their_records_where_the_page_is_in_the_suites_folder(study, tmp_path, monkeypatch):
    suite = tmp_path / "suite"
    publish(suite / "reports" / "runs", study, {f"table1.deit_t.baseline.seed{seed}": 50.4 for seed in (0, 1)})
    monkeypatch.setattr(collecting, "PUBLISHED_RUNS", suite / "reports" / "runs")
    report = build(collect(study))
    page = write(report, suite / "results" / "tiny" / "report")
    assert '<a href="#published-set-table1.deit_t">50.40</a>' in page.read_text()
    assert page.read_text().count('id="published-set-table1.deit_t"') == 1
    runs = [study.find(f"table1.deit_t.baseline.seed{seed}").id for seed in (0, 1)]
    links = re.findall(r'<a href="([./]+/reports/runs/set/[^"]+)">([^<]+)</a>', page.read_text())
    assert links == [(f"../../../reports/runs/set/{run}/record.json", run) for run in runs]
    assert all((page.parent / link).is_file() for link, _ in links)
    assert "Published: set</b><span>2 records" in page.read_text()
    elsewhere = write(report, tmp_path / "elsewhere").read_text()
    assert f"<dd>{runs[0]}, {runs[1]}</dd>" in elsewhere  # named, and not linked
