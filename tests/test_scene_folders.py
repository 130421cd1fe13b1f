"""The embedded data set's folder: the same bytes however it was written, layouts that the field's loaders read."""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from tests.few_scenes import SPEC
from transmix.common.errors import UserError
from transmix.data.scenes import GENERATOR, ScenesSpec, check_complete, read_manifest
from transmix.data.scenes.classes import scene_class
from transmix.data.scenes.compose import MIN_VISIBLE, single_object_scene
from transmix.data.scenes.write import WORK_FOLDER, write_scenes


def contents(folder: Path) -> dict[str, str]:
    """Relative path -> digest of every file in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def command(spec: ScenesSpec, out: Path) -> list[str]:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in dataclasses.asdict(spec).items()]
    return [sys.executable, "-m", "transmix.data.scenes", "--out", str(out), *flags]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes") / "one"
    write_scenes(SPEC, out, processes=1, progress=False)
    return out


@pytest.fixture(scope="module")
def copy(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second complete folder, for tests that damage it; made by two processes."""
    out = tmp_path_factory.mktemp("scenes") / "two"
    write_scenes(SPEC, out, processes=2, progress=False)
    return out


def test_the_number_of_processes_changes_no_byte(written: Path, copy: Path) -> None:
    assert contents(written) == contents(copy)
    assert read_manifest(written).sha256 == read_manifest(copy).sha256


