"""Any values and any text for any setting: accepted within the ranges or refused in one line, never a traceback."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from usual_settings import SMOKE, TUNING

from experiments.protocols import CURVES, LambdaStudy, NaturalAdversarial, Sweep
from transmix.common.errors import UserError
from transmix.methods import methods
from transmix.recipe import Recipe, override, parse_settings

KINDS = (SMOKE, Sweep(CURVES), LambdaStudy(), NaturalAdversarial(), TUNING)
ENDS = [0, 1, -1, 2, 0.5, 1e-9, 1e9, -1e9, 10**30, 10**400, math.nan, math.inf, -math.inf, True, "", "nope", None]


def values(field: dataclasses.Field) -> st.SearchStrategy[object]:
    """Something for a field: of its type or not, in its range or at the ends of it or far away."""
    found = st.sampled_from(ENDS)
    if "range" in field.metadata:
        allowed = field.metadata["range"]
        high = 10 if allowed.high is None else allowed.high
        found |= st.sampled_from([allowed.low, allowed.high, allowed.low - 1]) | st.floats(allowed.low, high)
        found |= st.integers(math.ceil(allowed.low), math.floor(high))
    if names := list(field.metadata.get("names", ())):
        found |= st.sampled_from(names)
    if not str(field.type).startswith("tuple"):
        return found
    several = st.lists(found, max_size=3).map(tuple)
    return found | several | st.lists(several, max_size=3).map(tuple)


def changes(usual: object) -> st.SearchStrategy[dict[str, object]]:
    """One or two settings of a dataclass, with any values."""
    fields = {field.name: values(field) for field in dataclasses.fields(usual)}
    chosen = st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=2, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: fields[name] for name in names}))


@pytest.mark.parametrize("usual", KINDS, ids=lambda usual: type(usual).__name__)
def test_any_values_are_accepted_within_the_ranges_or_refused_in_a_line(usual):
    refused: list[bool] = []

    @settings(max_examples=500, deadline=None, derandomize=True)
    @given(changes(usual))
    def check_one(change):
        made = refused_in_a_line(lambda: dataclasses.replace(usual, **change))
        refused.append(made is None)
        for field in dataclasses.fields(usual) if made else ():
            check_within(field, getattr(made, field.name))

    check_one()
    assert refused.count(False) > 2
    assert refused.count(True) > 20


def check_within(field: dataclasses.Field, value: object) -> None:
    if isinstance(value, tuple):
        for one in value:
            check_within(field, one)
    if isinstance(value, float):
        assert math.isfinite(value), (field.name, value)
    if type(value) in (int, float) and "range" in field.metadata:
        assert value in field.metadata["range"]
    if "names" in field.metadata and isinstance(value, str):
        assert value in field.metadata["names"]


WRITTEN = st.lists(
    st.sampled_from([*"019-.ex,=m\x00\n '\"", "nan", "inf", "none", "true", "rand", "$(id)", "9" * 5000]), max_size=4
).map("".join)
NAMES = [field.name for field in dataclasses.fields(Recipe)]
OWN = {name: method for name, method in methods().items() if method.options}


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.sampled_from(NAMES), WRITTEN | st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
def test_any_text_of_a_setting_is_taken_or_refused_in_a_line(name, written):
    refused_in_a_line(lambda: override(SMOKE, **parse_settings([f"{name}={written}"])))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.data())
def test_any_text_of_a_methods_option_is_taken_or_refused_in_a_line(data):
    name = data.draw(st.sampled_from(sorted(OWN)))
    option = data.draw(st.sampled_from(sorted(OWN[name].options)))
    written = data.draw(WRITTEN | st.floats(-20, 100).map(str) | st.integers(-20, 100).map(str))
    pairs = parse_settings([f"mixer={name}", "teacher=t", f"mix_options.{option}={written}"])
    made = refused_in_a_line(lambda: override(SMOKE, **pairs))
    allowed = OWN[name].ranges.get(option)
    if made is not None and allowed is not None and made.options[option] is not None:
        assert made.options[option] in allowed


def refused_in_a_line(make: Callable[[], object]) -> Any:
    said = ""
    try:
        made = make()
    except UserError as error:
        made, said = None, str(error)
    assert "\n" not in said
    assert len(said) < 250
    return made
