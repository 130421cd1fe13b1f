"""The record: typed, byte for byte as it was, and nothing that is no record passes for one."""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.kinds import kinds
from experiments.records import NAME, Record, UnreadableRecord, read_record, rehearse, signed, write_record
from experiments.records.files import digest
from reports.records.collect import PUBLISHED_RUNS, collect
from tests.made_up import edit, make_study, put, record_of
from transmix.common.errors import UserError


@pytest.fixture
def record(tmp_path) -> Record:
    run = make_study(tmp_path / "results", "--scale", "tiny", "--rows", "deit_t").find("table1.deit_t.transmix.seed0")
    return record_of(run, {"top1": 12.5})


def test_a_record_survives(tmp_path, record):
    write_record(tmp_path / "run", record)
    found = read_record(tmp_path / "run")
    assert found == record
    assert (found.run.needs, found.environment.operators, found.history) == ((), None, [])
    assert [path.name for path in (tmp_path / "run").iterdir()] == [NAME]
    assert read_record(tmp_path / "nothing") is None


def test_a_record_names_the_processor_where_one_is_known(tmp_path, record):
    assert "processor" not in record.content()["environment"]  # as in older records
    named = replace(record, environment=replace(record.environment, processor="AMD EPYC 9554"))
    write_record(tmp_path, named)
    assert json.loads((tmp_path / NAME).read_text())["environment"]["processor"] == "AMD EPYC 9554"
    assert read_record(tmp_path) == named
    assert (record.environment.computed_on, named.environment.computed_on) == (
        "CPU (x86_64)",
        "CPU (x86_64) AMD EPYC 9554",
    )
    assert replace(named.environment, device="NVIDIA H100").computed_on == "NVIDIA H100"


def test_published_records_are_written_again_byte_for_byte(tmp_path):
    paths = sorted(PUBLISHED_RUNS.rglob(NAME))
    kinds_there = {json.loads(path.read_text())["run"]["kind"] for path in paths}
    assert kinds_there == kinds().keys() - {"public"}  # whose weights were never here
    for path in paths:
        written = write_record(tmp_path, read_record(path.parent))
        assert written.read_bytes() == path.read_bytes(), path


def test_a_records_lists_of_numbers_take_a_line_each_and_its_texts_stay(tmp_path, record):
    metrics = {
        "counts": [1, 20],
        "curve": [[0.5, -1e-8]],
        "text": "[\n1,\n2\n]",
        "names": ["a, [ b ]"],
        "none": [1, None],
    }
    path = write_record(tmp_path, replace(record, metrics=metrics))
    assert '  "counts": [1, 20],\n' in path.read_text()
    assert "   [0.5, -1e-08]\n" in path.read_text()
    assert read_record(tmp_path).metrics == metrics


def test_a_record_that_is_changed_by_hand_is_not_read(tmp_path, record):
    path = write_record(tmp_path, record)
    path.write_text(path.read_text().replace("12.5", "13.5"))
    with pytest.raises(UnreadableRecord, match=r"record .*record\.json was changed after it was written"):
        read_record(tmp_path)
    path.write_text(path.read_text().replace("13.5", "12.5"))
    assert read_record(tmp_path).metrics == {"top1": 12.5}


def test_a_record_may_be_laid_out_anew_and_written_again(tmp_path, record):
    path = write_record(tmp_path, replace(record, metrics={"pair": (1, 2), "näme": None}))
    found = read_record(tmp_path)
    assert found.metrics == {"pair": [1, 2], "näme": None}
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content, sort_keys=True, ensure_ascii=False), encoding="utf-8")
    assert read_record(tmp_path) == found
    write_record(tmp_path, found)
    assert read_record(tmp_path) == found


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 2}', "null", '{"format": "\\u001b[2J"}'])
def test_a_corrupted_record_is_named_with_the_way_to_redo_it(tmp_path, text):
    run = make_study(tmp_path).plan()[0]
    run.folder.mkdir(parents=True)
    (run.folder / NAME).write_text(text)
    with pytest.raises(UnreadableRecord, match=r"record .*record\.json"):
        read_record(run.folder)
    assert run.status() == "unreadable"
    with pytest.raises(UserError, match=f"experiments run {run.name} .*--restart") as error:
        run.record()
    assert str(error.value).isprintable()


def _deep(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe{}", b"\xef\xbb\xbf{}", _deep(100_000).encode(), b'{"format": 2, "seed": ' + b"9" * 5000 + b"}"],
)
def test_files_that_are_no_text_or_no_json_are_one_line(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(UnreadableRecord, match=r"^record .*record\.json is not readable \(") as error:
        read_record(tmp_path)
    assert "\n" not in str(error.value)


def test_what_is_no_file_is_neither_read_nor_waited_for(tmp_path):
    for name, make in {"pipe": os.mkfifo, "folder": os.mkdir}.items():
        (tmp_path / name).mkdir()
        make(tmp_path / name / NAME)
        with pytest.raises(UnreadableRecord, match=r"is not a file$"):
            read_record(tmp_path / name)
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / NAME).symlink_to(tmp_path / "gone")
    with pytest.raises(UnreadableRecord, match=rf"is a link to {tmp_path}/gone, which is not there$"):
        read_record(tmp_path / "dead")


