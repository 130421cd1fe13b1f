"""``python -m robustness``: a user's own models with one command, and every kind of bad input in one line."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sweeps import model

from reports.__main__ import main as reports_main
from robustness.__main__ import main
from transmix.common.errors import UserError, exit_on_user_error
from transmix.models import create_model
from transmix.training.checkpoints import save_weights

MODEL = "deit_micro_tiny_patch8_64"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Weights of somebody's own training: a PyTorch file with the state dict in it."""
    path = tmp_path_factory.mktemp("weights") / "checkpoint.pth"
    torch.save({"epoch": 3, "state_dict": model().model.state_dict()}, path)
    return path


def run(monkeypatch, capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["robustness", *map(str, arguments), "--device", "cpu", "--workers", "0"])
    try:
        exit_on_user_error(main)
        status = 0
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def records(out: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(out.glob("*/record.json"))]


def test_a_users_own_timm_model_on_a_folder(weights, shared_folders, tmp_path, monkeypatch, capsys):
    given = [MODEL, "--weights", weights, "--data", shared_folders, "--out", tmp_path, "--draws", 1]
    status, printed, _ = run(monkeypatch, capsys, *given, "--sweep", "occlusion")
    assert status == 0
    (record,) = records(tmp_path)
    curves = record["metrics"]["curves"]
    assert list(curves) == ["random", "salient", "non_salient"]
    assert record["metrics"]["images"] == 15
    assert record["settings"]["protocol"] == "per_image"
    assert record["weights"]["sha256"]
    assert f"{curves['random']['area']:.2f}" in printed
    folder = tmp_path / record["run"]["id"]
    assert {path.name for path in folder.iterdir()} == {"record.json", "answers.npz", "sheet.png"}
    answers = (folder / "answers.npz").read_bytes()
    assert run(monkeypatch, capsys, *given, "--sweep", "occlusion")[0] == 0
    assert (folder / "answers.npz").read_bytes() == answers
    assert run(monkeypatch, capsys, *given, "--sweep", "occlusion", "--protocol", "published", "--fill", "mean")[0] == 0
    assert len(records(tmp_path)) == 2


def test_two_models_in_one_pass(weights, shared_folders, tmp_path, monkeypatch, capsys):
    other = tmp_path / "other.safetensors"
    about = {"model": MODEL, "num_classes": 3, "image_size": 64, "mean": [0.5] * 3, "std": [0.5] * 3}
    save_weights(model(1).model, other, about)
    given = ["--data", shared_folders / "val", "--sweep", "corruptions", "--out", tmp_path / "out"]
    status, printed, _ = run(monkeypatch, capsys, MODEL, MODEL, "--weights", weights, other, *given)
    assert status == 0
    assert len(records(tmp_path / "out")) == 2
    assert printed.count(MODEL) == 2 * 4  # models x curves


def test_natural_adversarial_images(weights, shared_folders, tmp_path, monkeypatch, capsys):
    val = shared_folders / "val"
    given = ["--data", val, "--sweep", "natural", "--imagenet-a", val, "--imagenet-o", val, "--out", tmp_path]
    status, printed, _ = run(monkeypatch, capsys, MODEL, "--weights", weights, *given)
    assert status == 0
    (record,) = records(tmp_path)
    assert record["metrics"]["natural_images"] == 15
    assert record["metrics"]["aupr"] == pytest.approx(0.5, abs=0.05)  # the same images are no outliers
    assert "aurra" in printed
    assert len(np.load(tmp_path / record["run"]["id"] / "scores.npz")["familiar_confidence"]) == 15


