"""The scales: a scale changes numbers in recipes and protocols, nothing else."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from experiments.desk import DESK_GRID, DESK_TRAINING
from experiments.fine_tuning import PAPER
from experiments.grid import Grid
from experiments.photographs import (
    CIFAR_100,
    CIFAR_100_MIXING,
    IMAGENET_1K,
    IMAGENET_100,
    Photographs,
    cifar100,
    in100,
    training,
)
from experiments.protocols import CURVES, OCCLUSION, FineTuning, LambdaStudy, Sweep
from experiments.rows import rows, table1
from transmix.data.scenes import ScenesSpec
from transmix.methods import methods, of_table
from transmix.recipe import Recipe

PAIR = ("baseline", "transmix")  # what the paper compares: every study trains both
RANDOM = "random"  # fine-tuning that starts from no weights
PUBLIC = "public"  # weights that somebody else trained and published (`experiments.public`)
TABLES = ("table1", "table2", "table3", "table4", "table5", "occlusion", "lambda", "table6", "table7")
MEASURED = ("table3", "table4", "table5", "occlusion", "lambda")  # of them, those that measure trained models
OWN_BASELINE = "baseline"  # as a teacher: what the row's baseline of Table 1 has become, by the same seed


def table_of(method: str) -> str:
    """The table that a training run belongs to: the first that the method names, but for those that measure models.

    Table 2 shows those of Table 1 beside its own.
    """
    return next((table for table in methods()[method].tables if table not in MEASURED), "table2")


def trained_by(row: str, chosen: Collection[str], mixed_row: str) -> tuple[str, ...]:
    """The methods a row is trained by: the pair, and of those that are chosen Table 1's; Table 2's row by all."""
    others = [name for name in methods() if name in chosen and name not in PAIR]
    shown = PAIR + tuple(name for name in others if row == mixed_row or table_of(name) == "table1")
    return tuple(name for name in shown if readable(row, name))


def readable(row: str, method: str) -> bool:
    """Whether a row's model shows what a method reads of it."""
    declared = rows()[row]
    if not declared.attention:
        return not reads_attention(method)
    return declared.self_attention or "blocks" not in methods()[method].reads


def reads_attention(method: str) -> bool:
    """Whether a method can only train models whose class attention can be read."""
    declared = methods()[method]
    by_attention = declared.settings.get("label_rule", "area") in ("attention", "mean")
    return by_attention or not {*declared.reads} <= {"teacher"}


def needs_masks(method: str) -> bool:
    """Whether a method can only train on data that tell where the labelled objects are."""
    return methods()[method].settings.get("label_rule") == "oracle"


@dataclass(frozen=True)
class Scale:
    """One size of the whole study.

    Attributes:
        name: what ``SCALE=`` takes.
        purpose: one line for the report's banner.
        scenes: the embedded data set; None where the user brings the real one.
        photographs: what that is; None where there are scenes.
        mixing: settings of single methods at this scale, by method.
        rows: rows of Table 1 that are run by default.
        mix_methods: methods that are run by default beside the pair of Table 1.
        tables: what ``make report`` runs.
        seeds: seeds that are run by default.
        training: settings that replace a paper recipe's.
        models: which of a row's stand-ins is trained (`experiments.rows.Row.models`); empty for its own model.
        sweep: what is done to images to see how robust a model is.
        lambda_study: the comparison of lambdas.
        fine_tuning: the downstream runs, for those rows that they serve.
        grid: what Tables 6 and 7 train; None where neither is for the scale.
        mixed_row: the row of Table 2, where the study has it (`experiments.study.Study.mixed_row`).
        cost_rounds: turns of each method where a step's cost is measured.
        from_random: tables whose models are also fine-tuned from no weights.
    """

    name: str
    purpose: str
    scenes: ScenesSpec | None
    rows: tuple[str, ...]
    mix_methods: tuple[str, ...]
    tables: tuple[str, ...]
    seeds: int
    training: dict[str, Any]
    models: str
    sweep: Sweep
    lambda_study: LambdaStudy
    fine_tuning: tuple[FineTuning, ...]
    grid: Grid | None = None
    photographs: Photographs | None = None
    mixing: dict[str, dict[str, Any]] = field(default_factory=dict)
    mixed_row: str = "deit_t"
    cost_rounds: int = 5
    from_random: tuple[str, ...] = ("table3", "table4")

    @property
    def known_rows(self) -> tuple[str, ...]:
        """Rows that can be run at this scale."""
        return tuple(name for name, row in rows().items() if not self.models or self.models in row.models)

    def methods(self, row: str) -> tuple[str, ...]:
        """How a row is trained at this scale by default."""
        return trained_by(row, self.mix_methods, self.mixed_row)

    def recipe(self, row: str, method: str) -> Recipe:
        """How a row is trained by a method at this scale."""
        stand_in = {"model": rows()[row].models[self.models]} if self.models else {}
        own = methods()[method].settings | self.mixing.get(method, {})
        return replace(rows()[row].recipe(), **(self.training | stand_in | own))


