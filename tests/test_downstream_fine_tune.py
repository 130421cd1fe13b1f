"""Fine-tuning on a few scenes: killed and continued it ends with the same weights, whoever loads the data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.optim.optimizer import amp_optimizer_wrapper
from PIL import Image
from tunings import classifier_weights, detection, segmentation, small_scenes, view

from downstream import fine_tune as fine_tune_module
from downstream.draws import CountingInfiniteSampler, CountingSampler, SeedIteration
from downstream.fine_tune import METRICS, WEIGHTS, FineTuned, fine_tune
from downstream.openmmlab import quiet
from downstream.pictures import GAP, LINE, SIDE, predictions
from downstream.precision import put_precision
from downstream.reading import check_whole
from downstream.resume import STATE
from downstream.small import spread
from experiments.dense import DenseSpec
from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.training.checkpoints import load_state, read_checkpoint
from transmix.training.distributed import Processes

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return small_scenes(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return classifier_weights(tmp_path_factory.mktemp("weights"))


def tuned(config, scenes: Path, weights: Path | None, out: Path, multi_scale: bool = False, **runtime) -> FineTuned:
    runtime = Runtime(**({"workers": 0} | runtime))
    return fine_tune(config, weights, view(scenes, config), out, 7, ALONE, runtime, multi_scale)


def run(*arguments, **options):
    """Metrics and weights of a fine-tuning."""
    return tuned(*arguments, **options).metrics, read_checkpoint(arguments[3] / WEIGHTS).tensors


class Killed(BaseException):
    """What a signal would do."""


def killed_at(iteration: int, monkeypatch, *arguments, **runtime) -> None:
    """Run, but end it before that iteration."""
    seed = SeedIteration.before_train_iter

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == iteration:
            raise Killed
        seed(self, runner, batch_idx, data_batch)

    with monkeypatch.context() as patch:
        patch.setattr(SeedIteration, "before_train_iter", before_train_iter)
        with pytest.raises(Killed):
            run(*arguments, **runtime)


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.fixture(scope="module")
def whole(scenes, weights, tmp_path_factory) -> tuple[dict, dict[str, torch.Tensor]]:
    """Metrics and weights of a segmentation that nothing interrupts."""
    return run(segmentation(scenes), scenes, weights, tmp_path_factory.mktemp("whole"))


def test_segmentation_killed_and_continued_is_the_same_run(whole, scenes, weights, tmp_path, monkeypatch, capfd):
    assert set(whole[0]) == {"mIoU", "aAcc", "mAcc"}
    assert all(0 <= value <= 100 for value in whole[0].values())
    capfd.readouterr()
    killed_at(4, monkeypatch, segmentation(scenes), scenes, weights, tmp_path / "killed", checkpoint_seconds=0)
    (log,) = (tmp_path / "killed" / "mmengine").glob("*/*.log")
    assert "; dropped head.bias, head.weight\n" in log.read_text()
    again = run(segmentation(scenes), scenes, weights, tmp_path / "killed")
    out, error = capfd.readouterr()
    assert (out, error) == ("", "killed: continues after iteration 4 of 6\n")  # and a terminal's progress bar
    assert again[0] == whole[0]
    assert same(again[1], whole[1])


def test_detection_killed_in_an_epoch_is_the_same_run(scenes, weights, tmp_path, monkeypatch):
    whole = run(detection(scenes), scenes, weights, tmp_path / "whole")
    assert whole[0].keys() == METRICS["mmdet"].keys()
    assert whole[0]["box_APl"] is None  # no object is that large
    killed_at(6, monkeypatch, detection(scenes), scenes, weights, tmp_path / "killed", checkpoint_seconds=0)
    state = load_state(tmp_path / "killed" / STATE)
    assert (state["epoch"], state["iteration"]) == (1, 6)  # of two epochs of four
    again = run(detection(scenes), scenes, weights, tmp_path / "killed")
    assert again[0] == whole[0]
    assert same(again[1], whole[1])


def test_half_precision_computes_in_it_and_continues_exactly(scenes, weights, tmp_path, monkeypatch):
    """mmengine's AMP, which it refuses on a CPU, with the one check patched that says so."""
    monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
    monkeypatch.setattr(fine_tune_module, "check_precision", lambda *_: None)

    def config(precision: str):
        made = segmentation(scenes, iterations=2)
        put_precision(made, precision)
        return made

    full = run(config("fp32"), scenes, weights, tmp_path / "full")[1]
    half = run(config("bf16"), scenes, weights, tmp_path / "half")[1]
    assert not same(full, half)
    assert {tensor.dtype for tensor in half.values()} == {tensor.dtype for tensor in full.values()}
    for key, tensor in full.items():
        torch.testing.assert_close(half[key], tensor, rtol=0, atol=5e-3)  # two steps of 1e-3
    killed_at(1, monkeypatch, config("bf16"), scenes, weights, tmp_path / "killed", checkpoint_seconds=0)
    assert same(run(config("bf16"), scenes, weights, tmp_path / "killed")[1], half)


