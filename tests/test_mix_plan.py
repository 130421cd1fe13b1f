"""A method that needs a teacher is planned after the baseline of Table 1, which is one unless a file is named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from made_up import make_study

from experiments.scales import table_of
from experiments.teachers import by_place
from reports.records.collect import collect
from reports.tables import table2
from transmix.common.errors import UserError
from transmix.methods import methods, of_table

TAUGHT = ("attentivemix", "tokenmix", "transmix_teacher")


def planned(study) -> dict[str, list]:
    found: dict[str, list] = {}
    for run in study.plan():
        if run.kind == "train" and not run.part:  # not in a cell of Table 6
            found.setdefault(run.method, []).append(run)
    return found


def test_those_with_a_teacher_need_the_baseline_of_their_own_seed(tmp_path):
    options = ("--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    runs = planned(make_study(tmp_path, *options, "--methods", ",".join(("cutmix", *TAUGHT))))
    for name in TAUGHT:
        assert [run.needs for run in runs[name]] == [(baseline,) for baseline in runs["baseline"]]
        assert {run.settings["teacher"] for run in runs[name]} == {"baseline"}
    assert all(run.needs == () for run in runs["cutmix"])


def test_a_teacher_from_a_file_needs_no_run(tmp_path):
    runs = taught_by(tmp_path, tmp_path / "r50.pth", b"weights")
    assert runs["attentivemix"][0].needs == ()
    assert runs["fmix"][0].settings["teacher"] is None


def taught_by(results: Path, file: Path, content: bytes) -> dict[str, list]:
    file.write_bytes(content)
    options = ("--methods", "attentivemix,fmix", "--set", f"teacher=resnet50:{file}")
    return planned(make_study(results, "--scale", "smoke", *options))


def test_a_teacher_is_what_its_file_holds_wherever_it_lies(tmp_path):
    here = taught_by(tmp_path, tmp_path / "r50.pth", b"weights")["attentivemix"][0]
    moved = taught_by(tmp_path, tmp_path / "moved.pth", b"weights")["attentivemix"][0]
    changed = taught_by(tmp_path, tmp_path / "r50.pth", b"other weights")["attentivemix"][0]
    assert here.id == moved.id != changed.id
    digest = hashlib.sha256(b"weights").hexdigest()[:16]
    assert here.settings["teacher"] == moved.settings["teacher"] == f"resnet50:{digest}"
    assert by_place(moved.settings["teacher"], moved.inputs) == f"resnet50:{tmp_path / 'moved.pth'}"
    with pytest.raises(UserError, match=r"teacher=resnet50:none\.pth: no such weights file"):
        make_study(tmp_path, "--methods", "attentivemix", "--set", "teacher=resnet50:none.pth").plan()


def test_known_faults_concern_only_methods_with_functions_of_their_own(tmp_path):
    usual, faulty = (
        planned(make_study(tmp_path, "--scale", "smoke", "--methods", "cutmix,fmix", *changed))
        for changed in ((), ("--set", "as_published=true"))
    )
    for name in ("baseline", "transmix", "cutmix"):
        assert faulty[name][0].id == usual[name][0].id
    assert faulty["fmix"][0].id != usual["fmix"][0].id


@pytest.mark.parametrize("name", [name for name in of_table("table2") if name != "oracle"])
def test_each_method_of_table_2_is_planned_at_tiny(name, tmp_path):
    assert name in planned(make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t", "--methods", name))


def test_a_training_belongs_to_the_first_table_that_its_method_names(tmp_path):
    runs = planned(make_study(tmp_path, "--scale", "smoke", "--methods", "fmix,transmix_block"))
    assert {name: runs[name][0].table for name in ("baseline", "transmix", "fmix")} == {
        "baseline": "table1",
        "transmix": "table1",
        "fmix": "table2",
    }
    assert table_of("transmix_block") == "table7"


def test_ablations_of_transmix_are_not_in_table_2(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke", "--methods", "fmix,transmix_block")
    assert {run.method for run in study.shown_in("table2") if run.kind == "train"} == {"baseline", "transmix", "fmix"}
    assert "TransMix" in (titles := [row.title for row in table2.mix_rows(collect(study))])
    assert not {methods()[name].title for name in of_table("table7")} & {*titles}
