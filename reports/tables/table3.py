"""Table 3: semantic segmentation, with the weights of Table 1 fine-tuned."""

from __future__ import annotations

from functools import partial

from reports.formats.table import MEASURED, Column
from reports.records.collect import SEGMENTATION_METRICS
from reports.tables import fine_tuning

TASK = fine_tuning.Task(
    table="table3",
    title="Semantic segmentation",
    metrics=(
        "mean intersection over union (mIoU), mean accuracy of the classes (mAcc), accuracy of all pixels (aAcc), and, "
        "where the protocol has it, mIoU at several scales of the image"
    ),
    columns=(
        Column("mIoU", "mIoU", MEASURED),
        Column("mAcc", "mAcc", MEASURED),
        Column("aAcc", "aAcc", MEASURED),
        Column("mIoU_ms", "mIoU, multi-scale", MEASURED),
    ),
    drawn="classes of the pixels",
    verdicts={"mIoU": "mIoU"},
    recorded=SEGMENTATION_METRICS,
)
build = partial(fine_tuning.build, task=TASK)
numbers = partial(fine_tuning.numbers, task=TASK)