def test_a_fine_tuning_says_what_it_loaded_and_shows_what_it_predicts(scenes, weights, tmp_path):
    done = tuned(segmentation(scenes, iterations=2), scenes, weights, tmp_path / "out", multi_scale=True)
    assert done.weights.dropped == ("head.bias", "head.weight")
    assert "pos_embed" not in done.weights.resized  # the backbone resizes it at every step instead
    assert set(done.metrics) == {"mIoU", "mAcc", "aAcc", "mIoU_ms"}
    assert done.metrics["mIoU_ms"] != done.metrics["mIoU"]
    picture = predictions(done.model, done.images)
    assert picture.size == (3 * (SIDE + GAP) + GAP, LINE + 3 * (SIDE + GAP))  # all three validation images


def test_a_set_of_ones_own_in_cocos_format(scenes, weights, tmp_path):
    """Other classes with other ids, large image ids, images without objects, and a crowd, which is never counted."""
    root = tmp_path / "own"
    shutil.copytree(scenes / "coco", root / "coco")
    for path in (root / "coco" / "annotations").iterdir():
        listed = json.loads(path.read_text())
        listed["categories"] = [{"id": 70, "name": "robin"}, {"id": 3, "name": "wren"}]
        bare, *others = [image["id"] for image in listed["images"]]
        kept = [annotation for annotation in listed["annotations"] if annotation["image_id"] != bare]
        for number, annotation in enumerate(kept):
            annotation["category_id"] = (70, 3)[number % 2]
        kept.append(next(a for a in kept if a["image_id"] == others[0]) | {"id": 10**9, "iscrowd": 1})
        for entry in listed["images"]:
            entry["id"] += 2**40
        for annotation in kept:
            annotation["image_id"] += 2**40
        path.write_text(json.dumps(listed | {"annotations": kept}))
    source = DenseSpec("coco", root / "coco").read()
    assert (source.num_classes, source.class_names) == (2, ("robin", "wren"))
    done = tuned(detection(scenes, source.class_names), root, weights, tmp_path / "out")
    assert done.model.roi_head.bbox_head.num_classes == 2
    assert done.metrics["box_AP"] >= 0
    with quiet():
        samples = [done.images[index]["data_samples"] for index in range(len(done.images))]
    assert set(torch.cat([sample.gt_instances.labels for sample in samples]).tolist()) == {0, 1}
    assert [len(sample.ignored_instances) for sample in samples] == [0, 1, 0]
    assert len(samples[0].gt_instances) == 0
    assert predictions(done.model, done.images).height > LINE


def test_a_model_that_finds_nothing_has_an_ap_of_zero(scenes, tmp_path):
    config = detection(scenes)
    config.train_cfg.max_epochs = 1
    config.model.test_cfg.rcnn.score_thr = 1.0
    done = tuned(config, scenes, None, tmp_path / "out")
    assert {name for name, value in done.metrics.items() if value is not None} == {
        f"{kind}_AP{threshold}" for kind in ("box", "mask") for threshold in ("", "50", "75")
    }
    assert not any(done.metrics.values())
    assert predictions(done.model, done.images).height > LINE


def test_images_with_one_or_four_channels_are_read_as_three(scenes, weights, tmp_path):
    shutil.copytree(scenes / "ade20k", tmp_path / "ade20k")
    config = segmentation(scenes, iterations=2)
    grey, transparent, *_ = sorted((tmp_path / "ade20k" / "images" / "validation").iterdir())
    Image.open(grey).convert("L").save(grey)
    Image.open(transparent).convert("RGBA").save(transparent, "PNG")  # under its old name
    done = tuned(config, tmp_path, weights, tmp_path / "out")
    with quiet():
        shapes = [done.images[index]["inputs"].shape for index in range(2)]
    assert shapes == [(3, 128, 128)] * 2


