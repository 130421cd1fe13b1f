"""Loaders: the same images in the same order whatever the workers, each exactly once, and what is broken is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import write_class_folders
from PIL import Image
from recipes import small_recipe
from timm.data import create_dataset

from transmix.common.errors import UserError
from transmix.data.loaders import EpochOrder, Normalizer, Shard, TrainLoader, eval_loader
from transmix.data.sources import SourceSpec
from transmix.data.sources.folders import FolderImages, read_folders
from transmix.data.sources.listing import class_images


def batches(folder: Path, epoch: int = 0, first: int = 0, **kwargs) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(TrainLoader(small_recipe(), FolderImages(folder), seed=3, **kwargs).epoch(epoch, first))


def test_workers_do_not_change_a_pixel(shared_folders):
    alone, helped = batches(shared_folders / "train"), batches(shared_folders / "train", workers=2)
    assert len(alone) == 3
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_an_epoch_can_be_entered_anywhere(shared_folders):
    whole, rest = batches(shared_folders / "train", 2), batches(shared_folders / "train", 2, first=1)
    assert len(rest) == 2
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole[1:], rest, strict=True))
    assert batches(shared_folders / "train", 2, first=3) == []


def test_epochs_differ_in_order_and_in_augmentation(shared_folders):
    first, second = batches(shared_folders / "train", 0), batches(shared_folders / "train", 1)
    assert not torch.equal(first[0][1], second[0][1])
    assert not torch.equal(
        torch.cat([batch.images for batch in first]).sum(), torch.cat([batch.images for batch in second]).sum()
    )


def pairs(loader) -> list[tuple[int, int]]:
    """What identifies an image, and its label, for every image of a loader."""
    return [
        pair
        for batch in loader
        for pair in zip(batch.images.sum((1, 2, 3)).tolist(), batch.labels.tolist(), strict=True)
    ]


@pytest.mark.parametrize("world", [1, 2, 4])
def test_every_validation_image_is_in_exactly_one_process(tmp_path, world):
    root = write_class_folders(tmp_path, classes=3, train=1, val=7)
    recipe = small_recipe(eval_batch_size=4)
    seen = [
        pair
        for rank in range(world)
        for pair in pairs(eval_loader(recipe.view, FolderImages(root / "val"), shard=Shard(rank, world)))
    ]
    alone = pairs(eval_loader(recipe.view, FolderImages(root / "val")))
    assert len(seen) == 21
    assert sorted(seen) == sorted(alone)


def test_processes_share_an_epoch_without_overlap(shared_folders):
    shards = [batches(shared_folders / "train", shard=Shard(rank, 2)) for rank in range(2)]
    assert [len(batch.images) for batch in shards[0]] == [8, 8, 8]
    union = torch.cat([batch.labels for shard in shards for batch in shard])
    assert torch.bincount(union).tolist() == [16, 16, 16]


def keys_of_micro_batches(world: int, first_step: int = 0, **settings) -> list[list[tuple[int, int, int]]]:
    """(epoch, repeat, index) of each micro-batch of an epoch of 24 images, by step and place."""
    recipe = small_recipe(batch_size=12, **settings).for_processes(world)
    size, mine, found = recipe.micro_batch, 12 // recipe.micro_batch // world, {}
    for rank in range(world):
        order = EpochOrder(24, recipe, Shard(rank, world), seed=0)
        order.first_step = first_step
        keys = list(order)
        assert len(order) == len(keys)
        for number in range(len(keys) // size):
            step, place = divmod(number, mine)
            found[step, rank * mine + place] = keys[number * size : (number + 1) * size]
    return [keys for _, keys in sorted(found.items())]


@pytest.mark.parametrize("world", [2, 4])
def test_a_micro_batch_holds_the_same_images_on_any_number_of_processes(world):
    assert keys_of_micro_batches(world, micro_batch=3) == keys_of_micro_batches(1, micro_batch=3)
    assert keys_of_micro_batches(world, first_step=1, micro_batch=3) == keys_of_micro_batches(1, micro_batch=3)[4:]
    images = [index for keys in keys_of_micro_batches(world, micro_batch=3) for _, _, index in keys]
    assert sorted(images) == list(range(24))


@pytest.mark.parametrize(("world", "micro_batch"), [(1, 4), (3, 4), (1, 12)])
def test_repeated_augmentation_deals_an_image_to_three_micro_batches(world, micro_batch):
    by_place = keys_of_micro_batches(world, micro_batch=micro_batch, repeated_augmentation=3)
    steps = [by_place[start : start + 12 // micro_batch] for start in range(0, len(by_place), 12 // micro_batch)]
    dealt = [key for step in steps for keys in zip(*step, strict=True) for key in keys]
    assert len(dealt) == 24  # as many samples as images, of a third of the images
    for start in range(0, 24, 3):
        epochs, repeats, images = zip(*dealt[start : start + 3], strict=True)
        assert (set(epochs), repeats, len(set(images))) == ({0}, (0, 1, 2), 1)
    assert len({image for _, _, image in dealt}) == 8


def test_a_repeated_image_is_augmented_anew(shared_folders):
    recipe = small_recipe(repeated_augmentation=2, batch_size=4)
    images, labels, _ = next(TrainLoader(recipe, FolderImages(shared_folders / "train"), seed=3).epoch(0))
    assert labels[0] == labels[1]
    assert not torch.equal(images[0], images[1])


def test_a_batch_must_divide_over_the_processes(shared_folders):
    with pytest.raises(UserError, match="batch_size=16 does not divide over 3 processes"):
        TrainLoader(small_recipe(), FolderImages(shared_folders / "train"), 0, shard=Shard(0, 3))
    with pytest.raises(UserError, match="2 micro-batches of 8 images do not divide over 4 processes"):
        TrainLoader(small_recipe(micro_batch=8), FolderImages(shared_folders / "train"), 0, shard=Shard(0, 4))
    with pytest.raises(UserError, match="micro_batch=5 does not divide batch_size=16"):
        small_recipe(micro_batch=5)


def test_too_few_images_for_a_batch(shared_folders):
    with pytest.raises(UserError, match="48 images, fewer than one batch of 64: set batch_size=48 or less"):
        TrainLoader(small_recipe(batch_size=64), FolderImages(shared_folders / "train"), 0)


def test_normalizer_takes_bytes_and_floats_alike():
    normalise = Normalizer((0.5, 0.4, 0.3), (0.2, 0.2, 0.1)).eval()
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    expected = (images.double() / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor(
        [0.2, 0.2, 0.1]
    ).view(3, 1, 1)
    torch.testing.assert_close(normalise(images), expected.float())
    torch.testing.assert_close(normalise(images.float() / 255), expected.float())


def test_class_order_is_timms(tmp_path):
    for split in ("train", "val"):
        for name in ("c2", "c10", "c1", "B", "a"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / split / name / "x.png")
    folders = read_folders(tmp_path)
    order = create_dataset("", root=str(tmp_path / "train"), search_split=False).reader.class_to_idx
    assert folders.classes == tuple(sorted(order, key=order.get))
    assert folders.classes == ("a", "B", "c1", "c2", "c10")


def test_counts_and_fingerprint_follow_the_files(class_folders):
    before = read_folders(class_folders)
    assert before.counts == {"train": 48, "val": 15}
    assert read_folders(class_folders).fingerprint == before.fingerprint
    (class_folders / "train" / "class0" / "000.png").unlink()
    after = read_folders(class_folders)
    assert after.counts["train"] == 47
    assert after.fingerprint != before.fingerprint


def test_validation_may_be_called_validation(class_folders):
    (class_folders / "val").rename(class_folders / "validation")
    assert read_folders(class_folders).open("val").folder == class_folders / "validation"


def spoil_truncate(folder: Path) -> Path:
    path = folder / "000.png"
    path.write_bytes(path.read_bytes()[:60])
    return path


def spoil_jpeg(folder: Path) -> Path:
    path = folder / "torn.JPEG"
    Image.effect_noise((64, 64), 80).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[:-600])
    return path


def spoil_text(folder: Path) -> Path:
    path = folder / "notes.png"
    path.write_text("these are not pixels")
    return path


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("spoil", [spoil_truncate, spoil_jpeg, spoil_text])
def test_an_image_that_cannot_be_read_is_named(class_folders, spoil, workers):
    broken = spoil(class_folders / "val" / "class1")
    with pytest.raises(UserError) as caught:
        list(eval_loader(small_recipe().view, FolderImages(class_folders / "val"), workers))
    assert str(broken) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_above_or_below_the_one_that_is_meant_is_told_from_it(class_folders):
    (link := class_folders.parent / "a link").symlink_to(link)  # in a circle: nobody named it
    below = class_folders / "train"
    for folder in (class_folders.parent, below):
        with pytest.raises(UserError, match=rf"^no train folder in {folder}: give {class_folders}, which has one$"):
            SourceSpec("", "", folder).check_splits()
    link.unlink()
    (class_folders.parent / "sheet.png").touch()  # as beside the suite's own images
    for folder in (class_folders.parent, class_folders):
        with pytest.raises(UserError) as caught:
            class_images(folder)
        assert str(caught.value) == f"{folder} holds no class folders: give a split, such as {class_folders / 'val'}"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: [p.unlink() for p in (root / "train" / "class1").iterdir()], "train/class1 holds no images"),
        (lambda root: (root / "val" / "new").mkdir(), "val/new holds no images"),
        (lambda root: (root / "val" / "class2").rename(root / "gone"), "'class2' exists in train only"),
        (lambda root: (root / "val").rename(root / "other"), "no val folder"),
        (lambda root: (root / "train" / "class0" / "deep").mkdir(), "lies inside a class folder"),
        (lambda root: (root / "val" / "stray.jpg").write_bytes(b""), "val/stray.jpg lies beside the class folders"),
    ],
)
def test_a_wrong_layout_is_named(class_folders, damage, message):
    damage(class_folders)
    with pytest.raises(UserError, match=message):
        read_folders(class_folders)
