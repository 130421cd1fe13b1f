"""Recipes of the scales `cifar100` and `in100`, which one GPU runs on photographs. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from experiments.rows.deit import deit_original, deit_s
from transmix.recipe import Recipe


@dataclass(frozen=True)
class Photographs:
    """What a scale without embedded data takes from its user.

    Attributes:
        name: of the data, in the runs' ids.
        give: how they are given on the command line.
        train: training images.
        val: validation images.
        classes: how many there are.
        class_list: those of ImageNet's classes that are read (`transmix.data.sources.class_lists`); empty for all.
        kind: the only kind of data set that has them, as `SourceSpec.title` says it; empty for any.
    """

    name: str
    give: str
    train: int
    val: int
    classes: int
    class_list: str = ""
    kind: str = ""


_FOLDER = "IMAGENET=/path/to/imagenet (--imagenet [NAME:]PATH)"
IMAGENET_1K = Photographs("imagenet", _FOLDER, 1_281_167, 50_000, 1000)
# 1,300 training images a class at most, as in ImageNet-1k; 126,689 in all is what users of the list count
IMAGENET_100 = Photographs("imagenet100", _FOLDER, 126_689, 5_000, 100, "imagenet100", "class folders")
CIFAR_100 = Photographs(
    "cifar100",
    "IMAGENET=torch/cifar100:/path (--imagenet torch/cifar100:PATH)",
    50_000,
    10_000,
    100,
    kind="torch/cifar100",
)

# The benchmark's alphas and options where they are not the methods' own: Mixup_cifar.md, and the configuration above.
CIFAR_100_MIXING: dict[str, dict[str, Any]] = {
    "cutmix": {"cutmix_alpha": 2.0},
    "saliencymix": {"cutmix_alpha": 0.2},
    "puzzlemix": {"cutmix_alpha": 2.0},
    "resizemix": {"mix_options": {"variant": "openmixup", "interpolation": "bilinear"}},
}


def cifar100() -> Recipe:
    """DeiT-S from scratch on CIFAR-100 at 224 px, the public benchmark of ways to mix: 200 epochs, batches of 100.

    Source: Westlake-AI/openmixup @37e1372, configs/classification/cifar100/mixups/vits/deit_s_mixups_sz224_bs100.py and
    _base_/datasets/cifar100/sz224_randaug_bs100.py; its numbers are in docs/en/mixup_benchmarks/Mixup_cifar.md (the
    best of the last ten epochs, where ours are the last's). As that code really runs: its ``drop_path=0.1`` is not
    read. Which of two data files the table's rows were trained with is not known; the other has magnitude 9 and random
    erasing (``SET="rand_augment=rand-m9-n2-mstd0.5-inc1 random_erasing=.25"``).

    Differs: RandAugment draws from timm's operations, not FixMatch's; pixels are normalised as DeiT's; and Mixup takes
    a fifth of the batches in every row that has it, as in the configuration of TransMix, where its DeiT row may take
    half (``SET=switch_prob=.5``). What the benchmark changes in single methods is `CIFAR_100_MIXING`.

    Run: ``make table2 SCALE=cifar100 IMAGENET=torch/cifar100:/data``
    Expected: CutMix 74.12 %, Mixup + CutMix 75.92 %, TransMix 76.17 %. Not run by us.
    """
    return Recipe(
        model="deit_small_patch16_224",
        image_size=224,
        drop_path=0.0,
        epochs=200,
        batch_size=100,
        lr=1e-3,
        min_lr=1e-6,
        warmup_lr=1e-8,
        warmup_epochs=20,
        lr_per_step=True,
        weight_decay=0.05,
        clip_grad=5.0,
        crop_scale=(0.8, 1.0),
        rand_augment="rand-m7-n2-mstd0.5-inc1",
        switch_prob=0.8,
        eval_crop=1.0,
        eval_batch_size=100,
    )


def in100() -> Recipe:
    """DeiT on the 100 classes of ImageNet that Tian et al. chose, for 100 epochs: the claim on photographs in a day.

    DeiT's own recipe (`experiments.rows.deit.deit_original`) at a third of its length, on one GPU: batches of 512 with
    DeiT's rule for their rate, and without repeated augmentation, which needs long training. No source trains so:
    nothing that is published is comparable.

    Run: ``make table1 SCALE=in100 IMAGENET=/data/imagenet``
    Expected: unknown. Not run by us.
    """
    return replace(
        deit_original(),
        model=deit_s().model,
        epochs=100,
        batch_size=512,
        micro_batch=128,
        lr=5e-4,
        repeated_augmentation=1,
    )


def training(recipe: Recipe) -> dict[str, Any]:
    """All that a recipe says, but for its model: what a scale replaces in every row's."""
    return {field.name: getattr(recipe, field.name) for field in fields(Recipe) if field.name != "model"}
