"""Semantic segmentation, fine-tuned from the weights of Table 1 and from random ones."""

from __future__ import annotations

from reports.formats.table import MEASURED, Column
from reports.records.checks import SEGMENTATION_METRICS
from reports.tables import _fine_tuning

TASK = _fine_tuning.Task(
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
TABLE = _fine_tuning.table_of(TASK, 3)