def test_a_model_without_class_attention_takes_the_curves_that_need_none(shared_folders, tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    torch.save(create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "resnet.pth")
    given = ["test_resnet", "--weights", tmp_path / "resnet.pth", "--data", shared_folders, "--out", tmp_path / "out"]
    status, _, error = run(monkeypatch, capsys, *given, "--sweep", "occlusion", "--grid", 8)
    assert (status, error.strip()) == (
        2,
        "error: test_resnet has no class attention to find the foreground by: choose --saliency dino or objects, or "
        "--sweep random, which needs none",
    )
    for sweep, grid in (("random", ["--grid", 8]), ("contrast", [])):
        assert run(monkeypatch, capsys, *given, "--sweep", sweep, *grid, "--draws", 1)[0] == 0
    assert [list(record["metrics"]["curves"]) for record in records(tmp_path / "out")] == [["contrast"], ["random"]]


def test_curves_of_own_models_are_drawn_and_compared_with_the_first(
    weights, shared_folders, tmp_path, monkeypatch, capsys
):
    state = model().model.state_dict()
    for label in (0, 1):  # two models that see one class everywhere
        torch.save(state | {"head.bias": 1e6 * torch.eye(3)[label]}, tmp_path / f"{label}.pth")
    given = ["--data", shared_folders, "--out", tmp_path / "out", "--images", 5]
    both = [MODEL, MODEL, "--weights", tmp_path / "0.pth", tmp_path / "1.pth"]
    status, printed, error = run(monkeypatch, capsys, *both, *given, "--sweep", "shuffle")
    assert status == 0
    assert "left out: 14 x 14 cells, which 64 px do not divide into" in error
    assert f"{MODEL}, 1.pth" in printed
    assert run(monkeypatch, capsys, MODEL, "--weights", weights, *given, "--sweep", "random")[0] == 0
    monkeypatch.setattr(sys, "argv", ["reports", "own", str(tmp_path / "out")])
    reports_main()
    printed = capsys.readouterr().out
    for kind in ("shuffle", "random"):
        assert Image.open(tmp_path / "out" / f"{kind}.png").size[0] > 500
        assert f"figure: {tmp_path / 'out' / kind}.png" in printed
    area = {}  # the mean over points of the mean over draws, from the answers
    for record in records(tmp_path / "out"):
        points: dict[str, list[float]] = defaultdict(list)
        with np.load(tmp_path / "out" / record["run"]["id"] / "answers.npz") as file:
            for key, right in zip(file["keys"].tolist(), file["right"], strict=True):
                points[key.rpartition("/")[0]].append(100 * right.mean())
        area[record["run"]["kind"], Path(record["weights"]["path"]).name] = np.mean([*map(np.mean, points.values())])
    (line,) = [line for line in printed.splitlines() if "1.pth" in line]
    _, _, _, found, difference, *_ = line.replace("−", "-").split()
    assert float(found) == pytest.approx(area["shuffle", "1.pth"], abs=0.006)
    expected = area["shuffle", "1.pth"] - area["shuffle", "0.pth"]
    assert float(difference) == pytest.approx(expected, abs=0.006)
    assert abs(expected) > 0.1
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(sys, "argv", ["reports", "own", str(tmp_path / "empty")])
    with pytest.raises(UserError, match="no records in"):
        reports_main()


def test_the_record_says_what_was_seen_and_where_the_foreground_came_from(
    weights, shared_folders, tmp_path, monkeypatch, capsys
):
    given = [MODEL, "--weights", weights, "--data", shared_folders, "--out", tmp_path / "out", "--sweep", "salient"]
    for half in (0, 1):  # masks that call the left or the right half an object
        mask = np.zeros((64, 64), np.uint8)
        mask[:, 32 * half : 32 * (half + 1)] = 255
        for image in (shared_folders / "val").glob("*/*"):
            path = tmp_path / f"masks{half}" / image.parent.name / f"{image.stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(path)
        status, _, error = run(
            monkeypatch, capsys, *given, "--saliency", "objects", "--masks", tmp_path / f"masks{half}"
        )
        assert status == 0, error
    found = records(tmp_path / "out")
    assert sorted(record["settings"]["masks"] for record in found) == [
        str(tmp_path / f"masks{half}") for half in (0, 1)
    ]
    assert len({record["files"]["sheet.png"] for record in found}) == 2  # other patches drop first
    assert found[0]["data"]["images"] == {"val": 15}
    assert len(found[0]["data"]["fingerprint"]) == 16
    view = found[0]["view"]
    assert (view["image_size"], view["crop_mode"], view["precision"]) == (64, "center", "fp32")
    assert view["mean"] == pytest.approx(model().model.pretrained_cfg["mean"])


def broken(root: Path, spoil: str) -> Path:
    """Class folders with something wrong."""
    for label in range(3):
        (root / f"class{label}").mkdir(parents=True)
        for index in range(2):
            Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(root / f"class{label}" / f"{index}.png")
    if spoil == "empty":
        for path in (root / "class1").iterdir():
            path.unlink()
    if spoil == "stray":
        (root / "class1" / "0.png").rename(root / "stray.png")
    if spoil == "unreadable":
        (root / "class1" / "0.png").write_bytes(b"no image")
    if spoil == "fewer":
        for path in (root / "class1").iterdir():
            path.unlink()
        (root / "class1").rmdir()
    return root


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--weights": "nowhere.pth"}, "no such weights file: nowhere.pth"),
        ({"--weights": "torn.pth"}, "torn.pth is not readable"),
        ({"--weights": "none.pth"}, "none.pth holds no state dict: save model.state_dict()"),
        ({"--weights": "headless.pth"}, "headless.pth has no classifier head.weight"),
        ({"--weights": "other.pth"}, f"other.pth does not fit {MODEL}"),
        ({"model": "deit_mikro"}, "unknown model 'deit_mikro': the nearest of "),
        ({"--data": "nowhere"}, "no such data folder: nowhere"),
        ({"--data": "empty"}, "class1 holds no images"),
        ({"--data": "unreadable"}, "class1/0.png holds no image of the kind that its name says"),
        ({"--data": "stray"}, "stray.png lies beside the class folders: move it into one or remove it"),
        ({"--data": "fewer"}, "fewer has 2 class folders and the model 3 classes"),
        ({"--sweep": "oclusion"}, "unknown sweep 'oclusion': did you mean 'occlusion'?"),
        ({"--protocol": "publish"}, "did you mean 'published'?"),
        ({"--saliency": "dino"}, "--saliency dino needs --dino FILE"),
        ({"--saliency": "objects"}, "'objects' needs masks"),
        ({"--sweep": "natural"}, "--sweep natural needs --imagenet-a PATH and --imagenet-o PATH"),
        ({"--grid": "7"}, "does not divide into 7 x 7 cells"),
        ({"--precision": "fp8"}, "unknown precision 'fp8'"),
    ],
)
def test_bad_input_is_one_line(weights, tmp_path, monkeypatch, capsys, changes, message):
    monkeypatch.chdir(tmp_path)
    for name in ("whole", "empty", "stray", "unreadable", "fewer"):
        broken(tmp_path / name, name)
    state = model().model.state_dict()
    (tmp_path / "torn.pth").write_bytes(weights.read_bytes()[:2000])
    torch.save({"accuracy": 3}, "none.pth")
    torch.save({name: tensor for name, tensor in state.items() if "head" not in name}, "headless.pth")
    torch.save({"head.weight": state["head.weight"]}, "other.pth")
    given = {"model": MODEL, "--weights": weights, "--data": "whole", "--sweep": "occlusion", "--out": "out"} | changes
    arguments = [given.pop("model"), *(word for pair in given.items() for word in pair)]
    status, _, error = run(monkeypatch, capsys, *arguments)
    assert status == 2, error
    assert len(error.strip().splitlines()) == 1
    assert message in error


