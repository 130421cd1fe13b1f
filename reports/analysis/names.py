"""What methods, heads and label rules are called, the same in every table and figure."""

from __future__ import annotations

from experiments.rows import model_name
from experiments.scales import PUBLIC
from reports.records.checks import RANDOM
from reports.records.collect import Collected
from transmix.methods import methods, of_table

BASELINE, TRANSMIX = "baseline", "transmix"  # what methods are compared with; the paper's own
_HEADS = {
    "segmenter_linear": "Segmenter (linear)",
    "segmenter_mask": "Segmenter (mask)",
    "upernet": "UPerNet",
    "semantic_fpn": "Semantic FPN",
    "mask_rcnn_1x": "Mask R-CNN 1x",
    "mask_rcnn_3x": "Mask R-CNN 3x",
}
_DATA_SETS = {"pascal_context": "Pascal Context"}


def method_name(method: str) -> str:
    """A method's title; the baseline's and random weights' by their part in a comparison; else the name itself."""
    if method == PUBLIC:
        return "public weights, not trained here"
    if method in (BASELINE, RANDOM):
        return method
    return method_title(method) if method in methods() else method


def method_title(method: str) -> str:
    """What a declared method is called where the baseline is one of many: ``Mixup + CutMix``."""
    return methods()[method].title


def methods_in(collected: Collected, table: str, row: str = "") -> tuple[str, ...]:
    """The methods that a table shows, in their declared order: those that the study plans for it.

    A study that plans nothing for the table shows the methods that declare it.

    Args:
        collected: the study.
        table: whose runs are looked at.
        row: if given, only this row's.
    """
    planned = [(which, method) for of, which, method, _ in collected.keys if of == table]
    found = {method for which, method in planned if row in ("", which)}
    return tuple(method for method in methods() if method in found) if planned else of_table(table)


def difference_key(method: str, key: str = "difference") -> str:
    """A column's name for programs: TransMix's is plain, another method's ends in its name."""
    return key if method == TRANSMIX else f"{key}_{method}"


def difference_name(method: str, others: int, name: str = "Difference") -> str:
    """A column's heading: plain where one method is compared, ``CutMix − baseline`` where several are."""
    return name if others == 1 else f"{method_name(method)} − {BASELINE}"


def with_method(row: str, method: str) -> str:
    """A row under a method, which is named unless it is TransMix: ``DeiT-T``, ``DeiT-T, CutMix``."""
    return model_name(row) if method == TRANSMIX else f"{model_name(row)}, {method_name(method)}"


def claim_of(method: str, what: str) -> str:
    """The sentence for a difference that an interval allows to claim: ``With TransMix the area is {} here``."""
    return f"With {method_name(method)} {what} is {{}} here"


def head_name(part: str) -> str:
    """A run's part for people: ``Segmenter (mask), Pascal Context``."""
    data, _, head = part.rpartition("-")
    name = _HEADS.get(head, head)
    return f"{name}, {_DATA_SETS.get(data, data)}" if data else name
