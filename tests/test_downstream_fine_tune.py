"""Fine-tuning on a few scenes: killed and continued it ends with the same weights, whoever loads the data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from downstream.draws import CountingInfiniteSampler, CountingSampler, SeedIteration
from downstream.fine_tune import METRICS, WEIGHTS, FineTuned, fine_tune
from downstream.openmmlab import load_config, quiet
from downstream.pictures import GAP, LINE, SIDE, predictions
from downstream.resume import STATE
from downstream.small import small_config, spread
from experiments.dense import DenseSpec
from experiments.protocols import FineTuning
from transmix.checkpoints import read_weights, save_weights
from transmix.distributed import Processes
from transmix.errors import UserError
from transmix.models import create_model
from transmix.scenes import ScenesSpec, read_manifest
from transmix.scenes.write import write_scenes
from transmix.train import Runtime

ALONE = Processes(0, 1, torch.device("cpu"))
MODEL = "deit_micro_tiny_patch8_64"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    spec = ScenesSpec(classes=4, size=32, train=4, val=4, dense_size=64, dense_train=8, dense_val=3)
    root = tmp_path_factory.mktemp("data") / spec.key
    write_scenes(spec, root)
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_weights(create_model(MODEL, num_classes=4), path, {"model": MODEL, "num_classes": 4})
    return path


def segmentation(scenes: Path, iterations: int = 6):
    """The cheapest head, with everything random switched on."""
    protocol = FineTuning("ade20k/segmenter_linear_deit", 3, 1e-3, (128, 128), iterations=iterations)
    config = small_config(load_config(protocol.config), names(scenes), MODEL, protocol)
    config.model.backbone.drop_path_rate = 0.3
    return config


def detection(scenes: Path, classes: tuple[str, ...] | None = None):
    """Mask R-CNN in a loop that counts epochs, as at paper scale: two of four iterations."""
    protocol = FineTuning("coco/mask_rcnn_1x_deit", 2, 1e-3, (128, 128), iterations=12)
    config = small_config(load_config(protocol.config), classes or names(scenes), MODEL, protocol)
    config.model.backbone.drop_path_rate = 0.3
    config.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 2, "val_interval": 2}
    config.train_dataloader.sampler = {"type": "DefaultSampler", "shuffle": True}
    return config


def names(scenes: Path) -> tuple[str, ...]:
    return read_manifest(scenes).dense_class_names


def tuned(config, scenes: Path, weights: Path | None, out: Path, multi_scale: bool = False, **runtime) -> FineTuned:
    view = "coco" if config.default_scope == "mmdet" else "ade20k"
    return fine_tune(config, weights, scenes / view, out, 7, ALONE, Runtime(workers=0, **runtime), multi_scale)


def run(*arguments, **options):
    """Metrics and weights of a fine-tuning."""
    return tuned(*arguments, **options).metrics, read_weights(arguments[3] / WEIGHTS)[0]


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


def test_segmentation_killed_and_continued_is_the_same_run(scenes, weights, tmp_path, monkeypatch, capfd):
    whole = run(segmentation(scenes), scenes, weights, tmp_path / "whole")
    assert set(whole[0]) == {"mIoU", "aAcc", "mAcc"}
    assert all(0 <= value <= 100 for value in whole[0].values())
    out, error = capfd.readouterr()
    assert out == error == ""  # quiet, but for a terminal's progress bar
    (log,) = (tmp_path / "whole" / "mmengine").glob("*/*.log")
    assert "tensors loaded; dropped head.bias, head.weight\n" in log.read_text()
    killed_at(4, monkeypatch, segmentation(scenes), scenes, weights, tmp_path / "killed", checkpoint_seconds=0)
    again = run(segmentation(scenes), scenes, weights, tmp_path / "killed")
    assert again[0] == whole[0]
    assert same(again[1], whole[1])


def test_detection_killed_in_an_epoch_is_the_same_run(scenes, weights, tmp_path, monkeypatch):
    whole = run(detection(scenes), scenes, weights, tmp_path / "whole")
    assert whole[0].keys() == METRICS["mmdet"].keys()
    assert whole[0]["box_APl"] is None  # no object is that large
    killed_at(6, monkeypatch, detection(scenes), scenes, weights, tmp_path / "killed", checkpoint_seconds=0)
    again = run(detection(scenes), scenes, weights, tmp_path / "killed")
    assert again[0] == whole[0]
    assert same(again[1], whole[1])


def test_a_fine_tuning_says_what_it_loaded_and_shows_what_it_predicts(scenes, weights, tmp_path):
    done = tuned(segmentation(scenes, iterations=2), scenes, weights, tmp_path / "out", multi_scale=True)
    assert done.weights.dropped == ("head.bias", "head.weight")
    assert "pos_embed" not in done.weights.resized  # the backbone resizes it at every step instead
    assert set(done.metrics) == {"mIoU", "mAcc", "aAcc", "mIoU_ms"}
    assert done.metrics["mIoU_ms"] != done.metrics["mIoU"]
    picture = predictions(done.model, done.images)
    assert picture.size == (3 * (SIDE + GAP) + GAP, LINE + 3 * (SIDE + GAP))  # all three validation images
    assert tuned(segmentation(scenes, iterations=2), scenes, None, tmp_path / "random").weights is None


def test_a_set_of_ones_own_in_cocos_format(scenes, weights, tmp_path):
    """Other classes with other ids, of which the file says how many there are."""
    root = tmp_path / "own"
    shutil.copytree(scenes / "coco", root / "coco")
    for path in (root / "coco" / "annotations").iterdir():
        listed = json.loads(path.read_text())
        listed["categories"] = [{"id": 70, "name": "robin"}, {"id": 3, "name": "wren"}]
        for number, annotation in enumerate(listed["annotations"]):
            annotation["category_id"] = (70, 3)[number % 2]
        path.write_text(json.dumps(listed))
    source = DenseSpec("coco", root / "coco").read()
    assert (source.num_classes, source.class_names) == (2, ("robin", "wren"))
    done = tuned(detection(scenes, source.class_names), root, weights, tmp_path / "out")
    assert done.model.roi_head.bbox_head.num_classes == 2
    assert done.metrics["box_AP"] >= 0
    with quiet():
        labels = [done.images[index]["data_samples"].gt_instances.labels for index in range(len(done.images))]
    assert set(torch.cat(labels).tolist()) == {0, 1}
    assert predictions(done.model, done.images).height > LINE


def test_maps_come_from_the_ends_of_equal_parts():
    assert spread(12, 4) == [2, 5, 8, 11]
    assert spread(36, 4) == [8, 17, 26, 35]
    assert spread(3, 4) == [0, 1, 2, 2]
    assert spread(4, 1) == [3]


def test_weights_and_seed_matter_and_a_finished_run_only_evaluates(scenes, weights, tmp_path):
    config = segmentation(scenes, iterations=12)
    config.train_cfg.max_iters = 2
    trained = run(config, scenes, weights, tmp_path / "trained")
    random = run(config, scenes, None, tmp_path / "random")
    assert not same(trained[1], random[1])
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
