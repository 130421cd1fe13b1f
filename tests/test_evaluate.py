"""Accuracy, and which images it counts, against a loop over single images."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from recipes import small_recipe
from torch import nn

from experiments.correctness import pack, unpack
from transmix.common.errors import UserError
from transmix.data.loaders import Normalizer, Shard, eval_loader, eval_transform
from transmix.data.sources.folders import FolderImages
from transmix.training.distributed import Processes
from transmix.training.evaluate import evaluate

RECIPE = small_recipe(eval_batch_size=4)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Knows nothing, but has an opinion of each image."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 7))


def one_by_one(model: nn.Module, images: FolderImages, normalise: Normalizer) -> tuple[list[bool], list[bool]]:
    """For each image whether its label came first, and among the first five."""
    transform, first, five = eval_transform(RECIPE.view), [], []
    for index in range(len(images)):
        image, label = images[index]
        pixels = torch.as_tensor(transform(image))
        with torch.no_grad():
            logits = model(normalise(pixels[None]))[0]
        better = int((logits > logits[label]).sum())
        first.append(better == 0)
        five.append(better < 5)
    return first, five


def test_every_image_is_counted_once_in_its_place(shared_folders, model):
    images = FolderImages(shared_folders / "val")
    normalise = Normalizer((0.5,) * 3, (0.2,) * 3)
    first, five = one_by_one(model, images, normalise)
    assert 0 < sum(first) < sum(five) < 15
    alone = Processes(0, 1, torch.device("cpu"))
    shuffled = np.random.default_rng(0).permutation(15).tolist()
    for chosen in (None, shuffled):  # as a loader that does not keep the data set's order
        accuracy, right = evaluate(model, eval_loader(RECIPE.view, images, chosen=chosen), normalise, alone)
        assert right.tolist() == first
        assert (accuracy.top1, accuracy.top5) == (100 * sum(first) / 15, 100 * sum(five) / 15)
        assert accuracy.images == 15
    parts = [
        evaluate(model, eval_loader(RECIPE.view, images, shard=Shard(rank, 2)), normalise, alone)[1]
        for rank in range(2)
    ]
    assert (parts[0].int() + parts[1].int()).tolist() == [int(hit) for hit in first]


@pytest.mark.parametrize("images", [1, 8, 15, 1000])
def test_a_record_holds_a_bit_an_image(images):
    right = np.random.default_rng(images).random(images) < 0.4
    text = pack(right)
    assert np.array_equal(unpack(text, images), right)
    with pytest.raises(ValueError, match="do not hold one bit for each"):
        unpack(text, images + 8)
    with pytest.raises(ValueError, match="Only base64 data"):
        unpack("~" + text[1:], images)


def test_the_first_image_is_the_highest_bit():
    """As `numpy.packbits` has it, for those who read records with other tools."""
    assert pack(np.array([True] + [False] * 7 + [True, True])) == "gMA="  # 0x80 0xc0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_outputs_that_are_no_numbers_are_not_scored(shared_folders, model, value):
    """Their largest would be class 0: a quarter of the images of four classes right."""
    broken = deepcopy(model)
    with torch.no_grad():
        broken[1].bias[3] = value
    batches = eval_loader(RECIPE.view, FolderImages(shared_folders / "val"))
    normalise, alone = Normalizer((0.5,) * 3, (0.2,) * 3), Processes(0, 1, torch.device("cpu"))
    with pytest.raises(UserError, match="NaN or infinite on 15 of 15 images, so nothing was measured"):
        evaluate(broken, batches, normalise, alone)
