"""Natural adversarial images: published metrics, class subsets, scores by hand, and the stand-ins."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from sweeps import ALONE, model

from robustness.classes import (
    check_imagenet_a,
    class_names,
    classes_of,
    imagenet_a_classes,
    imagenet_classes,
    positions,
)
from robustness.metrics import aupr, aurra, rms_calibration_error
from robustness.natural import Scores, measure, metrics_of
from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.data.loaders import Samples, eval_transform
from transmix.data.scenes import ScenesSpec
from transmix.data.scenes.stand_ins import hard_scene, unknown_scene, write_stand_in
from transmix.data.sources.folders import FolderImages

GOLDEN = json.loads((Path(__file__).parent / "golden" / "natural_adversarial_metrics.json").read_text())["cases"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(len(case["confidence"])))
def test_metrics_are_the_published_scripts(case):
    confidence, correct = case["confidence"], case["correct"]
    assert rms_calibration_error(confidence, correct) == pytest.approx(case["rms_calibration_error"], abs=1e-9)
    assert aurra(confidence, correct) == pytest.approx(case["aurra"], abs=1e-9)
    inside, outside = (-np.array(case[name]) for name in ("in_max_softmax", "ood_max_softmax"))
    assert aupr(inside, outside) == pytest.approx(case["aupr_ood_positive"], abs=1e-9)


def test_aupr_is_average_precision_with_ties_too():
    rng = np.random.default_rng(0)
    for _ in range(20):
        inside, outside = rng.integers(0, 8, 50) / 8, rng.integers(2, 10, 30) / 8
        expected = average_precision_score([0] * 50 + [1] * 30, np.concatenate([inside, outside]))
        assert aupr(inside, outside) == pytest.approx(expected, abs=1e-12)


def test_calibration_error_by_hand():
    confidence, correct = np.linspace(0.1, 0.9, 250), np.arange(250) % 3 == 0
    bins = [slice(0, 100), slice(100, 250)]  # the last one takes the remainder
    squares = [(len(confidence[b]), (confidence[b].mean() - correct[b].mean()) ** 2) for b in bins]
    every = np.sqrt(sum(count * square for count, square in squares) / 250)
    assert rms_calibration_error(confidence, correct, all_bins=True) == pytest.approx(every)
    assert rms_calibration_error(confidence, correct) == pytest.approx(np.sqrt(100 * squares[0][1] / 250))


def test_aurra_by_hand():
    # by falling confidence: right, wrong, right
    assert aurra([0.2, 0.9, 0.5], [1, 1, 0]) == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)


def test_too_few_images_have_no_error_as_published():
    scores = Scores(np.linspace(0.1, 0.9, 199), np.ones(199, bool))
    assert metrics_of(scores, scores, scores)["rms_calibration_error_published"] is None
    more = Scores(np.linspace(0.1, 0.9, 200), np.ones(200, bool))
    assert metrics_of(more, scores, scores)["rms_calibration_error_published"] > 0


def folders(root: Path, names: tuple[str, ...], images: int = 1) -> Path:
    rng = np.random.default_rng(len(names))
    for name in names:
        (root / name).mkdir(parents=True)
        for index in range(images):
            Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(root / name / f"{index}.png")
    return root


def test_imagenet_a_is_timms_list():
    names = imagenet_a_classes()
    assert len(set(names)) == 200
    assert list(names) == sorted(names)
    assert names[0] == "n01498041"
    assert imagenet_classes().index("n01498041") == 6
    check_imagenet_a(names, Path("a"))
    with pytest.raises(UserError, match=r"a is not ImageNet-A: class folder n01498041 is missing \(1 in all\)"):
        check_imagenet_a(names[1:], Path("a"))
    with pytest.raises(UserError, match="class folder n01440764 is none of its 200 classes"):
        check_imagenet_a([*names, "n01440764"], Path("a"))


def test_classes_are_found_by_name(tmp_path):
    some = folders(tmp_path / "some", ("n01498041", "n01440764"))
    assert class_names(some) == ("n01440764", "n01498041")
    assert classes_of(2, some) == ("n01440764", "n01498041")
    assert classes_of(1000, some) == imagenet_classes()
    assert positions(class_names(some), imagenet_classes(), some) == [0, 6]
    with pytest.raises(UserError, match="has 2 class folders and the model 5 classes"):
        classes_of(5, some)
    with pytest.raises(UserError, match=r"class folder .*n01440764 is none of the model's 1 classes"):
        positions(class_names(some), ("cat",), some)
    others = folders(tmp_path / "others", ("cat", "dog"))
    with pytest.raises(UserError, match="has 2 class folders and the model 1000 classes"):
        classes_of(1000, others)
    (others / "fish").mkdir()
    with pytest.raises(UserError, match=r"class folder .*fish holds no images"):
        class_names(others)
    with pytest.raises(UserError, match="no such data folder"):
        class_names(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no class folders in"):
        class_names(others / "cat")


@torch.no_grad()
def test_scores_are_over_the_benchmarks_classes_alone(shared_folders, tmp_path):
    trained, known = model(), ("class0", "class1", "class2")
    hard = folders(tmp_path / "hard", ("class0", "class2"), images=6)
    strange = folders(tmp_path / "strange", ("class1", "class2"), images=5)
    val = FolderImages(shared_folders / "val")
    natural, outliers, familiar = measure(trained, known, hard, strange, val, ALONE, Runtime(0, progress=False))

    def by_hand(folder: Path, subset: list[int]) -> tuple[list[float], list[bool]]:
        samples, found = Samples(FolderImages(folder), eval_transform(trained.view)), []
        for index in range(len(samples)):
            pixels, _ = samples[0, 0, index]
            label = known.index(Path(samples.names()[index]).parts[0])
            if label in subset:
                logits = trained.model(trained.normalise(torch.as_tensor(pixels)[None]))[0, subset]
                found.append((logits.softmax(0).max().item(), subset[logits.argmax()] == label))
        return tuple(zip(*found, strict=True))

    for scores, folder, subset in (
        (natural, hard, [0, 2]),
        (outliers, strange, [1, 2]),
        (familiar, shared_folders / "val", [1, 2]),
    ):
        confidence, correct = by_hand(folder, subset)
        assert scores.confidence.tolist() == pytest.approx(confidence, abs=1e-5)
        assert scores.correct.tolist() == list(correct)
    metrics = metrics_of(natural, outliers, familiar)
    assert metrics["natural_images"] == 12
    assert (metrics["outlier_images"], metrics["familiar_images"]) == (10, 10)
    assert metrics["natural_top1"] == pytest.approx(100 * natural.correct.mean())
    strange_class = folders(tmp_path / "more", ("class9",))
    with pytest.raises(UserError, match="class9 is none of the model's 3 classes"):
        measure(trained, known, strange_class, strange, val, ALONE, Runtime(0))
    with pytest.raises(UserError, match=r"class class1 of .*strange has no validation images to be compared with"):
        measure(trained, known, hard, strange, FolderImages(hard), ALONE, Runtime(0), ("class0", "class2"))


SPEC = ScenesSpec(classes=10, val=60, size=64)


def test_stand_ins_are_deterministic_and_show_what_they_are_named_for():
    for index in range(0, 40, 7):
        label, scene = hard_scene(SPEC, index)
        again = hard_scene(SPEC, index)[1]
        assert label == scene.labels[0] == index % 10
        assert np.array_equal(scene.image, again.image)
        filed, strange = unknown_scene(SPEC, index)
        assert strange.labels[0] >= 10
        assert filed == index % 10
    shares = [hard_scene(SPEC, index)[1].masks.mean() for index in range(40)]
    assert sum(share < 0.12 or share > 0.45 for share in shares) > 30


def test_stand_ins_are_written_once_and_whole(tmp_path):
    folder = write_stand_in(SPEC, tmp_path, "scenes-A")
    files = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.JPEG")}
    assert len(files) == 30
    assert len(class_names(folder)) == 10
    before = (folder / "manifest.json").read_text()
    write_stand_in(SPEC, tmp_path, "scenes-A")
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/*.JPEG")} == files
    (tmp_path / ".scenes-O.partial").mkdir()
    (tmp_path / ".scenes-O.partial" / "torn").write_text("by an interrupted writer")
    other = write_stand_in(SPEC, tmp_path, "scenes-O")
    assert not (other / "torn").exists()
    assert class_names(other) == class_names(folder)
    next(folder.glob("*/*.JPEG")).unlink()
    with pytest.raises(UserError, match="scenes-A is not whole or of another version: delete it"):
        write_stand_in(SPEC, tmp_path, "scenes-A")
    shutil.rmtree(folder)
    assert (write_stand_in(SPEC, tmp_path, "scenes-A") / "manifest.json").read_text() == before
    with pytest.raises(UserError, match="classes that were never trained"):
        write_stand_in(replace(SPEC, classes=1000, train=1000, val=1000), tmp_path, "scenes-O")