def test_killed_writer_continues_to_the_same_bytes(written: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    process = subprocess.Popen([*command(SPEC, out), "--processes=1"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob(f"{WORK_FOLDER}/imagenet-train-*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with pytest.raises(UserError, match=r"a writer was interrupted.* it continues"):
        read_manifest(out)
    # what a kill in the middle of a file leaves: a part of it, and a marker that was not finished
    torn = out / "imagenet" / "train" / scene_class(287 % 12).name / "train_00000287.JPEG"
    torn.write_bytes(b"\xff\xd8")
    (out / WORK_FOLDER / "dense-val-00000000.json.1.partial").write_text("{")
    write_scenes(SPEC, out, processes=1, progress=False)
    assert contents(out) == contents(written)


def test_workers_of_a_killed_writer_end(tmp_path: Path) -> None:
    """Else they would write on beside the next run; every worker holds the pipe of stderr open."""
    spec = dataclasses.replace(SPEC, train=20_000)
    process = subprocess.Popen([*command(spec, tmp_path / "big"), "--processes=2"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "big").glob(f"{WORK_FOLDER}/imagenet-train-*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=20)
    markers = sorted((tmp_path / "big" / WORK_FOLDER).iterdir())
    time.sleep(0.5)
    assert sorted((tmp_path / "big" / WORK_FOLDER).iterdir()) == markers


def test_a_worker_that_dies_is_reported(tmp_path: Path) -> None:
    others = multiprocessing.active_children()  # joblib's, which wait for more work from other tests

    def kill_a_worker() -> None:
        while not list(tmp_path.glob(f"{WORK_FOLDER}/imagenet-train-*.json")):
            time.sleep(0.02)
        worker = next(child for child in multiprocessing.active_children() if child not in others)
        os.kill(worker.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_a_worker, daemon=True)
    killer.start()
    with pytest.raises(UserError, match=r"renders scenes died.*it continues"):
        write_scenes(dataclasses.replace(SPEC, train=20_000), tmp_path, processes=2, progress=False)
    killer.join()


def test_a_complete_folder_is_left_alone(written: Path) -> None:
    before = {path: os.stat(path).st_mtime_ns for path in written.rglob("*")}
    manifest = write_scenes(SPEC, written, processes=2, progress=False)
    assert {path: os.stat(path).st_mtime_ns for path in written.rglob("*")} == before
    assert manifest == check_complete(written, SPEC)
    assert manifest.spec == SPEC
    assert manifest.generator == GENERATOR
    assert not (written / WORK_FOLDER).exists()


# timm's reader leaves closing its files to the garbage collector
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_timm_reads_the_classification_view(written: Path) -> None:
    from timm.data import create_dataset

    for split, total in (("train", 288), ("val", 24)):
        dataset = create_dataset("", root=str(written / "imagenet" / split))
        masks = create_dataset("", root=str(written / "imagenet_masks" / split), input_img_mode="L")
        assert len(dataset) == len(masks) == total
        classes = dataset.reader.class_to_idx
        assert sorted(classes, key=classes.__getitem__) == list(read_manifest(written).class_names)
        labels = [label for _, label in dataset]
        assert np.bincount(labels).tolist() == [total // 12] * 12
        assert dataset[0][0].size == (32, 32)
        for index in (0, total // 2, total - 1):
            assert Path(dataset.filename(index)).stem == Path(masks.filename(index)).stem


def test_files_hold_the_rendered_scene(written: Path) -> None:
    scene = single_object_scene(SPEC, "train", 17)
    stem = f"train/{scene_class(5).name}/train_00000017"
    assert scene.labels == (5,)
    with Image.open(written / f"imagenet_masks/{stem}.png") as mask:
        assert mask.mode == "L"
        np.testing.assert_array_equal(np.asarray(mask), np.where(scene.masks[0], 255, 0))
    with Image.open(written / f"imagenet/{stem}.JPEG") as photo:
        error = np.asarray(photo, float) - scene.image
    assert np.abs(error).mean() < 4


# pycocotools 2.0.11 decodes run lengths through an __array__ method of numpy 1
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("split", "ade_split", "total"), [("train", "training", 60), ("val", "validation", 8)])
def test_coco_and_ade20k_agree_per_pixel(written: Path, split: str, ade_split: str, total: int) -> None:
    coco = COCO(written / "coco" / "annotations" / f"instances_{split}2017.json")
    assert sorted(coco.getImgIds()) == list(range(1, total + 1))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(read_manifest(written).class_names)
    assert coco.getAnnIds() == list(range(1, len(coco.anns) + 1))
    for number, entry in coco.imgs.items():
        stem = f"{ade_split}/ADE_{split}_{number:08d}"
        photo = (written / f"coco/{split}2017" / entry["file_name"]).read_bytes()
        assert photo == (written / f"ade20k/images/{stem}.jpg").read_bytes()
        with Image.open(written / f"ade20k/annotations/{stem}.png") as annotation:
            assert annotation.mode == "L"
            expected = np.asarray(annotation)
        assert (entry["height"], entry["width"]) == expected.shape == (48, 48)
        labels = np.zeros_like(expected)
        for instance in coco.imgToAnns[number]:
            mask = coco.annToMask(instance).astype(bool)
            assert not labels[mask].any()
            labels[mask] = instance["category_id"]
            rows, columns = np.nonzero(mask)
            width, height = columns.max() - columns.min() + 1, rows.max() - rows.min() + 1
            assert instance["bbox"] == [columns.min(), rows.min(), width, height]
            assert instance["area"] == mask.sum() >= MIN_VISIBLE
            assert instance["iscrowd"] == 0
        np.testing.assert_array_equal(labels, expected)


def test_coco_detections_load_back(written: Path) -> None:
    """Ground truth given back as results scores perfectly, so evaluation tools read the same masks."""
    coco = COCO(written / "coco" / "annotations" / "instances_val2017.json")
    results = [
        {key: a[key] for key in ("image_id", "category_id", "segmentation")} | {"score": 1.0}
        for a in coco.anns.values()
    ]
    found = coco.loadRes(results)
    assert [a["area"] for a in found.anns.values()] == [a["area"] for a in coco.anns.values()]
    boxes = [[list(a["bbox"]) for a in data.anns.values()] for data in (found, coco)]
    assert boxes[0] == boxes[1]


def test_folder_of_another_spec(written: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(SPEC, seed=4, size=64)
    with pytest.raises(UserError, match=r"holds other scenes \(seed is 3, not 4, size is 32, not 64\)"):
        write_scenes(other, written, progress=False)
    (tmp_path / WORK_FOLDER).mkdir()
    begun = {"generator": GENERATOR, "spec": dataclasses.asdict(SPEC)}
    (tmp_path / WORK_FOLDER / "spec.json").write_text(json.dumps(begun))
    with pytest.raises(UserError, match="seed is 3, not 4"):
        write_scenes(other, tmp_path, progress=False)


def test_folder_with_other_things(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="is not empty and holds no scenes"):
        write_scenes(SPEC, tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.tex"]
    with pytest.raises(UserError, match="cannot write"):
        write_scenes(SPEC, tmp_path / "thesis.tex" / "below", progress=False)


def test_missing_and_damaged_folders(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_manifest(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"is not complete \(no manifest.json\).*run 'python -m transmix.data.scenes"):
        read_manifest(tmp_path)
    for text, why in {'{"spec": {}}': "KeyError", "[" * 100_000: "RecursionError"}.items():
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(UserError, match=f"cannot read .*{why}"):
            read_manifest(tmp_path)
    (copy / "coco" / "val2017" / "000000000003.jpg").unlink()
    with pytest.raises(UserError, match="has 7 files in coco/val2017, its manifest says 8"):
        check_complete(copy, SPEC)


def test_command_line_reports_bad_input_in_one_line(tmp_path: Path) -> None:
    for arguments, message in (
        (["--classes=2000"], "error: classes=2000: must be from 1 to 1,000"),
        (["--processes=0"], "error: processes=0 must be at least 1"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "transmix.data.scenes", "--out", str(tmp_path / "x"), *arguments],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert done.stderr.startswith(message)
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_writers_of_one_folder_wait_for_each_other_and_all_end_well(tmp_path):
    command = [sys.executable, "-m", "transmix.data.scenes", "--out", str(tmp_path / "scenes"), "--processes", "1"]
    command += ["--classes", "2", "--train", "4", "--val", "2", "--dense-train", "2", "--dense-val", "2"]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(4)]
    said = [writer.communicate()[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0], said
    assert not (tmp_path / "scenes" / ".shards").exists()
