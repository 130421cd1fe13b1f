"""A training set that stays on the device: its crops, its masks, and the oracle's labels."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from recipes import small_recipe
from timm.data.transforms import RandomResizedCropAndInterpolation

from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.data.loaders import EpochOrder, Shard, TrainLoader, eval_loader
from transmix.data.resident import Crops, KeptBatches, ResidentLoader, Spans, draw_box, in_products, pick, resample
from transmix.data.sources.folders import FolderImages, read_folders
from transmix.labels import Box, mixed_targets
from transmix.mixing import cutmix
from transmix.models import create_model
from transmix.task import TransMixTask
from transmix.training.distributed import Processes
from transmix.training.loop import Trainer

CPU = torch.device("cpu")
PLAIN = {"resident": True, "rand_augment": None, "crop_scale": (1.0, 1.0), "hflip": 0.0}


def write_masked(root, classes: int = 2, train: int = 8) -> None:
    """Black images with a bright square whose place is in the mask; one is not square."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", 2)):
        for label in range(classes):
            for index in range(count):
                pixels, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
                y, x = rng.integers(0, 40, 2)
                pixels[y : y + 24, x : x + 24] = 120 + 100 * label
                mask[y : y + 24, x : x + 24] = 255
                for folder, array in (("images", pixels), ("images_masks", mask)):
                    path = root / folder / split / f"c{label}" / f"{index}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(array).save(path)


@pytest.fixture
def masked(tmp_path):
    write_masked(tmp_path)
    return tmp_path / "images"


def batches(recipe, folder, shard=None, epoch: int = 0, first: int = 0):
    return list(ResidentLoader(recipe, FolderImages(folder), 3, CPU, 0, shard).epoch(epoch, first))


def test_without_augmentation_it_gives_what_the_files_hold_in_the_order_of_the_other_loader(shared_folders):
    recipe = small_recipe(**PLAIN)
    mine, train = batches(recipe, shared_folders / "train"), FolderImages(shared_folders / "train")
    theirs = list(TrainLoader(recipe, train, 3).epoch(0))
    files = torch.cat([batch.images for batch in eval_loader(replace(recipe.view, crop=1.0), train)])
    order = [index for _, _, index in EpochOrder(len(files), recipe.for_processes(1), Shard(), 3)]
    assert torch.equal(torch.cat([batch.images for batch in mine]), files[order])
    assert torch.equal(torch.cat([batch.labels for batch in mine]), torch.cat([batch.labels for batch in theirs]))
    assert [batch.objects for batch in mine] == [None] * 3


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("scale", [(0.7, 1.0), (0.08, 1.0)])
def test_augmented_images_are_those_of_the_streaming_loader(shared_folders, interpolation, scale):
    recipe = small_recipe(**PLAIN | {"crop_scale": scale, "hflip": 0.5}, interpolation=interpolation)
    train = FolderImages(shared_folders / "train")
    streamed = list(TrainLoader(recipe, train, 3).epoch(1))
    found = list(ResidentLoader(recipe, train, 3, CPU).epoch(1))
    assert [batch.labels.tolist() for batch in found] == [batch.labels.tolist() for batch in streamed]
    apart = torch.cat([(a.images.int() - b.images.int()).abs() for a, b in zip(found, streamed, strict=True)])
    assert apart.max() <= 1  # of 255: Pillow's weights are fixed-point numbers
    assert (apart > 0).float().mean() < 1e-3


def test_boxes_are_timms():
    image = Image.new("RGB", (48, 48))
    for scale in ((0.08, 1.0), (0.9, 1.0), (1.0, 1.0)):
        for seed in range(300):
            random.seed(seed)
            expected = RandomResizedCropAndInterpolation.get_params(image, scale, (3 / 4, 4 / 3))
            assert draw_box(random.Random(seed), 48, scale) == expected


def resampled(images: torch.Tensor, crops: Crops, size: int, filter_: str) -> torch.Tensor:
    """All crops of `resample`, which gives eight at a time here."""
    parts = list(resample(images, crops, size, filter_, 8))
    assert [len(part) for part in parts] == [8, 8, 4]
    return torch.cat(parts)