def test_each_model_has_its_weights(weights, shared_folders, monkeypatch, capsys):
    given = [MODEL, MODEL, "--weights", weights, "--data", shared_folders, "--sweep", "shuffle"]
    status, _, error = run(monkeypatch, capsys, *given)
    assert (status, error.strip()) == (2, "error: 2 models and 1 weights files: give each model one file")


def test_dinos_head_from_a_file(weights, shared_folders, tmp_path, monkeypatch, capsys):
    """A small stand-in for DINO's file: the same names, and no classifier."""
    from robustness import models

    monkeypatch.setattr(models, "DINO", MODEL)
    state = {name: tensor for name, tensor in model(5).model.state_dict().items() if "head" not in name}
    torch.save(state, tmp_path / "dino.pth")
    given = [MODEL, "--weights", weights, "--data", shared_folders, "--out", tmp_path / "out", "--sweep", "occlusion"]
    status, _, error = run(monkeypatch, capsys, *given, "--saliency", "dino", "--dino", tmp_path / "dino.pth")
    assert status == 0, error
    own = run(monkeypatch, capsys, *given)
    assert own[0] == 0
    sheets = {path.read_bytes() for path in (tmp_path / "out").glob("*/sheet.png")}
    assert len(sheets) == 2  # another foreground drops other patches
