"""Files of a user's own that declare a method, a row, a table or a kind of run: what is wrong with one is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DECLARED = "from transmix.methods import Method\nMETHOD = Method('Mine', {})\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"""A card."""\n', ": there is no METHOD in it: mend it, or take it out of PLUGINS\n"),
        ("x = 1\ndef lam(:\n", ", line 2: invalid syntax: mend it, or take it out of PLUGINS\n"),
        ("x = 1\ny = 1 / 0\n", ", line 2: ZeroDivisionError: division by zero: mend it, or take it out of PLUGINS\n"),
        ("import nowhere\n", ", line 1: ModuleNotFoundError: No module named 'nowhere': mend it, or take it out of "),
        (
            "x = '\0'\n",
            ": SyntaxError: source code string cannot contain null bytes: mend it, or take it out of PLUGINS\n",
        ),
        (DECLARED.format({"cutmix_alhpa": 2.0}), ": unknown setting 'cutmix_alhpa': did you mean 'cutmix_alpha'?\n"),
        (DECLARED.format({"lr": -3.0}), ": lr=-3: must be above 0 and at most 10\n"),
        (DECLARED.format(None), ": settings are no dictionary: give names with their values\n"),
        (DECLARED.format({"lr": "fast"}), ": lr=fast: must be a number\n"),
    ],
)
def test_a_file_of_ones_own_that_cannot_be_used_is_one_line(tmp_path, text, message):
    (tmp_path / "methods").mkdir()
    file = tmp_path / "methods" / "broken.py"
    file.write_text(text)
    environment = os.environ | {"PLUGINS": str(tmp_path)}
    command = [sys.executable, "-m", "experiments", "plan", "--scale", "smoke", "--results", str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {file}{message}")
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_too_deep_is_told_of(tmp_path):
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "mine.py").write_text(DECLARED.format({}))
    for folder, status in ((tmp_path / "methods", 2), (tmp_path, 0)):
        environment = os.environ | {"PLUGINS": str(folder)}
        command = [sys.executable, "-c", "from transmix.methods import methods; assert 'mine' in methods()"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
        assert done.returncode == status
        told = f"error: PLUGINS: {folder} holds the files of methods/ themselves: give the folder above it\n"
        assert done.stderr == (told if status else "")
