"""Rows of Table 1: their names, models and recipes, and one that the paper does not have."""

from __future__ import annotations

import pytest
import timm
import torch
from studies import study

from experiments.rows import model_name, rows, table1
from experiments.scales import PAIR, SCALES
from transmix.attention import ClassAttention
from transmix.common.errors import UserError
from transmix.common.plain import plain
from transmix.models import create_model
from transmix.models.build import build_model

PLANNED = [(scale.name, row) for scale in SCALES.values() for row in scale.known_rows]


@pytest.mark.parametrize(("scale", "row"), PLANNED)
def test_a_row_differs_from_its_baseline_by_the_label_rule_alone(scale, row):
    pair = [plain(SCALES[scale].recipe(row, method)) for method in PAIR]
    assert {name for name in pair[0] if pair[0][name] != pair[1][name]} == {"label_rule"}
    assert [recipe["label_rule"] for recipe in pair] == ["area", "mean"]
    assert timm.is_model(pair[0]["model"])


@pytest.mark.parametrize("row", rows())
def test_every_row_has_a_micro_model_whose_class_attention_can_be_read(row):
    model, about = build_model(SCALES["tiny"].recipe(row, "transmix"), num_classes=7)
    reader = ClassAttention(model)
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 64, 64))
    rows, columns = reader.grid
    assert logits.shape == (2, 7)
    assert about["image_size"] == 64
    assert reader.take().shape == (2, rows * columns)
    assert rows >= 4


def test_micro_models_are_ordered_as_in_the_paper():
    sizes = {row: SCALES["tiny"].recipe(row, "baseline").model for row in rows()}
    for family in ("deit", "pvt", "xcit"):
        members = [row.name for row in rows().values() if row.family == family]
        counts = [sum(p.numel() for p in create_model(sizes[row]).parameters()) for row in members]
        assert counts == sorted(counts)


ROW = """
from dataclasses import replace

from experiments.rows import Row
from experiments.rows.deit import deit_s


def swin_t():
    return replace(deit_s(), model="swin_tiny_patch4_window7_224")


def registers():
    return replace(deit_s(), model="vit_medium_patch16_reg4_256", image_size=256)


ROWS = (
    Row("swin_t", "swin", "Swin-T", swin_t, models={"tiny": "swin_tiny_patch4_window7_224"}, attention=False),
    Row("vit_reg", "vit", "ViT-M + registers", registers, models={"tiny": "vit_little_patch16_reg1_gap_256"}),
)
"""


def test_a_model_that_the_paper_does_not_have_is_one_file(plugins, tmp_path):
    (plugins / "rows").mkdir()
    (plugins / "rows" / "far_rows.py").write_text(ROW)
    assert [*rows()][-2:] == ["swin_t", "vit_reg"]
    assert [rows()[name].published for name in ("swin_t", "vit_reg")] == [None, None]
    assert [model_name(row) for row in ("swin_t", "deit_t", "gone")] == ["Swin-T", "DeiT-T", "gone"]
    chosen = study("--scale", "smoke", "--rows", "vit_reg,swin_t", "--methods", "all")
    assert [run.name for run in chosen.plan() if run.row == "swin_t"] == [
        f"{table}.swin_t.baseline.seed0" for table in ("table1", "occlusion", "table5")
    ]
    assert {*PAIR, "fmix", "tl_align"} <= {run.method for run in chosen.plan() if run.row == "vit_reg"}
    assert "swin_t" not in {run.row for run in study("--scale", "paper").plan()}
    assert "swin_t" in study("--scale", "smoke", "--rows", "all").rows
    sweeps = [
        study("--scale", "smoke", "--rows", "swin_t", *data).find("occlusion.swin_t.baseline.seed0").settings["curves"]
        for data in ((), ("--imagenet", str(tmp_path)))
    ]
    assert [("salient" in curves, "random" in curves) for curves in sweeps] == [(True, True), (False, True)]
    with pytest.raises(UserError, match="unknown row at scale lab 'swin_t'"):
        study("--scale", "lab", "--rows", "swin_t")
    (plugins / "rows" / "far_twice.py").write_text(ROW)
    rows.cache_clear()
    with pytest.raises(UserError, match="row swin_t is declared twice"):
        rows()


def test_the_papers_rows_come_in_its_order_with_its_names():
    assert [row.row for row in table1().values()] == list(rows()) == list(table1())
    for row in rows().values():
        assert row.title == row.published.model
        assert row.name == row.published.row == row.recipe.__name__
        assert row.models.keys() == {"tiny", "lab"}


def test_every_recipe_is_a_lab_book_entry():
    for row in rows().values():
        assert f"make table1 SCALE=paper ROWS={row.name}" in row.recipe.__doc__
        assert "Expected (slides)" in row.recipe.__doc__


def test_paper_recipes_hold_the_official_configuration():
    """method_facts.md §2.1, columns "OFF DeiT-S" and "OFF DeiT-B"."""
    small, base = (plain(SCALES["paper"].recipe(row, "transmix")) for row in ("deit_s", "deit_b"))
    expected = {
        "epochs": 300,
        "cooldown_epochs": 10,
        "batch_size": 256,
        "lr": 1e-3,
        "min_lr": 1e-5,
        "warmup_lr": 1e-6,
        "warmup_epochs": 20,
        "weight_decay": 0.03,
        "drop_path": 0.1,
        "random_erasing": 0.0,
        "mixup_alpha": 0.8,
        "cutmix_alpha": 1.0,
        "switch_prob": 0.5,
        "ema_decay": 0.99996,
        "report_ema": True,
        "eval_crop": 0.9,
    }
    assert {name: small[name] for name in expected} == expected
    changed = {"warmup_epochs": 5, "weight_decay": 0.05, "switch_prob": 0.8}
    assert {name: base[name] for name in expected} == expected | changed
