"""The commands as a user types them: a whole small study, and every kind of bad input in one line with exit 2."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from machines import holder
from studies import study

from experiments import __main__ as experiments_command
from experiments import estimate
from experiments import run as run_module
from experiments.correctness import unpack
from experiments.costs import ModelCost
from experiments.records import read_record
from transmix.common.errors import exit_on_user_error

ROOT = Path(__file__).parent.parent


def make(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["make", *arguments], capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> dict[str, Path]:
    """``make report SCALE=smoke`` in a folder of its own."""
    home = tmp_path_factory.mktemp("study")
    folders = {"RESULTS": home / "results", "DATA": home / "data"}
    out = make("report", "SCALE=smoke", *(f"{name}={path}" for name, path in folders.items()))
    assert out.returncode == 0, out.stdout + out.stderr
    assert "Report: " in out.stdout
    return folders


def options(folders: dict[str, Path]) -> list[str]:
    return ["--scale", "smoke", "--results", str(folders["RESULTS"]), "--data", str(folders["DATA"])]


@pytest.fixture
def copy(done, tmp_path) -> dict[str, Path]:
    """The finished study, to be damaged."""
    for name, path in done.items():
        shutil.copytree(path, tmp_path / name)
    return {name: tmp_path / name for name in done}


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    """Exit status and standard error of ``python -m experiments``."""
    monkeypatch.setattr(sys, "argv", ["experiments", *arguments])
    try:
        exit_on_user_error(experiments_command.main)
        status = 0
    except SystemExit as stop:
        status = stop.code
    return status, capsys.readouterr().err.strip()


def test_the_whole_study_leaves_a_record_of_every_run_and_a_report(done):
    runs = study(*options(done)).plan()
    records = {run.name: read_record(run.folder) for run in runs}
    assert len(records) == len(runs) == 24
    for name, record in records.items():
        assert record.run.name == name
        dense = record.run.table in ("table3", "table4")
        assert record.data.images == ({"train": 4, "val": 2} if dense else {"train": 64, "val": 32})
        for file in record.files:
            assert (done["RESULTS"] / "smoke" / record.run.id / file).is_file()
    segmented = records["table3.deit_t.segmenter_linear.transmix.seed0"]
    assert segmented.metrics.keys() >= {"mIoU", "mAcc", "aAcc", "mIoU_ms"}
    assert segmented.run.part == "segmenter_linear"
    assert segmented.extra["weights_report"]["dropped"] == ["head.bias", "head.weight"]
    assert segmented.environment.packages.keys() >= {"mmengine", "mmcv", "mmseg"}
    detected = records["table4.deit_t.mask_rcnn_1x.random.seed0"]
    assert detected.metrics.keys() >= {f"{kind}_AP{area}" for kind in ("box", "mask") for area in ("", "50", "l")}
    assert detected.metrics["box_APl"] is detected.extra["weights_report"] is None
    assert detected.environment.operators in ("compiled", "torchvision")
    assert "predictions.png" in detected.files
    occlusion = records["occlusion.deit_t.transmix.seed0"].metrics
    trained = records["table1.deit_t.transmix.seed0"].metrics
    assert occlusion["clean"] == trained["top1"]  # nothing dropped: the same accuracy, of the same images
    right = unpack(records["table1.deit_t.transmix.seed0"].right, 32)
    with np.load(study(*options(done)).find("occlusion.deit_t.transmix.seed0").folder / "answers.npz") as answers:
        assert answers["keys"][0] == "clean/0/0"
        assert right[answers["indices"]].tolist() == answers["right"][0].astype(bool).tolist()
    assert occlusion["curves"]["random"]["patches"] == [32]
    natural = records["table5.deit_t.transmix.seed0"].metrics
    assert (natural["natural_images"], natural["outlier_images"], natural["familiar_images"]) == (16, 16, 32)
    patches, block = 64 * (8 * 8 * 3) * 64, 65 * 12 * 64**2 + 2 * 65**2 * 64  # four blocks, four classes
    assert trained["gmacs"] == (patches + 4 * block + 64 * 4) / 1e9
    page = (done["RESULTS"] / "smoke" / "report" / "index.html").read_text()
    assert f"{trained['top1']:.1f}" in page


def test_lambda_study_knows_the_truth(done):
    runs = study(*options(done)).plan()
    folder = next(run.folder for run in runs if run.kind == "lambda")
    metrics, examples = read_record(folder).metrics, np.load(folder / "examples.npz")
    assert metrics["mixes"] == 32
    assert 0 < metrics["error_area"] < 0.5
    box, area = examples["box"][0], examples["lam_area"][0]
    assert area == (box[1] - box[0]) * (box[3] - box[2]) / 64**2
    inside = np.zeros((64, 64), bool)
    inside[box[0] : box[1], box[2] : box[3]] = True
    expected = np.where(inside[..., None], examples["partner"][0], examples["own"][0])
    assert np.array_equal(examples["mixed"][0], expected)
    cells = inside[::8, ::8]
    attention = examples["attention"][0]
    assert examples["lam_attention"][0] == pytest.approx(attention[cells].sum() / attention.sum(), abs=1e-6)


def test_a_run_takes_the_disk_that_the_plan_expects(done, monkeypatch):
    trained = study(*options(done)).plan()[0]
    model, size = trained.settings["model"], trained.settings["image_size"]
    parameters = trained.record().metrics["parameters"]
    monkeypatch.setattr(estimate, "_costs", lambda: {(model, size): ModelCost(model, size, parameters, 0, 0)})
    bytes_written = sum(path.stat().st_size for path in trained.folder.iterdir() if path.is_file())
    assert bytes_written == pytest.approx(estimate.estimate(trained, estimate.Assumptions()).disk, rel=0.05)


def test_a_second_make_has_nothing_to_run(done):
    out = make("-n", "report", "SCALE=smoke", *(f"{name}={path}" for name, path in done.items()))
    assert out.returncode == 0
    assert "experiments run" not in out.stdout


def test_make_table_runs_just_that_table(tmp_path):
    out = make("-n", "table1", "SCALE=smoke", f"RESULTS={tmp_path}")
    assert out.stdout.count("experiments run") == 2
    assert "occlusion" not in out.stdout
    assert out.stdout.count("--table table1") == 1


def test_a_finished_run_is_left_alone(done, monkeypatch, capsys):
    before = {path: path.stat().st_mtime_ns for path in done["RESULTS"].rglob("*")}
    assert run(monkeypatch, capsys, "run", "table1.deit_t.baseline.seed0", *options(done)) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in done["RESULTS"].rglob("*")} == before


def test_a_run_that_another_process_finished_meanwhile_is_left_alone(copy, monkeypatch, capsys):
    """It had no record when this command looked, and has one when its folder is free."""
    planned = study(*options(copy)).find("table1.deit_t.baseline.seed0")
    record, aside = planned.folder / "record.json", copy["RESULTS"] / "aside"
    before = {path: path.stat().st_mtime_ns for path in planned.folder.iterdir()}
    record.rename(aside)
    prepare = run_module.prepare
    monkeypatch.setattr(run_module, "prepare", lambda *given: (prepare(*given), aside.rename(record))[0])
    assert run(monkeypatch, capsys, "run", planned.name, *options(copy)) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in planned.folder.iterdir()} == before


def test_a_second_start_beside_a_run_is_refused_in_one_line(done, tmp_path, monkeypatch, capsys):
    arguments = options(done | {"RESULTS": tmp_path})
    planned = study(*arguments).find("table1.deit_t.baseline.seed0")
    with holder(planned.folder) as owner:
        for more in ([], ["--restart"]):
            status, error = run(monkeypatch, capsys, "run", planned.name, *arguments, *more)
            assert status == 2
            assert error.startswith(f"error: {planned.folder} is in use by process {owner.pid} on ")
            assert len(error.splitlines()) == 1


def test_a_corrupted_record_is_named_and_one_command_redoes_just_that_run(copy, monkeypatch, capsys):
    planned = study(*options(copy))
    broken, other = (planned.find(f"{name}.deit_t.baseline.seed0") for name in ("occlusion", "table1"))
    original = json.loads((broken.folder / "record.json").read_text())
    (broken.folder / "record.json").write_text("{ torn")
    untouched = (other.folder / "record.json").read_bytes()
    status, error = run(monkeypatch, capsys, "run", broken.name, *options(copy))
    assert status == 2
    assert len(error.splitlines()) == 1
    assert str(broken.folder / "record.json") in error
    assert f"{broken.command} --restart" in error
    assert run(monkeypatch, capsys, *broken.command.split()[3:], "--restart")[0] == 0
    assert read_record(broken.folder).metrics == original["metrics"]
    assert (other.folder / "record.json").read_bytes() == untouched


def test_corrupted_weights_are_named_with_the_run_to_redo(copy, monkeypatch, capsys):
    planned = study(*options(copy))
    trained, occlusion = (planned.find(f"{name}.deit_t.baseline.seed0") for name in ("table1", "occlusion"))
    weights = trained.folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (occlusion.folder / "record.json").unlink()
    status, error = run(monkeypatch, capsys, "run", occlusion.name, *options(copy))
    assert (status, len(error.splitlines())) == (2, 2)  # the run's name, then the error
    assert f"{weights} is not readable" in error
    assert f"{trained.command} --restart" in error


def test_a_corrupted_checkpoint_is_named(copy, monkeypatch, capsys):
    trained = study(*options(copy)).plan()[0]
    (trained.folder / "record.json").unlink()
    (trained.folder / "state.pt").write_bytes(b"torn")
    status, error = run(monkeypatch, capsys, "run", trained.name, *options(copy))
    assert status == 2
    assert "state.pt is not readable: start this run afresh with --restart" in error.splitlines()[-1]


def test_a_data_folder_half_written_is_finished(done, tmp_path, monkeypatch, capsys):
    from transmix.data.scenes import write

    def die(*_):
        raise OSError("no space left on device")

    folders = {"RESULTS": tmp_path / "results", "DATA": tmp_path / "data"}
    with monkeypatch.context() as broken:
        broken.setattr(write, "_finish", die)
        status, error = run(monkeypatch, capsys, "data", *options(folders))
    assert status == 2
    assert "cannot write" in error
    assert "no space left on device" in error
    assert run(monkeypatch, capsys, "data", *options(folders))[0] == 0
    finished, whole = (study(*options(f)).plan()[0].data.folder for f in (folders, done))
    assert (finished / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()


def test_a_data_folder_that_lost_files_is_named(copy, monkeypatch, capsys):
    occlusion = study(*options(copy)).find("occlusion.deit_t.baseline.seed0")
    next(occlusion.data.folder.glob("imagenet/train/*/*")).unlink()
    (occlusion.folder / "record.json").unlink()
    status, error = run(monkeypatch, capsys, "run", occlusion.name, *options(copy))
    assert status == 2
    assert "has 63 files in imagenet/train, its manifest says 64" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--scale", "tinny"], "unknown scale 'tinny': did you mean 'tiny'?"),
        (["plan", "--rows", "deit_x"], "unknown row at scale tiny 'deit_x': did you mean 'deit_t'"),
        (["plan", "--methods", "cutmx"], "unknown method 'cutmx': did you mean 'cutmix'?"),
        (["plan", "--seeds", "0"], "--seeds 0: must be a whole number from 1 to 1,200"),
        (["plan", "--imagenet", "/nowhere"], "no such data folder: /nowhere"),
        (["plan", "--set", "epoch=3"], "unknown setting 'epoch': did you mean 'epochs'?"),
        (["run", "table1.xcit_t.transmx.seed0"], "did you mean 'table1.xcit_t.transmix.seed0'?"),
        (["run", "table1.deit_s.transmix.seed0", "--scale", "paper"], "give IMAGENET=/path/to/imagenet"),
        (["plan", "--imagenet-a", "/nowhere"], "no such data folder: /nowhere"),
        (["plan", "--dino", "nowhere.pth"], "no such weights file: nowhere.pth"),
        (["plan", "--protocol", "publish"], "unknown protocol 'publish': did you mean 'published'?"),
        (["run", "lambda.xcit_t.transmix.seed0", "--results", "nowhere"], "has no record yet: 'python -m experiments"),
    ],
)
def test_bad_arguments_are_one_line(monkeypatch, capsys, arguments, message):
    status, error = run(monkeypatch, capsys, *arguments)
    assert status == 2
    assert len(error.splitlines()) == 1
    assert message in error


def test_an_unknown_model_is_named(done, tmp_path, monkeypatch, capsys):
    folders = done | {"RESULTS": tmp_path}
    arguments = ["run", "table1.deit_t.baseline.seed0", *options(folders), "--set", "model=deit_tiny_patch16"]
    status, error = run(monkeypatch, capsys, *arguments)
    assert status == 2
    line = error.splitlines()[-1]
    assert line.startswith("error: unknown model 'deit_tiny_patch16': did you mean 'deit_tiny_patch16_224'")
    assert len(line) < 200


@pytest.mark.parametrize("spoil", ["empty class", "truncated", "text"])
def test_bad_images_are_one_line_and_the_run_continues_once_mended(class_folders, tmp_path, monkeypatch, capsys, spoil):
    victim = class_folders / "val" / "class1" / "000.png"
    whole = victim.read_bytes()
    if spoil == "empty class":
        for path in victim.parent.iterdir():
            path.unlink()
    else:
        victim.write_bytes(whole[:50] if spoil == "truncated" else b"not pixels")
    arguments = ["run", "table1.deit_t.transmix.seed0", "--scale", "smoke", "--imagenet", str(class_folders)]
    arguments += ["--results", str(tmp_path / "results"), "--data", str(tmp_path / "data"), "--set", "epochs=1"]
    status, error = run(monkeypatch, capsys, *arguments)
    assert status == 2
    assert str(victim.parent) in error.splitlines()[-1]
    if spoil != "empty class":
        victim.write_bytes(whole)
        assert run(monkeypatch, capsys, *arguments)[0] == 0


def test_make_passes_the_line_and_the_status_on():
    for target in ("plan", "table1"):
        out = make(target, "SCALE=tinny")
        assert out.returncode == 2
        assert out.stderr.splitlines()[0] == "error: unknown scale 'tinny': did you mean 'tiny'?"
        assert "Traceback" not in out.stderr
