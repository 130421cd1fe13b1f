"""Object detection and instance segmentation, fine-tuned from the same."""

from __future__ import annotations

from reports.formats.table import MEASURED, Column
from reports.records.checks import DETECTION_METRICS
from reports.tables import _fine_tuning

TASK = _fine_tuning.Task(
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
TABLE = _fine_tuning.table_of(TASK, 4)
