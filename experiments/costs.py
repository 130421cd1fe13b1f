"""Measured costs of the paper's models, from ``model_costs.csv``. Standard library only.

`experiments.check_table1` measures them and compares; ``python -m experiments check-paper --write-costs`` writes the
file anew.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

from transmix.common.files import write_text

PATH = Path(__file__).parent / "model_costs.csv"
CLASSES = 1000  # ImageNet-1k's
HEADER = """\
# Costs of the paper's models with 1,000 classes, measured by 'python -m experiments check-paper --write-costs' with
# torch {torch} and timm {timm}; 'make check-paper' measures them again and compares.
# macs: multiply-accumulates of one image's forward pass, those of attention included (transmix/models/cost.py);
# reading_macs: what reading the class attention adds to them.
"""


@dataclass(frozen=True)
class ModelCost:
    """What one model costs.

    Attributes:
        model: its timm name.
        image_size: in pixels, square.
        parameters: their number.
        macs: multiply-accumulates of one image's forward pass.
        reading_macs: multiply-accumulates that reading the class attention adds.
    """

    model: str
    image_size: int
    parameters: int
    macs: int
    reading_macs: int


def known_costs(path: Path = PATH) -> dict[tuple[str, int], ModelCost]:
    """The file's costs by model and image size."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    costs = [ModelCost(row.pop("model"), **{k: int(v) for k, v in row.items()}) for row in csv.DictReader(lines)]
    return {(cost.model, cost.image_size): cost for cost in costs}


def write_costs(costs: Iterable[ModelCost], path: Path = PATH) -> None:
    """Write the file, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(ModelCost)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, costs))
    versions = {name: version(name) for name in ("torch", "timm")}
    write_text(path, HEADER.format_map(versions) + text.getvalue())
