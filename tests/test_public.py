"""Public weights as a start: found, evaluated, measured further, shown as what they are, and never mixed with ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from conftest import write_class_folders
from made_up import make_study, record_of, write_run

from experiments.estimate import Assumptions
from experiments.plan import plan_lines
from experiments.public import PublicWeights
from experiments.rows import rows, table1
from reports.records.collect import collect
from reports.records.found import find_records
from reports.records.verify import check_all
from reports.tables import tables
from transmix.common.errors import UserError
from transmix.models import create_model
from transmix.training.checkpoints import save_weights

CLASSES = 3
MODEL = "deit_tiny_patch16_224"


def save(path: Path, name: str = MODEL) -> Path:
    torch.manual_seed(0)
    model = create_model(name, num_classes=CLASSES)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model.state_dict()}, path)  # as DeiT's authors wrap theirs
    return path


def study(folder: Path, weights: str, *options: str):
    return make_study(folder / "results", "--scale", "paper", "--weights", weights, *options)


def test_public_weights_are_evaluated_measured_and_named(tmp_path):
    images = write_class_folders(tmp_path / "images", classes=CLASSES, train=1, val=2, size=32)
    save(tmp_path / "weights" / f"{MODEL}-a1311bcf.pth")
    given = ["--imagenet", str(images), "--rows", "deit_t", "--protocol", "per_image"]
    planned = study(tmp_path, str(tmp_path / "weights"), *given)
    runs = planned.shown_in("table1")
    assert [run.name for run in runs] == ["table1.deit_t.public.seed0"], "nothing is trained"
    assert {run.method for run in planned.shown_in("report")} == {"public"}
    done = subprocess.run(
        [sys.executable, "-m", "experiments", "run", runs[0].name, *planned.options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

    collected = collect(planned)
    record = collected.of("table1", "deit_t", "public")[0].record
    assert record.settings["crop"] == 0.875
    assert record.metrics["val_images"] == 2 * CLASSES
    assert record.metrics["parameters"] == sum(p.numel() for p in create_model(MODEL, num_classes=CLASSES).parameters())
    table = tables()["table1"].build(collected)
    column = next(column for column in table.columns if column.key == "public")
    assert (column.title, column.group) == ("Public weights, not trained here", "evaluated here")
    line = next(line for line in table.rows if line["name"].text == "DeiT-T")
    assert line["public"].value == pytest.approx(record.metrics["top1"], abs=0.01)
    assert line["baseline"].text == line["gain"].text == "not run", "they are no training of ours, and not compared"
    words = f"Public weights, not trained here: DeiT-T, {MODEL}-a1311bcf.pth:"
    assert any(words in note for note in table.notes)
    numbers = next(row for row in tables()["table1"].numbers(collected) if row["row"] == "deit_t")
    assert numbers["public_top1"] == record.metrics["top1"]
    assert numbers["measured_baseline"] is None
    tally = check_all(list(find_records(planned.results)), planned.data)
    assert not tally.wrong + tally.missing


def test_each_row_has_the_weights_that_are_nearest_to_the_papers_model():
    timms = {row: found and found.name for row, found in ((row, PublicWeights("timm").of(row)) for row in table1())}
    assert timms == {
        "deit_t": "timm/deit_tiny_patch16_224.fb_in1k",
        "deit_s": "timm/deit_small_patch16_224.fb_in1k",
        "deit_b": "timm/deit_base_patch16_224.fb_in1k",
        **dict.fromkeys(("pvt_t", "pvt_s", "pvt_m", "pvt_l")),  # timm has PVT's second version only
        "xcit_t": "timm/xcit_tiny_24_p16_224.fb_in1k",
        "xcit_s": "timm/xcit_small_12_p16_224.fb_in1k",
        "xcit_m": "timm/xcit_medium_24_p16_224.fb_in1k",
        "xcit_l": "timm/xcit_large_24_p16_224.fb_in1k",
        "cait_xxs": "timm/cait_xxs36_224.fb_dist_in1k",
    }
    known = set(timm.list_pretrained())
    for row, name in timms.items():
        assert name is None or name.removeprefix("timm/") in known
        assert name is None or name.removeprefix("timm/").partition(".")[0] == rows()[row].recipe().model
    variants = {row for row in table1() if (found := PublicWeights("timm").of(row)) and found.variant}
    assert variants == {"cait_xxs"}, "only CaiT's public weights are distilled"


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    return folder


def test_files_are_found_by_their_rows_models_and_authors_names_and_distilled_ones_are_not_taken(tmp_path):
    folder = touch(tmp_path / "w", "deit_s.pth", "pvt_tiny.pth", "XXS36_224.pth", "XXS36_384.pth")
    touch(
        folder, "xcit_tiny_24_p16_224.pth", "xcit_tiny_24_p16_224_dist.pth", "xcit_small_12_p16_224_dist.pth", "a.txt"
    )
    found = {row: PublicWeights(str(folder)).of(row) for row in table1()}
    names = {row: (weights.path.name, weights.variant) for row, weights in found.items() if weights}
    assert names == {
        "deit_s": ("deit_s.pth", ""),
        "pvt_t": ("pvt_tiny.pth", ""),
        "xcit_t": ("xcit_tiny_24_p16_224.pth", ""),
        "cait_xxs": ("XXS36_224.pth", "distilled"),
    }
    given = PublicWeights.parse(f"xcit_s={folder}/xcit_small_12_p16_224_dist.pth").of("xcit_s")
    assert given.variant == "distilled", "asked for by name, and then said"


@pytest.mark.parametrize(
    ("name", "large", "distilled"),
    [
        ("deit_base_patch16_384-8de9b5d1.pth", True, False),
        ("deit_base_distilled_patch16_384-d0272ac0.pth", True, True),
        ("XXS36_384.pth", True, False),
        ("deit_s.384px.pth", True, False),
        ("deit-s-384x384.pth", True, False),
        ("DEIT_S_R384.PTH", True, False),
        ("deit_small_patch16_224-cd384a55.pth", False, False),
        ("deit_small_patch16_224-38493841.pth", False, False),
        ("deit_s-20240384.pth", False, False),
        ("deit_s_dim384.pth", False, False),
        ("deit_s-run1384.pth", False, False),
        ("deit_s_distributed.pth", False, False),
        ("redistributed_deit_s.pth", False, False),
        ("deit_small_distilled_patch16_224-649709d9.pth", False, True),
        ("deit_s.fb_dist_in1k.safetensors", False, True),
    ],
)
def test_only_a_word_of_a_files_name_says_that_it_is_for_384_px_or_distilled(tmp_path, name, large, distilled):
    folder = touch(tmp_path / "for_384_distilled", name)
    given = PublicWeights.parse(f"deit_s={folder / name}")
    if large:
        with pytest.raises(UserError, match="is named as weights for 384 px"):
            given.of("deit_s")
    else:
        assert given.of("deit_s").variant == ("distilled" if distilled else "")


def test_another_file_of_the_same_name_is_another_run(tmp_path):
    folder = touch(tmp_path / "w", "deit_t.pth")
    first = study(tmp_path, str(folder), "--rows", "deit_t").shown_in("table1")[0].id
    (folder / "deit_t.pth").write_text("other weights")
    assert study(tmp_path, str(folder), "--rows", "deit_t").shown_in("table1")[0].id != first


def test_what_cannot_be_meant_is_refused_in_a_line(tmp_path):
    folder = touch(tmp_path / "w", "deit_t.pth", f"{MODEL}.pth", "XXS36_384.pth")
    for text, row, message in (
        (str(folder), "deit_t", "are both weights of deit_t"),
        (f"cait_xxs={folder}/XXS36_384.pth", "cait_xxs", "is named as weights for 384 px"),
        (f"deit_t={folder}/none.pth", "deit_t", "no such weights file"),
    ):
        with pytest.raises(UserError, match=message):
            PublicWeights.parse(text).of(row)
    with pytest.raises(UserError, match="did you mean 'deit_t'"):
        PublicWeights.parse("deit_tt=x.pth")
    with pytest.raises(UserError, match="no weights of pvt_t: timm has none of them, or give ROW=FILE"):
        PublicWeights("timm").check(["pvt_t"])
    with pytest.raises(UserError, match="no such folder of weights"):
        PublicWeights("nowhere").check(["pvt_t"])
    with pytest.raises(UserError, match="add SCALE=paper"):
        make_study(tmp_path, "--scale", "tiny", "--weights", "timm")


def carry_out(planned, **about):
    from experiments.public_evaluation import execute
    from transmix.common.runtime import Runtime
    from transmix.data.sources import read_source
    from transmix.training.distributed import join_processes

    run = planned.shown_in("table1")[0]
    with join_processes("cpu") as processes:
        return execute(run, read_source(planned.imagenet, planned.data), processes, Runtime())


def test_weights_of_ours_of_other_classes_and_without_network_end_in_a_line(tmp_path, shared_folders, monkeypatch):
    given = ["--imagenet", str(shared_folders), "--rows", "deit_t"]
    ours = tmp_path / "deit_t.safetensors"
    save_weights(create_model("deit_micro_tiny_patch8_64", num_classes=3), ours, {"model": "x", "num_classes": 3})
    with pytest.raises(UserError, match="was written by this suite"):
        carry_out(study(tmp_path, f"deit_t={ours}", *given))
    torch.save(create_model(MODEL, num_classes=5).state_dict(), tmp_path / "five.pth")
    with pytest.raises(UserError, match="tell 5 classes apart, the data have 3"):
        carry_out(study(tmp_path, f"deit_t={tmp_path}/five.pth", *given))
    torch.save(create_model(MODEL, num_classes=3, img_size=384).state_dict(), tmp_path / "large.pth")
    with pytest.raises(UserError, match=r"large\.pth does not fit deit_tiny_patch16_224: .*577"):
        carry_out(study(tmp_path, f"deit_t={tmp_path}/large.pth", *given))

    def offline(name: str, pretrained: bool):
        assert (name, pretrained) == (f"{MODEL}.fb_in1k", True)
        raise OSError("no route to host")

    monkeypatch.setattr("experiments.public_evaluation.timm.create_model", offline)
    with pytest.raises(UserError, match=r"cannot be downloaded \(no route to host\): give a file, WEIGHTS=deit_t=FILE"):
        carry_out(study(tmp_path, "timm", *given))


def test_the_plan_names_what_public_weights_are_measured_on_and_trains_nothing(tmp_path):
    planned = study(tmp_path, "timm", "--rows", "deit_s,pvt_s", "--seeds", "2")
    lines = list(plan_lines(planned, Assumptions()))
    assert any("table1.deit_s.public.seed0" in line for line in lines)
    assert any("table3.deit_s.upernet.public.seed0" in line for line in lines)
    assert not [line for line in lines if "transmix" in line.partition("python")[0] or "pvt_s." in line]


def test_tables_name_public_weights_and_compare_them_with_nothing(tmp_path):
    options = ("--rows", "xcit_t,pvt_s", "--imagenet-a", "a", "--imagenet-o", "o")
    planned = study(tmp_path, "timm", *options)
    for run in planned.plan():
        if run.kind == "public":
            write_public(run)
        elif run.kind != "lambda":
            write_run(run, 1.0 if run.method == "transmix" else 0.0)
    collected = collect(planned)
    assert not collected.problems
    for name in ("table3", "table4", "table5"):
        table = tables()[name].build(collected)
        said = [cell.text for line in table.rows for key, cell in line.items() if key in ("method", "weights")]
        assert "public weights, not trained here" in said
        assert not [text for text in said if "public" in text and "−" in text], "no difference is formed"
        tables()[name].numbers(collected)
    sweep = tables()["occlusion"].build(collected)
    titles = {column.title for column in sweep.columns}
    assert "public weights, not trained here" in titles
    assert not [title for title in titles if "public" in title and "−" in title]
    keys = {frozenset(line) for line in tables()["occlusion"].numbers(collected)}
    assert len(keys) == 1, "the lines of a CSV file have the same columns"
    first = tables()["table1"].build(collected)
    assert any("No public weights were given of PVT-S." in note for note in first.notes)


def write_public(run) -> None:
    import numpy as np

    from experiments.correctness import pack
    from experiments.records import write_record

    metrics = {"top1": 50.0, "top5": 90.0, "val_images": 1000, "parameters": 5_717_416, "gmacs": 1.26}
    right = pack(np.arange(1000) < 500)
    write_record(run.folder, record_of(run, metrics, weights="weights.safetensors", right=right))
