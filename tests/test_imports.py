"""Who may import whom (README, "How it is built")."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "transmix": set(),
    "experiments": {"transmix"},
    "robustness": {"transmix", "experiments"},
    "downstream": {"transmix", "experiments"},
    "reports": {"transmix", "experiments"},
}
OPENMMLAB = {"mmcv", "mmdet", "mmengine", "mmseg"}
HEAVY = {"torch", "torchvision", "timm", *OPENMMLAB}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_run_one_way(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        siblings = imported(path) & ALLOWED.keys() - {package}
        assert siblings <= ALLOWED[package], f"{path} imports {siblings - ALLOWED[package]}"


def test_reports_import_no_torch():
    for path in (ROOT / "reports").rglob("*.py"):
        assert not imported(path) & HEAVY, path


def test_openmmlab_stays_downstream():
    for package in ALLOWED.keys() - {"downstream"}:
        for path in (ROOT / package).rglob("*.py"):
            assert not imported(path) & OPENMMLAB, path


def test_nothing_is_tied_to_one_kind_of_device():
    call = "." + "cuda()"
    for package in ALLOWED:
        for path in (ROOT / package).rglob("*.py"):
            assert call not in path.read_text(), path