@pytest.mark.parametrize(
    ("resize", "filter_"), [(resampled, "bilinear"), (in_products, "bilinear"), (resampled, "bicubic")]
)
@pytest.mark.parametrize("size", [16, 48, 64, 100])
def test_it_resizes_as_pillow_does(resize, filter_, size):
    """Noise, the hardest of images, made smaller and larger, from boxes anywhere and of any shape, mirrored or not."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 64, 48, 3), dtype=np.uint8)
    chosen = rng.permutation(30)[:20]
    top, left = rng.integers(0, 32, 20), rng.integers(0, 24, 20)
    height, width = rng.integers(1, 65 - top), rng.integers(1, 49 - left)
    turned = rng.random(20) < 0.5
    for part in (top, left, height, width, turned):  # several crops of one size, of which some are mirrored
        part[10:15] = part[5:10]
    turned[10:13] = ~turned[10:13]
    sides = [Spans(*map(torch.from_numpy, side)) for side in ((top, height), (left, width))]
    crops = Crops(torch.from_numpy(chosen), *sides, torch.from_numpy(turned))
    found = resize(torch.from_numpy(pixels), crops, size, filter_)
    nearest = pick(torch.from_numpy(pixels[..., 0] > 127), crops, size)
    apart, elsewhere = [], []
    for index in range(20):
        box = (left[index], top[index], left[index] + width[index], top[index] + height[index])
        crop = Image.fromarray(pixels[chosen[index]]).crop(box)
        step = -1 if turned[index] else 1
        expected = np.asarray(crop.resize((size, size), Image.Resampling[filter_.upper()])).astype(int)[:, ::step]
        apart.append(np.abs(found[index].permute(1, 2, 0).numpy() - expected))
        expected = np.asarray(crop.resize((size, size), Image.Resampling.NEAREST))[:, ::step, 0] > 127
        elsewhere.append(nearest[index].numpy() != expected)  # where a middle lies between two pixels
    # a step of rounding for the columns, one for the rows; none where all weights are whole numbers of 1/128
    assert np.max(apart) <= (0 if filter_ == "bilinear" and size == 64 else 2)
    assert np.mean(np.array(apart) > 0) < 0.02
    assert np.mean(elsewhere) < 0.02


def test_validation_images_are_decoded_once(masked):
    recipe, val = small_recipe(**PLAIN), FolderImages(masked / "val")
    streamed = eval_loader(recipe.view, val)
    kept = KeptBatches(eval_loader(recipe.view, val), CPU)
    first = list(kept)
    for path in (masked / "val").rglob("*.png"):
        path.unlink()
    assert [batch.images.shape for batch in kept] == [(4, 3, 64, 64)]
    assert (len(kept), list(kept.indices), kept.samples.names()) == (1, [0, 1, 2, 3], streamed.samples.names())
    assert next(iter(kept)).images is first[0].images


def test_flips_and_crops(masked):
    whole = batches(small_recipe(**PLAIN), masked / "train")[0][0]
    flipped = batches(small_recipe(**PLAIN | {"hflip": 1.0}), masked / "train")[0][0]
    assert torch.equal(flipped, whole.flip(-1))
    crops = [
        (images > 60).float().mean((1, 2, 3))
        for images, _, _ in batches(small_recipe(**PLAIN | {"crop_scale": (0.5, 0.5)}), masked / "train")
    ]
    # a crop of half the area shows an object that is wholly inside at twice its size: 2 x 24^2 / 64^2
    assert torch.cat(crops).max() == pytest.approx(2 * 24**2 / 64**2, abs=0.03)


def test_crops_do_not_depend_on_processes_or_on_where_an_epoch_is_entered(masked):
    recipe = small_recipe(**PLAIN | {"crop_scale": (0.3, 1.0), "hflip": 0.5}, batch_size=8, micro_batch=4)
    alone = batches(recipe, masked / "train")
    shards = [batches(recipe, masked / "train", Shard(rank, 2)) for rank in range(2)]
    together = [batch for pair in zip(*shards, strict=True) for batch in pair]
    entered = batches(recipe, masked / "train", first=1)
    for expected, found in [*zip(alone, together, strict=True), *zip(alone[2:], entered, strict=True)]:
        assert torch.equal(expected[0], found[0])
        assert torch.equal(expected[1], found[1])
    assert not torch.equal(alone[0][0], batches(recipe, masked / "train", epoch=1)[0][0])


def test_masks_move_with_their_images(masked):
    recipe = small_recipe(**PLAIN | {"crop_scale": (0.3, 1.0), "hflip": 0.5}, label_rule="oracle")
    for images, _, objects in batches(recipe, masked / "train"):
        bright = images.amax(1) > 60
        assert objects.dtype == torch.bool
        assert (bright != objects).float().mean() < 0.03  # bilinear and nearest differ along the edge only
        assert objects.float().mean() > 0.05


def test_the_oracles_labels_are_the_true_shares_and_the_area_where_no_object_is_seen():
    task = TransMixTask(create_model("deit_micro_tiny_patch8_64", num_classes=3), 3, "oracle")
    images, labels = torch.randn(3, 3, 64, 64), torch.tensor([0, 1, 2])
    objects = torch.zeros(3, 64, 64, dtype=torch.bool)
    objects[0, :32] = True
    objects[2, 32:] = True
    mix = cutmix(images, Box(0, 32, 0, 64))
    result = task(images, labels, mix=mix, objects=objects)
    # image 0 shows nothing of either object; the middle one is its own partner and has no object
    assert result["lam"].tolist() == [0.5, 0.5, 0.5]
    mix = cutmix(images, Box(16, 64, 0, 64))
    result = task(images, labels, mix=mix, objects=objects)
    assert result["lam"].tolist() == pytest.approx([32 / (16 + 32), 0.75, 16 / 16])
    expected = mixed_targets(labels, labels.flip(0), result["lam"], 3)
    assert torch.equal(result["targets"], expected)


def test_it_trains_with_the_oracle_and_resumes(masked, tmp_path):
    def run(out, epochs):
        recipe = small_recipe(**PLAIN, label_rule="oracle", epochs=2, ema_decay=None, report_ema=False)
        alone = Processes(0, 1, CPU)
        trainer = Trainer(recipe, read_folders(masked), out, 0, alone, Runtime(0, 60, progress=False))
        for epoch in range(trainer.epoch, epochs):
            trainer._train_epoch(epoch)
            trainer.epoch, trainer.batch = epoch + 1, 0
            trainer.history.append({"epoch": epoch})
        trainer.save()
        return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])

    straight = run(tmp_path / "straight", 2)
    run(tmp_path / "broken", 1)
    assert torch.equal(run(tmp_path / "broken", 2), straight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rand_augment": "rand-m9-mstd0.5-inc1"}, "resident=True crops and flips only: set rand_augment=none"),
        ({"interpolation": "lanczos"}, "resident=True resizes by bilinear or bicubic: set interpolation"),
        ({"batch_size": 64}, "48 images, fewer than one batch"),
        ({"label_rule": "oracle"}, "label_rule=oracle needs object masks, and .*train has none beside it"),
    ],
)
def test_what_it_cannot_do_is_said(shared_folders, settings, message):
    with pytest.raises(UserError, match=message):
        batches(small_recipe(**PLAIN | settings), shared_folders / "train")


def test_the_oracle_needs_a_resident_set():
    with pytest.raises(UserError, match="label_rule=oracle needs the object masks that resident=True reads"):
        small_recipe(label_rule="oracle")


def test_a_missing_mask_is_named(masked):
    (masked.parent / "images_masks" / "train" / "c1" / "3.png").unlink()
    with pytest.raises(UserError, match=r"c1/3\.png .*: write the data again"):
        batches(small_recipe(**PLAIN, label_rule="oracle"), masked / "train")
