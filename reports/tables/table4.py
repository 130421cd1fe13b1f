"""Table 4: object detection and instance segmentation, with the weights of Table 1 fine-tuned."""

from __future__ import annotations

from functools import partial

from reports.formats.table import MEASURED, Column
from reports.records.collect import DETECTION_METRICS
from reports.tables import fine_tuning

TASK = fine_tuning.Task(
    table="table4",
    title="Detection and instance segmentation",
    metrics="COCO’s average precision of boxes and masks, over overlaps from 50 to 95 % (AP), and at 50 and 75 %",
    columns=tuple(
        Column(f"{what}_AP{overlap}", f"AP{overlap}", f"{MEASURED}: {title}")
        for what, title in (("box", "boxes"), ("mask", "masks"))
        for overlap in ("", "50", "75")
    ),
    drawn="boxes, masks and classes of the objects",
    verdicts={"box_AP": "box AP", "mask_AP": "mask AP"},
    recorded=DETECTION_METRICS,
)
build = partial(fine_tuning.build, task=TASK)
numbers = partial(fine_tuning.numbers, task=TASK)