def test_a_record_that_is_a_dead_link_is_unreadable_not_missing(tmp_path):
    """As where it lies on a drive that is not mounted: a run over it would replace what somebody keeps there."""
    study = make_study(tmp_path, "--scale", "smoke")
    run = study.plan()[0]
    run.folder.mkdir(parents=True)
    (run.folder / NAME).symlink_to(tmp_path / "gone")
    assert run.status() == "unreadable"
    (problem,) = collect(study, tmp_path / "none").problems
    assert f"{NAME} is a link to {tmp_path}/gone, which is not there: redo just this run with 'python -m" in problem


WRONG = {
    "text for a number": (lambda content: content.update(wall_seconds="1"), "unexpected value of wall_seconds"),
    "truth for a number": (lambda content: content["run"].update(seed=True), "unexpected value of run.seed"),
    "number for a text": (lambda content: content["run"].update(name=1), "unexpected value of run.name"),
    "half an image": (lambda content: content["data"].update(images={"val": 0.5}), "value of data.images"),
    "a list for an object": (lambda content: content.update(settings=[]), "unexpected value of settings"),
    "texts for a list": (lambda content: content["run"].update(needs="abc"), "unexpected value of run.needs"),
    "no environment": (lambda content: content.update(environment=None), "unexpected value of environment"),
    "a key too many": (lambda content: content["data"].update(colour="red"), "data.colour is unknown"),
    "a key too few": (lambda content: content["environment"].pop("threads"), "lacks 'environment.threads'"),
    "a part too few": (lambda content: content.pop("files"), "lacks 'files'"),
    "400 digits": (lambda content: content["metrics"].update(top1=10**400), "metrics.top1 is a whole number of"),
    "400 digits in a list": (lambda content: content.update(own=[1, [2, -(10**400)]]), r"own\[1\]\[1\] is a whole"),
    "no number": (lambda content: content["metrics"].update(top1=math.nan), "metrics.top1 is nan, which"),
    "no end": (lambda content: content["settings"].update(lr=math.inf), "settings.lr is inf, which"),
    "deep": (lambda content: content.update(own=json.loads(_deep(200))), "lies more than 24 levels deep"),
    "a history of texts": (lambda content: content.update(history=["a"]), "unexpected value of history"),
    "weights without a path": (lambda content: content.update(weights={}), "unexpected value of weights"),
    "inputs without a name": (lambda content: content.update(inputs=[]), "unexpected value of inputs"),
}


@pytest.mark.parametrize("name", WRONG)
def test_types_are_checked_where_a_record_is_read(tmp_path, record, name):
    change, reason = WRONG[name]
    write_record(tmp_path, record)
    edit(tmp_path, change)
    with pytest.raises(UnreadableRecord, match=reason):
        read_record(tmp_path)


def test_a_digest_does_not_depend_on_the_order_of_keys(record):
    content = record.content()
    assert digest(content) == digest(dict(reversed(content.items())))
    assert json.loads(signed(content))["digest"] == digest({"format": 2} | content)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"lr": math.nan}, r"settings\.lr is nan, which JSON has no number for"),
        ({"lr": [0.1, -math.inf]}, r"settings\.lr\[1\] is -inf"),
        ({"path": Path("a")}, r"settings\.path is of type \w*Path, which JSON does not have"),
        ({"table": {1: 2}}, r"settings\.table has a key that is no text"),
    ],
)
def test_what_a_record_cannot_hold_is_refused_in_the_rehearsal(tmp_path, record, settings, reason):
    strange = replace(record, settings=settings)
    for act in (rehearse, write_record):
        with pytest.raises(UserError, match=rf"^record .*record\.json cannot be written: {reason}"):
            act(tmp_path / "run", strange)
    assert not (tmp_path / "run").exists()


def test_a_rehearsal_leaves_nothing_and_a_folder_that_cannot_be_written_is_one_line(tmp_path, record):
    rehearse(tmp_path / "run", record)
    assert list((tmp_path / "run").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^cannot write .*not a directory, [0-9,]+ bytes"):
        rehearse(tmp_path / "file" / "run", record)


def test_reading_a_long_training_takes_milliseconds(tmp_path, record):
    epoch = {"epoch": 1, "lr": 0.1, "loss": 1.5, "lambda": {"area": [1] * 20, "label": [1] * 20, "shift": [1] * 40}}
    put(tmp_path, record.content() | {"history": [epoch] * 300})
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        read_record(tmp_path)
    finally:
        sys.setprofile(None)
    assert calls < 20_000  # of the record's 24,000 numbers in lists, none is looked at by a call of its own
