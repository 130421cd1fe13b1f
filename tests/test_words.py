"""What public docstrings say: more than three words each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("transmix", "experiments", "robustness", "downstream", "reports", "benchmarks")
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def docstrings(path: Path) -> dict[str, str]:
    """The module's docstring and those of everything public in it, by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {"the module": ast.get_docstring(tree) or ""}
    for node in ast.walk(tree):
        if isinstance(node, DEFINITIONS) and not node.name.startswith("_"):
            found[f"{node.name}, line {node.lineno}"] = ast.get_docstring(node) or ""
    return found


def short(path: Path) -> list[str]:
    """Docstrings that say too little; an empty one is the linter's business."""
    return [f"{path}: {name}: {text}" for name, text in docstrings(path).items() if 0 < len(text.split()) <= 3]


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_say_something(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    assert [line for path in files for line in short(path)] == []


def test_a_short_docstring_is_found(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('"""Some words about this."""\n\n\ndef act():\n    """Do it now."""\n')
    assert short(path) == [f"{path}: act, line 4: Do it now."]
