"""Hold the methods against cases of their reference implementations: ``python -m tests.mix_methods FILE``.

The file's format is that of ``golden/mix_methods_reference.json``: a list ``cases``, each with ``method``,
``variant``, ``inputs`` (the random draws among them) and ``expected``. Prints how many cases of each method passed,
and what is wrong with each that did not; the status is 1 if there is any, or any that nothing here checks. The cases
hold what the code does, so known faults are asked for.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.mix_outputs import (
    Values,
    attentive_cutmix,
    attentive_mix,
    f_mix,
    grid_mix,
    mask_mix,
    progressive_attention_labels,
    puzzle_mix,
    resize_mix,
    resize_mix_of_openmixup,
    saliency_mix,
    sm_mix,
    token_mix_labels,
    token_mix_mask,
)
from transmix.common.errors import UserError, exit_on_user_error

PATH = Path(__file__).parent / "golden" / "mix_methods_reference.json"
TOLERANCE = 1e-5
NOTES = ("attempts_top_left_h_w_accepted", "graph_cut_is_unique_global_optimum")  # of the case, not of its output


@dataclass(frozen=True)
class Check:
    """How cases of a kind are computed.

    Attributes:
        method: as the file spells it, whatever its capitals.
        words: the case's variant has one of them.
        inputs: the case has these, among others.
        compute: from the inputs to everything that may be expected.
    """

    method: str
    words: tuple[str, ...]
    inputs: tuple[str, ...]
    compute: Callable[[Values], Values]

    def fits(self, case: Values) -> bool:
        """Whether this is how the case is computed."""
        named = case["method"].lower() == self.method.lower()
        variant = str(case.get("variant", "")).lower()
        return named and any(word in variant for word in self.words) and set(self.inputs) <= case["inputs"].keys()


def checks(solver: str) -> list[Check]:
    """Every kind of case that is known."""
    official, both = ("official",), ("official", "openmixup")
    return [
        Check("SaliencyMix", both, ("images", "partner", "lam_drawn", "saliency_maps"), saliency_mix),
        Check("AttentiveMix", ("openmixup",), ("images", "features", "partner", "lam_drawn"), attentive_mix),
        Check(
            "AttentiveMix",
            official,
            ("feature_map_last_two_channels", "top_k", "own_image_hwc", "partner_image_hwc"),
            attentive_cutmix,
        ),
        Check("FMix", both, ("images", "noise", "noise_shape", "lam_drawn", "round_up", "partner"), f_mix),
        Check("ResizeMix", official, ("images", "rate", "centre_row", "centre_col", "partner"), resize_mix),
        Check("ResizeMix", ("openmixup",), ("images", "tao", "centre_row", "centre_col"), resize_mix_of_openmixup),
        Check("GridMix", ("official", "openmixup", "gridmixup"), ("images", "n_holes", "u_x", "u_y"), grid_mix),
        Check("TokenMix", official, ("grid", "lam_constant", "uniform_draws", "randint_draws"), token_mix_mask),
        Check("TokenMix", official, ("label_maps_of_own_class", "pasted_mask_tokens", "partner"), token_mix_labels),
        Check("MixPro", official, ("cell_permutations", "mask_patch", "lam_drawn"), mask_mix),
        Check("MixPro", official, ("attention", "own_mask_tokens", "logits"), progressive_attention_labels),
        Check("SMMix", official, ("images", "attention", "rectangle_side"), sm_mix),
        Check("PuzzleMix", official, ("gradient_saliency", "block_num"), partial(puzzle_mix, solver=solver)),
    ]


def differences(case: Values, solver: str = "exact") -> list[str]:
    """What is wrong with a case: nothing, or a line each."""
    try:
        found = [check for check in checks(solver) if check.fits(case)]
        if not found:
            return [f"unknown: method {case['method']!r}, variant {case.get('variant')!r}, these inputs"]
        computed = found[0].compute(case["inputs"])
    except (KeyError, ValueError, TypeError, RuntimeError, IndexError, StopIteration) as error:
        return [f"{type(error).__name__}: {error}"]
    return [
        line
        for name, expected in case["expected"].items()
        if name not in NOTES
        for line in (_difference(name, expected, computed[name]) if name in computed else [f"{name}: unknown output"])
    ]


def _difference(name: str, expected: Any, computed: Any) -> Iterable[str]:
    expected, computed = (np.asarray(values, dtype=np.float64) for values in (expected, computed))
    if expected.ndim == 0 or computed.ndim == 0:  # one value for the whole batch
        expected, computed = np.broadcast_arrays(expected, computed)
    if expected.shape != computed.shape:
        yield f"{name}: shape {computed.shape} instead of {expected.shape}"
        return
    off = np.abs(expected - computed)
    if not (off <= TOLERANCE).all():
        yield f"{name}: off by up to {off.max():.3g} in {int((off > TOLERANCE).sum())} of {off.size} values"


def read_cases(path: Path) -> list[Values]:
    """The cases of a file.

    Raises:
        UserError: it is not there, or not of this format.
    """
    try:
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no cases of mixing methods: {error}") from None
    for index, case in enumerate(cases):
        if not {"method", "inputs", "expected"} <= case.keys():
            raise UserError(f"{path}: case {index} has no method, inputs or expected")
    return cases


def main() -> None:
    """Check the files given, or the suite's own."""
    passed, failed = Counter(), Counter()
    torch.use_deterministic_algorithms(True)
    for path in [Path(name) for name in sys.argv[1:]] or [PATH]:
        for index, case in enumerate(read_cases(path)):
            wrong = differences(case)
            (failed if wrong else passed)[case["method"]] += 1
            for line in wrong:
                print(f"{case.get('id', f'case {index}')}: {line}")
    for method in sorted(passed | failed):
        print(f"{method}: {passed[method]} passed, {failed[method]} failed")
    print(f"all: {passed.total()} passed, {failed.total()} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    exit_on_user_error(main)