# Short runs on small images: mild augmentation and mixing in part of the batches, no moving average (it would not
# have caught up), and a schedule that moves with every step.
_SHORT = {
    "image_size": 64,
    "drop_path": 0.0,
    "clip_grad": None,
    "precision": "fp32",
    "random_erasing": 0.0,
    "repeated_augmentation": 1,
    "cooldown_epochs": 0,
    "batch_size": 32,
    "micro_batch": None,
    "lr": 1.5e-3,
    "warmup_epochs": 1,
    "lr_per_step": True,
    "weight_decay": 0.05,
    "crop_scale": (0.7, 1.0),
    "interpolation": "bilinear",
    "rand_augment": None,
    "mix_prob": 0.6,
    "switch_prob": 0.8,
    "ema_decay": None,
    "report_ema": False,
    "eval_crop": 1.0,
}

_ONE_GPU = {
    "epochs": 20,
    "batch_size": 512,
    "lr": 1e-3,
    "drop_path": 0.1,
    "precision": "bf16",
    "resident": True,
}

_CELLS_64 = ((2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (16, 16))  # as published, but for 14 x 14


def _dense(config: str, iterations: int, batch_size: int = 8, precision: str = "fp32", lr: float = 1e-3) -> FineTuning:
    """A short fine-tuning on small images."""
    multi_scale = config.startswith("ade20k/segmenter")
    return FineTuning(config, batch_size, lr, (128, 128), precision, iterations=iterations, multi_scale=multi_scale)


SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            name="smoke",
            purpose="a few steps of micro models on a few dozen images: shows that the pipeline runs, nothing else",
            scenes=ScenesSpec(classes=4, train=64, val=32, dense_train=4, dense_val=2),
            rows=("deit_t",),
            mix_methods=("none", "cutmix"),
            tables=TABLES,
            seeds=1,
            training=_SHORT | {"epochs": 2, "batch_size": 16},
            models="tiny",
            sweep=Sweep(CURVES, tenths=(5,), cells=((4, 4),), severities=(3,), draws=2),
            lambda_study=LambdaStudy(mixes=32, examples=2),
            fine_tuning=(
                _dense("ade20k/segmenter_linear_deit", iterations=2),
                _dense("coco/mask_rcnn_1x_deit", iterations=2),
            ),
            grid=Grid(
                sizes={"large": (0.12, 0.54), "small": (0.03, 0.15)},
                lengths=(1,),
                methods=("cutmix", "transmix", "oracle"),
                row="deit_t",
                home="large-1",
                more={"large-1": ("none", "transmix_attention")},
            ),
            cost_rounds=1,
        ),
        Scale(
            name="tiny",
            purpose="a tour in minutes, one micro model on the embedded scenes: every table and figure, and no study",
            scenes=ScenesSpec(),
            rows=("xcit_t",),  # it learns the most in the time
            mix_methods=(),
            tables=("table1", "table2", "table3", "table4", "table5", "occlusion", "lambda"),
            seeds=1,
            training=_SHORT | {"epochs": 10, "lr": 2e-3, "resident": True, "evaluate_every": 2},
            models="tiny",
            sweep=Sweep(CURVES, cells=_CELLS_64, severities=(1, 3, 5), draws=2, images=128),
            lambda_study=LambdaStudy(),
            fine_tuning=(
                # XCiT's maps say the most about classes, so that starting from its weights shows in so few steps
                _dense("ade20k/upernet_xcit", iterations=50, lr=2e-3),
                _dense("coco/mask_rcnn_1x_xcit", iterations=60, lr=2e-3),
            ),
            cost_rounds=3,
            from_random=("table3",),  # a detector takes as long, and says the same
        ),
        Scale(
            name="desk",
            purpose="micro models on few embedded images, an evening on two cores: when it pays to label by attention",
            scenes=ScenesSpec(train=500, val=4000),
            rows=("deit_t", "xcit_t"),
            mix_methods=("oracle",),
            tables=TABLES,
            seeds=5,
            training=_SHORT | DESK_TRAINING,
            models="tiny",
            sweep=Sweep(OCCLUSION, draws=2, images=1000),
            lambda_study=LambdaStudy(mixes=2048),
            fine_tuning=(
                _dense("ade20k/upernet_xcit", iterations=80),
                _dense("coco/mask_rcnn_1x_xcit", iterations=200),
            ),
            grid=DESK_GRID,
        ),
        Scale(
            name="lab",
            purpose="DeiT-sized models on 100 classes of scenes, minutes on one GPU: not ImageNet",
            scenes=ScenesSpec(classes=100, train=100_000, val=10_000, dense_train=4000, dense_val=500),
            rows=("deit_t",),
            mix_methods=("none", "cutmix", "oracle"),
            tables=TABLES,
            seeds=5,
            training=_SHORT | _ONE_GPU,
            models="lab",
            sweep=Sweep(CURVES, cells=_CELLS_64),
            lambda_study=LambdaStudy(mixes=4096),
            fine_tuning=(
                _dense("ade20k/segmenter_linear_deit", 4000, batch_size=16, precision="bf16"),
                _dense("ade20k/upernet_deit", 4000, batch_size=16, precision="bf16"),
                _dense("coco/mask_rcnn_1x_deit", 4000, batch_size=16, precision="fp16"),  # mmcv's kernels know no bf16
            ),
        ),
        Scale(
            name="paper",
            purpose="the paper's models and recipes on ImageNet-1k",
            scenes=None,
            rows=tuple(table1()),
            mix_methods=("none", "cutmix"),
            tables=TABLES,
            seeds=1,
            training={},
            models="",
            sweep=Sweep(CURVES),
            lambda_study=LambdaStudy(mixes=10_000),
            fine_tuning=PAPER,
            photographs=IMAGENET_1K,
        ),
        Scale(
            name="cifar100",
            purpose="DeiT-S by the public benchmark of ways to mix on CIFAR-100 at 224 px: a GPU for half a day a run",
            scenes=None,
            rows=("deit_s",),
            mix_methods=tuple(name for name in of_table("table2") if not needs_masks(name)),
            tables=("table1", "table2"),
            seeds=1,
            training=training(cifar100()),
            models="",
            sweep=Sweep(CURVES),
            lambda_study=LambdaStudy(mixes=10_000),
            fine_tuning=(),
            photographs=CIFAR_100,
            mixing=CIFAR_100_MIXING,
            mixed_row="deit_s",
        ),
        Scale(
            name="in100",
            purpose="DeiT-T and DeiT-S on 100 classes of ImageNet: one GPU tests the claim on photographs within a day",
            scenes=None,
            rows=("deit_t", "deit_s"),
            mix_methods=("none", "cutmix"),
            tables=("table1", "table2", "occlusion", "lambda"),
            seeds=1,
            training=training(in100()),
            models="",
            sweep=Sweep(CURVES),
            lambda_study=LambdaStudy(mixes=10_000),
            fine_tuning=(),
            photographs=IMAGENET_100,
        ),
    )
}
