"""``reports verify`` and ``publish``: what no longer matches is named, and only what matches is published."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.correctness import pack
from experiments.records import NAME, digest_of, read_record, write_record
from experiments.study import Study
from reports.__main__ import main, parser
from reports.records.found import find_records, readable
from reports.records.publish import LIMIT, copy_records, own_folders
from reports.records.verify import check_all, verify
from tests import made_up
from tests.made_up import COMMIT, make_study, write_study
from transmix.common.errors import CommandEnd, UserError, exit_on_user_error
from transmix.common.files import sha256
from transmix.data.scenes import ScenesSpec, check_complete
from transmix.data.scenes.write import write_scenes

TRAINED, SWEPT = "table1.deit_t.transmix.seed0", "occlusion.deit_t.transmix.seed0"


@pytest.fixture
def study(tmp_path) -> Study:
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t")
    write_study(study, (5.0,))
    weights = study.find(TRAINED).folder / "weights.safetensors"
    weights.write_bytes(b"weights")
    edit(study, TRAINED, lambda record: record["files"].update({weights.name: sha256(weights)}))
    return study


def edit(study: Study, name: str, change) -> None:
    """Change a record as a program would: its digest is right again."""
    made_up.edit(study.find(name).folder, change)


def wrong(study: Study) -> list[str]:
    return check_all(find_records(study.results), study.data).wrong


def test_what_was_not_touched_is_verified(study, capsys):
    verify(parser().parse_args(["verify", str(study.results), "--data", str(study.data)]))
    out = capsys.readouterr().out
    records = len(study.plan())
    assert out.startswith(f"{records} records verified; checked: ")
    assert f"{records} ids" in out
    assert "1 files" in out
    assert f", {records} records’ data that is not there or not whole" in out


def test_a_number_changed_by_hand_is_caught_with_status_1(study, capsys):
    path = study.find(TRAINED).folder / NAME
    text = path.read_text()
    assert text.count('"top1": 55.0,') == 2  # the metric, and the last epoch of the history
    path.write_text(text.replace('"top1": 55.0,', '"top1": 56.0,'))
    with pytest.raises(CommandEnd, match=r"^1 of \d+ records do not match what they claim") as end:
        verify(parser().parse_args(["verify", str(study.results)]))
    assert end.value.status == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"record {path} was changed after it was written: ")
    assert "redo its run with --restart" in line


@pytest.mark.parametrize(
    ("name", "change", "claim"),
    [
        (TRAINED, lambda record: record["metrics"].update(top1=56.0), "metrics.top1 is 56.0, computed again it is 55"),
        (TRAINED, lambda record: record["metrics"].update(val_images=999), "metrics.val_images is 999"),
        (TRAINED, lambda record: record["settings"].update(lr=3e-3), "its kind, settings, data, seed and needs give"),
        (TRAINED, lambda record: record["run"].update(seed=1), "its name is table1.deit_t.transmix.seed0, its table"),
        (TRAINED, lambda record: record["metrics"].update(parameters=None), "unexpected value of metrics.parameters"),
        (TRAINED, lambda record: record["history"].pop(0), "unexpected value of history"),
        (TRAINED, lambda record: record.update(history=[]), "its metrics cannot be computed again"),
        (SWEPT, lambda record: record["metrics"]["curves"]["salient"].update(area=31.0), "curves.salient.area is 31.0"),
        (SWEPT, lambda record: record["metrics"].update(clean=54.0), "metrics.curves.random.area is"),
        ("table5.deit_t.transmix.seed0", lambda record: record["metrics"].update(natural_top1=26.0), "it is 25.0"),
    ],
)
def test_a_claim_that_does_not_follow_from_the_record_is_named(study, name, change, claim):
    edit(study, name, change)
    lines = wrong(study)
    assert lines
    run = study.find(name)
    for line in lines:
        assert line.removeprefix("record ").startswith(f"{run.folder / NAME}")
        assert line.endswith(f": redo just this run with '{run.command} --restart'")
    assert any(claim in line for line in lines)


def test_answers_that_do_not_add_up_are_named(study):
    edit(study, TRAINED, lambda record: record.update(right=pack(np.arange(1000) < 550)))
    assert wrong(study) == []
    edit(study, TRAINED, lambda record: record.update(right=pack(np.arange(1000) < 549)))
    assert "metrics.top1 is 55.0, computed again it is 54.9" in wrong(study)[0]
    edit(study, TRAINED, lambda record: record.update(right="no base64"))
    assert "right does not hold an answer for each of val_images" in wrong(study)[0]


def test_swapped_weights_are_named(study):
    weights = study.find(TRAINED).folder / "weights.safetensors"
    weights.write_bytes(b"others!")
    (line,) = wrong(study)
    assert f"{weights} is not the file of the record" in line


def test_missing_weights_are_missing_not_wrong(study, capsys):
    weights = study.find(TRAINED).folder / "weights.safetensors"
    weights.unlink()
    (study.find(TRAINED).folder / "log.jsonl").write_text("")  # the folder holds more than the record
    verify(parser().parse_args(["verify", str(study.results)]))
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{weights} is missing, so it was not checked: ")
    assert "1 missing files" in out[1]


def test_a_renamed_folder_and_a_missing_need_are_named(study):
    run = study.find(TRAINED)
    run.folder.rename(run.folder.with_name("mine"))
    lines = wrong(study)
    renamed = f"{run.folder.with_name('mine') / NAME}: lies in a folder called mine, its run is {run.id}: "
    assert [line for line in lines if line.startswith(renamed)] == [f"{renamed}rename the folder back"]
    needed = [line for line in lines if f"it was made from {run.id}, which has no record beside it" in line]
    assert len(needed) == len(lines) - 1 == sum(run.id in [need.id for need in other.needs] for other in study.plan())


def test_a_need_that_was_made_again_is_named(study):
    run = study.find(TRAINED)
    made_from = {"made_from": {run.id: digest_of(run.record())}}
    after = [other for other in study.plan() if run in other.needs]
    for other in after:
        edit(study, other.name, lambda record: record.update(made_from))
    assert wrong(study) == []
    edit(study, TRAINED, lambda record: record.update(started="2025-01-01T00:00:00+00:00"))  # the clock was set back
    lines = wrong(study)
    assert len(lines) == len(after) == 3
    assert all("which has been made again since (2025-01-01T00:00:00+00:00): redo just this run" in x for x in lines)


def test_data_is_read_back(tmp_path, monkeypatch):
    spec = ScenesSpec(classes=2, train=4, val=2, size=32, dense_size=32, dense_train=2, dense_val=2)
    study = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t")
    run = study.find("table1.deit_t.baseline.seed0")
    write_study(study, (5.0,))
    folder = tmp_path / run.data.name
    write_scenes(spec, tmp_path / "other", progress=False)

    def checked():
        return check_all(find_records(run.folder), tmp_path)

    assert "not checked: 1 records’ data that is not there" in checked().summary
    (tmp_path / "other").rename(folder)
    assert "cannot be used (it holds scenes-2c-32px-" in checked().wrong[0]
    monkeypatch.setattr(ScenesSpec, "key", run.data.name)  # the study's own would be 5,000 images
    assert (checked().wrong, checked().checked["records’ data"]) == ([], 1)
    inputs = {"natural": {"path": "a", "fingerprint": "b"}}
    made_up.edit(run.folder, lambda record: record.update(inputs=inputs))
    assert "not checked: 1 records’ further images" in checked().summary
    stray = folder / "imagenet" / "val" / "notes.txt"
    stray.touch()
    (line,) = checked().wrong
    assert line == (
        f"data folder {folder} has 3 files in imagenet/val, its manifest says 2; records made on it: 1: delete the "
        "folder and write it again with 'python -m experiments data'"
    )
    with pytest.raises(UserError, match=rf"^{line.partition(';')[0]}: delete the folder"):  # as a run says it
        check_complete(folder, spec)
    stray.unlink()
    image = next(folder.glob("coco/val2017/*.jpg"))
    image.write_bytes(image.read_bytes()[:-1] + b"?")
    (line,) = checked().wrong
    assert line.startswith(f"data folder {folder} cannot be used (a file was changed after it was written); records")
    assert checked().summary.startswith("1 record verified, but not the data that they were made on; checked:")
    image.unlink()
    (line,) = checked().wrong
    assert "is not whole (No such file or directory" in line


def test_records_of_a_users_own_model_are_verified_and_shown(study, tmp_path, capsys, monkeypatch):
    own = tmp_path / "own" / "resnet18.occlusion-12345678"
    weights = tmp_path / "resnet18.pth"
    weights.write_bytes(b"weights")
    record = read_record(study.find(SWEPT).folder)
    run = replace(record.run, id=own.name, name="occlusion.resnet18", row="resnet18", scale="own", needs=())
    data = replace(record.data, name="photos", embedded=False)
    extra = {"weights": {"path": str(weights), "sha256": sha256(weights)}}
    write_record(own, replace(record, run=run, data=data, extra=extra))
    made_up.edit(own, lambda content: content["run"].pop("part"))  # as the first of them were written
    tally = check_all(find_records(own), tmp_path)
    assert (tally.wrong, tally.checked["files"], tally.skipped["ids of a user’s own models"]) == ([], 1, 1)
    weights.write_bytes(b"others")
    (line,) = check_all(find_records(own), tmp_path).wrong
    assert f"{weights} is not the file of the record" in line
    monkeypatch.setattr("sys.argv", ["reports", "show", str(own)])
    main()
    assert "Area, random patches dropped (%)" in capsys.readouterr().out


def test_a_run_that_vanishes_while_it_is_looked_at_is_one_line(study, capsys, monkeypatch):
    def find_and_lose(folder: Path) -> list:
        found = find_records(folder)
        shutil.rmtree(study.find(TRAINED).folder)
        return found

    monkeypatch.setattr("reports.records.verify.find_records", find_and_lose)
    monkeypatch.setattr("sys.argv", ["reports", "verify", str(study.results)])
    with pytest.raises(SystemExit) as end:
        exit_on_user_error(main)
    assert end.value.code == 2
    line = f"error: cannot use {study.find(TRAINED).folder}: no such file or directory: mend that, then run the same"
    assert capsys.readouterr().err.startswith(line)


def test_folders_without_records_are_one_line(study, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"^no such folder: .*nowhere: give one that holds runs"):
        find_records(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"^no records in .*empty: 'make report' makes some"):
        find_records(tmp_path / "empty")
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr("reports.records.found.PUBLISHED_RUNS", Path("none"))
    with pytest.raises(UserError, match=r"^no records in results or none: 'make report' makes some"):
        verify(parser().parse_args(["verify"]))
    run = study.find(TRAINED)
    shutil.copytree(run.folder, study.results / "copy" / run.id)
    with pytest.raises(UserError, match=f"^run {run.id} is in .*results twice, .*: remove one"):
        readable(study.results)


def published(study: Study, root: Path, name: str | None = None) -> tuple[Path, list[str]]:
    return copy_records(study.results, name, study.data, root)


def test_what_is_published_verifies(study, tmp_path):
    destination, copied = published(study, tmp_path / "published")
    assert destination == tmp_path / "published" / "tiny-cpu-x86-64"
    assert sorted(copied) == sorted(run.id for run in study.plan())
    files = [path for path in destination.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {NAME}
    for path in files:
        assert path.read_bytes() == (study.results / "tiny" / path.parent.name / NAME).read_bytes()
    tally = check_all(find_records(destination), study.data)
    assert (tally.wrong, tally.missing) == ([], [])
    assert tally.skipped["files of records that stand alone"] == 1
    assert published(study, tmp_path / "published") == (destination, [])
    assert published(study, tmp_path / "published", "My runs, again")[0].name == "my-runs-again"


@pytest.mark.parametrize("commit", [COMMIT + "+", "unknown"])
def test_runs_of_uncommitted_code_are_not_published(study, tmp_path, commit):
    edit(study, SWEPT, lambda record: record["environment"].update(commit=commit))
    with pytest.raises(UserError, match=r"was made with code that nobody else has .*: commit the code, then redo"):
        published(study, tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_runs_that_do_not_verify_or_are_too_large_are_not_published(study, tmp_path):
    edit(study, SWEPT, lambda record: record.update(notes="x" * LIMIT))
    with pytest.raises(UserError, match=r"has 2[56][0-9] kB, the limit is 256 kB: leave its run out"):
        published(study, tmp_path / "published")
    edit(study, SWEPT, lambda record: record["metrics"].update(clean=54.0))
    with pytest.raises(UserError, match=r"^nothing published: .*computed again it is"):
        published(study, tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_models_of_ones_own_are_not_published(study, tmp_path):
    edit(study, SWEPT, lambda record: record["run"].update(scale="own"))
    with pytest.raises(UserError, match="is of a model of your own, which no report would show"):
        published(study, tmp_path / "published")


def test_a_set_has_one_device_and_its_records_are_not_replaced(study, tmp_path):
    published(study, tmp_path / "published", "mine")
    edit(study, SWEPT, lambda record: record["environment"].update(device="NVIDIA H100"))
    with pytest.raises(UserError, match=r"has runs of 2 scales or devices \(tiny-CPU .*, tiny-NVIDIA H100\)"):
        published(study, tmp_path / "published")
    with pytest.raises(UserError, match="is another record of that run: choose another name with --as NAME"):
        published(study, tmp_path / "published", "mine")


def test_folders_of_the_machine_are_pointed_out(study, tmp_path):
    (result,) = readable(study.find("table5.deit_t.baseline.seed0").folder)[0]
    assert own_folders(result) == [str(study.results), str(study.data)]  # --results and --data of its command
    inputs = {"natural": {"path": "data/scenes-A"}, "outliers": {"path": "/data/imagenet-o"}}
    inputs = {name: found | {"fingerprint": ""} for name, found in inputs.items()}
    edit(study, result.run.name, lambda record: record.update(inputs=inputs))
    edit(study, result.run.name, lambda record: record["run"].update(command="run x --imagenet torch/cifar100:/data/c"))
    (result,) = readable(result.folder)[0]
    assert own_folders(result) == ["/data/c", "/data/imagenet-o"]
    edit(study, result.run.name, lambda record: record.update(weights={"path": "/home/me/w.pth", "sha256": ""}))
    (result,) = readable(result.folder)[0]
    assert own_folders(result) == ["/data/c", "/data/imagenet-o", "/home/me/w.pth"]
