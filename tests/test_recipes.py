"""Every recipe at every scale: unchanged unless on purpose, buildable, and at paper scale the published model."""

from __future__ import annotations

import pytest
import torch
from recipe_hashes import golden_hashes, recipe_hashes

from experiments.rows import table1
from experiments.scales import SCALES
from transmix.attention import ClassAttention
from transmix.models.build import build_model

PLANNED = [(scale.name, row) for scale in SCALES.values() for row in scale.known_rows]


def test_no_recipe_has_changed_unnoticed():
    now, golden = recipe_hashes(), golden_hashes()
    changed = sorted(name for name in now.keys() | golden.keys() if now.get(name) != golden.get(name))
    assert not changed, (
        f"recipes (scale, row, method) that differ from tests/golden/recipes.txt: {', '.join(changed)}; "
        "if that is meant, run 'python -m tests.recipe_hashes' and commit the list"
    )


@pytest.mark.parametrize(("scale", "row"), PLANNED)
def test_every_recipe_builds_a_model_whose_class_attention_can_be_read(scale, row):
    recipe = SCALES[scale].recipe(row, "transmix")
    with torch.device("meta"):  # shapes without numbers: XCiT-L costs no more than a micro model
        model, about = build_model(recipe, num_classes=1000)
        rows, columns = ClassAttention(model).grid
    assert about["image_size"] == recipe.image_size
    assert recipe.image_size % rows == recipe.image_size % columns == 0
    assert min(rows, columns) >= 4


@pytest.mark.parametrize("published", table1().values(), ids=lambda row: row.row)
def test_paper_models_have_the_published_number_of_parameters(published):
    with torch.device("meta"):
        model, _ = build_model(SCALES["paper"].recipe(published.row, "baseline"), num_classes=1000)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    digits = len(published.params.partition(".")[2])
    assert f"{millions:.{digits}f}" == published.params