def test_a_broken_image_is_named_and_costs_no_training(whole, scenes, weights, tmp_path, monkeypatch):
    """Before the first step; and where it breaks later, what was saved stays and no training is repeated."""
    shutil.copytree(scenes / "ade20k", tmp_path / "ade20k")
    arguments = (segmentation(scenes), tmp_path, weights, tmp_path / "out")
    for folder, iterations, workers in (("images/training", 1, 0), ("annotations/validation", 6, 1)):
        broken = sorted((tmp_path / "ade20k" / folder).iterdir())[0]  # of training images it comes in the second batch
        content = broken.read_bytes()
        broken.write_bytes(content[: len(content) // 2])
        state = (tmp_path / "out" / STATE).read_bytes() if iterations > 1 else None
        with pytest.raises(UserError, match=rf"{broken} is damaged or cut off \(.*\): (replace it|save the class)"):
            run(*arguments, workers=workers, checkpoint_seconds=0)
        assert ((tmp_path / "out" / STATE).read_bytes() if (tmp_path / "out" / STATE).exists() else None) == state
        with monkeypatch.context() as patch:
            patch.setattr(fine_tune_module, "check_data", lambda *_: ())
            with pytest.raises(UserError) as error:
                run(*arguments, workers=workers, checkpoint_seconds=0)
        assert str(error.value).startswith(f"{broken} ")
        assert str(error.value).endswith(", then run the same command again")
        assert load_state(tmp_path / "out" / STATE)["iteration"] == iterations
        broken.write_bytes(content)
    assert same(run(*arguments)[1], whole[1])


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_and_foreign_files_are_told_from_whole_ones(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    Image.effect_noise((64, 64), 50).save(path)
    check_whole(path)
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(5000))  # as some cameras leave them
    check_whole(path)
    for broken in (whole[: len(whole) // 2], whole[:200], b"no image", b""):
        path.write_bytes(broken)
        with pytest.raises(OSError, match=r"cut off|holds no image|Truncated"):
            check_whole(path)


def test_maps_come_from_the_ends_of_equal_parts():
    assert spread(12, 4) == [2, 5, 8, 11]
    assert spread(36, 4) == [8, 17, 26, 35]
    assert spread(3, 4) == [0, 1, 2, 2]
    assert spread(4, 1) == [3]


def test_weights_and_seed_matter_and_a_finished_run_only_evaluates(scenes, weights, tmp_path):
    config = segmentation(scenes, iterations=12)
    config.train_cfg.max_iters = 2
    trained = run(config, scenes, weights, tmp_path / "trained")
    assert tuned(config, scenes, None, tmp_path / "random").weights is None
    assert not same(trained[1], read_checkpoint(tmp_path / "random" / WEIGHTS).tensors)
    before = (tmp_path / "trained" / STATE).stat().st_mtime_ns
    assert same(run(config, scenes, weights, tmp_path / "trained")[1], trained[1])
    assert (tmp_path / "trained" / STATE).stat().st_mtime_ns == before
    with pytest.raises(UserError, match="another configuration, data set, seed"):
        run(config, scenes, None, tmp_path / "trained")
    (tmp_path / "trained" / STATE).write_bytes(b"broken")
    with pytest.raises(UserError, match="not readable"):
        run(config, scenes, weights, tmp_path / "trained")


def test_bad_input_is_one_line(scenes, weights, tmp_path):
    config = segmentation(scenes)
    with pytest.raises(UserError, match="no such data folder"):
        fine_tune(config, weights, tmp_path / "nowhere", tmp_path / "out", 0, ALONE)
    with pytest.raises(UserError, match="3 images a step cannot be divided among 2 processes"):
        fine_tune(config, weights, scenes / "ade20k", tmp_path / "out", 0, Processes(0, 2, torch.device("cpu")))


@pytest.mark.parametrize("sampler", [CountingInfiniteSampler, CountingSampler])
def test_positions_count_over_epochs_and_after_a_skip(sampler):
    data = list(range(5))
    made = sampler(data, seed=3)
    infinite = sampler is CountingInfiniteSampler
    if infinite:
        stream = iter(made)
        drawn = [next(stream) for _ in range(10)]
        made.skip(7)
        after = next(iter(made))
    else:
        drawn = list(made)
        made.set_epoch(1)
        drawn += list(made)
        after = drawn[7]
    assert [draw.position for draw in drawn] == list(range(10))
    assert sorted(drawn[:5]) == sorted(drawn[5:]) == data
    assert (after, after.position) == (drawn[7], 7)
    assert json.dumps(drawn[0]) == str(int(drawn[0]))  # an int to everyone else
