"""A method that needs a teacher is planned after the baseline of Table 1, which is one unless a file is named."""

from __future__ import annotations

import pytest
from made_up import make_study

from reports.records.collect import collect
from reports.tables import table2
from transmix.methods import methods, of_table

TAUGHT = ("attentivemix", "tokenmix", "transmix_teacher")


def planned(study) -> dict[str, list]:
    found: dict[str, list] = {}
    for run in study.plan():
        if run.kind == "train":
            found.setdefault(run.method, []).append(run)
    return found


def test_those_with_a_teacher_need_the_baseline_of_their_own_seed(tmp_path):
    runs = planned(make_study(tmp_path, "--scale", "smoke", "--methods", ",".join(("cutmix", *TAUGHT)), "--seeds", "2"))
    for name in TAUGHT:
        assert [run.needs for run in runs[name]] == [(baseline,) for baseline in runs["baseline"]]
        assert {run.settings["teacher"] for run in runs[name]} == {"baseline"}
    assert all(run.needs == () for run in runs["cutmix"])


def test_a_teacher_from_a_file_needs_no_run(tmp_path):
    study = make_study(
        tmp_path, "--scale", "smoke", "--methods", "attentivemix,fmix", "--set", "teacher=resnet50:r50.pth"
    )
    runs = planned(study)
    assert [run.settings["teacher"] for run in runs["attentivemix"]] == ["resnet50:r50.pth"]
    assert runs["attentivemix"][0].needs == ()
    assert runs["fmix"][0].settings["teacher"] is None


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
    assert name in planned(make_study(tmp_path, "--scale", "tiny", "--methods", name))


def test_a_training_belongs_to_the_first_table_that_its_method_names(tmp_path):
    runs = planned(make_study(tmp_path, "--scale", "smoke", "--methods", "fmix,transmix_block"))
    assert {name: runs[name][0].table for name in runs} == {
        "baseline": "table1",
        "transmix": "table1",
        "fmix": "table2",
        "transmix_block": "table7",
    }


def test_ablations_of_transmix_are_not_in_table_2(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke", "--methods", "fmix,transmix_block")
    assert {run.method for run in study.shown_in("table2")} == {"baseline", "transmix", "fmix"}
    assert "TransMix" in (titles := [row.title for row in table2.mix_rows(collect(study))])
    assert not {methods()[name].title for name in of_table("table7")} & {*titles}
