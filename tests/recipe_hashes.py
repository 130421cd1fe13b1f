"""A fingerprint of every recipe at every scale, of what differs from the defaults, kept in ``golden/recipes.txt``.

A recipe that changes is another experiment: `test_recipes` fails until ``python -m tests.recipe_hashes`` has written
the list anew, so that the change is seen in review.
"""

from __future__ import annotations

from pathlib import Path

from experiments.scales import SCALES
from tests.made_up import make_study
from transmix.common.files import write_text
from transmix.common.plain import differing, plain
from transmix.recipe import Recipe, fingerprint

PATH = Path(__file__).parent / "golden" / "recipes.txt"


def recipe_hashes() -> dict[str, str]:
    """``{"paper deit_s transmix": fingerprint, ...}`` of the code as it is."""
    studies = {name: make_study(Path("nowhere"), "--scale", name) for name in SCALES}  # they know of teachers
    return {
        f"{name} {row} {method}": fingerprint(differing(Recipe, plain(study.recipe(row, method))))
        for name, study in studies.items()
        for row in study.scale.known_rows
        for method in study.scale.methods(row)
    }


def golden_hashes() -> dict[str, str]:
    """The same as the list has it."""
    lines = PATH.read_text(encoding="utf-8").splitlines()
    return {name: fingerprint for name, _, fingerprint in (line.rpartition(" ") for line in lines)}


if __name__ == "__main__":
    write_text(PATH, "".join(f"{name} {value}\n" for name, value in recipe_hashes().items()))
    print(f"{PATH}: {len(recipe_hashes())} recipes")
