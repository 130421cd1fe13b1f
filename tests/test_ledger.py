"""The discrepancy ledger: true to the recipes, to the published numbers and to the command line; shown in reports."""

from __future__ import annotations

import re
import statistics
import sys
from dataclasses import replace

import pytest
from reported import run_named, written

from experiments.__main__ import main
from experiments.entries import Alternative, Entry, as_deit_itself, chosen, listed, spelled
from experiments.ledger import DEIT, LEDGER, SOURCES
from experiments.rows import rows, table1
from experiments.rows.deit import deit_original
from experiments.scales import SCALES
from reports.page.report import used
from reports.records.collect import collect
from tests.made_up import make_study, write_train
from transmix.common.plain import plain
from transmix.recipe import Recipe, override, parse_settings

ENTRIES = {entry.title: entry for entries in LEDGER.values() for entry in entries}
ALTERNATIVES = [(entry, other) for entry in ENTRIES.values() for other in entry.alternatives]


def paper(row: str) -> Recipe:
    return SCALES["paper"].recipe(row, "transmix")


@pytest.mark.parametrize(("entry", "other"), ALTERNATIVES, ids=lambda part: getattr(part, "settings", None))
def test_an_alternative_parses_and_changes_every_row_that_it_names(entry: Entry, other: Alternative):
    changes = parse_settings(other.settings.split())
    assert other.rows
    assert set(other.rows) <= set(entry.rows)
    for row in other.rows:
        assert override(paper(row), **changes) != paper(row), row
    for name, value in changes.items():  # nothing idle in it
        assert any(getattr(paper(row), name) != value for row in other.rows), name


@pytest.mark.parametrize("title", ENTRIES)
def test_what_this_suite_does_is_what_the_recipes_hold(title):
    entry, seen = ENTRIES[title], []
    for values, having in chosen(entry).items():
        parsed = parse_settings(values.split())
        assert tuple(parsed) == entry.settings
        for row in having:
            assert {name: getattr(paper(row), name) for name in parsed} == parsed
        seen += having
    assert sorted(seen) == (sorted(entry.rows) if entry.settings else [])


def test_choices_by_hand():
    """method_facts.md §2.1, the lines of the ledger's seven settings."""
    small, pyramid, large = (plain(paper(row)) for row in ("deit_s", "pvt_s", "xcit_l"))
    names = ("switch_prob", "batch_size", "report_ema", "eval_crop", "cooldown_epochs", "random_erasing")
    names += ("repeated_augmentation",)
    assert [small[name] for name in names] == [0.5, 256, True, 0.9, 10, 0.0, 1]
    assert [pyramid[name] for name in names] == [0.5, 1024, False, 0.875, 0, 0.25, 3]
    assert [large[name] for name in names] == [0.5, 1024, False, 1.0, 0, 0.25, 3]
    assert chosen(ENTRIES["Share of CutMix batches"]) == {
        "switch_prob=0.5": ["deit_t", "deit_s"],
        "switch_prob=0.8": ["deit_b"],
    }
    assert set(names) <= {name for entry in ENTRIES.values() for name in entry.settings}


def test_deits_own_recipe_is_one_command_away():
    changes = parse_settings(as_deit_itself(DEIT).split())
    for row in DEIT:
        expected = replace(deit_original(), model=rows()[row].recipe().model)
        assert override(rows()[row].recipe(), **changes) == expected


def test_spelled_settings_read_back():
    for row in rows():
        everything = plain(paper(row))
        assert override(paper(row), **parse_settings(spelled(everything, everything).split())) == paper(row)
    options = {"mix_options": {"holes": 20, "lines": True}}
    assert spelled(options, options) == "mix_options.holes=20 mix_options.lines=true"


def test_every_source_is_named_and_used():
    keys = [name for entry in ENTRIES.values() for key in entry.says for name in re.split(", ", key)]
    assert {key.split()[0] for key in keys} == set(SOURCES)
    for entry in ENTRIES.values():
        assert set(entry.rows) <= set(rows())
        assert entry.choice.endswith(".")
    assert len(ENTRIES) == sum(map(len, LEDGER.values()))  # no title twice


def test_numbers_of_the_slides_are_those_of_the_published_table():
    slides = table1()
    gains = [row.gain for row in slides.values()]
    says = ENTRIES["Size of the gain"].says["slides"]
    assert says.startswith(f"{min(gains)} to {max(gains)} points, {statistics.mean(gains):.2f} on average")
    assert slides["deit_t"].flops in ENTRIES["FLOPs of DeiT-T"].says["slides"]
    assert slides["cait_xxs"].baseline in ENTRIES["CaiT’s recipe"].says["slides"]
    entry = ENTRIES["Numbers of the re-implementation"]
    numbers = ", ".join(f"{slides[row].model} {slides[row].transmix} %" for row in entry.rows)
    assert entry.says["slides"] == f"with TransMix {numbers}"


@pytest.mark.parametrize("row", rows())
def test_readings_in_a_docstring_are_in_the_ledger(row):
    known = {pair for _, other in ALTERNATIVES if row in other.rows for pair in other.settings.split()}
    recipe = rows()[row].recipe
    text = sys.modules[recipe.__module__].__doc__ + recipe.__doc__
    readings = [pair for quoted in re.findall(r"``([^`]+=[^`]+)``", text) for pair in quoted.split() if "=" in pair]
    assert {pair for pair in readings if pair.partition("=")[0] in plain(paper(row))} <= known


def test_rows_in_words():
    assert listed(["deit_t", "pvt_t"]) == "deit_t, pvt_t"
    assert listed(tuple(rows())) == "all rows"
    assert listed([row for row in rows() if row not in DEIT], str.upper) == "all rows but DEIT_T, DEIT_S, DEIT_B"


def test_the_command_prints_all_of_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["experiments", "ledger"])
    main()
    printed = capsys.readouterr().out
    for entry in ENTRIES.values():
        assert f"\n{entry.title} (" in printed
        assert all(f"  {source}: {says}\n" in printed for source, says in entry.says.items())
    assert '  or SET="switch_prob=0.8" (deit_t, deit_s): as the DeiT-S file says\n' in printed
    assert "  here: switch_prob=0.8 (deit_b)\n" in printed


def test_a_report_shows_the_ledger_and_what_its_own_runs_used(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t,deit_s", "--set", "switch_prob=0.3")
    write_train(run_named(study, "table1.deit_s.transmix.seed0"), 50.0)
    collected = collect(study)
    assert used(collected, ENTRIES["Share of CutMix batches"]) == {"switch_prob=0.3": ["deit_s"]}
    assert used(collected, ENTRIES["Attention alone, or its mean with the area"]) == {"label_rule=mean": ["deit_s"]}
    assert used(collected, ENTRIES["CaiT’s recipe"]) == used(collected, ENTRIES["What the baseline is"]) == {}
    texts = written(study)
    for name in ("index.html", "report.md"):
        for entry in ENTRIES.values():
            assert entry.title in texts[name]
        assert "This report’s runs" in texts[name]
        assert "switch_prob=0.3" in texts[name].split("Where the sources disagree")[-1]
    section = texts["index.html"].split('<section id="ledger">')[1].split('<section id="records">')[0]
    assert section.count("<details>") == len(ENTRIES)
    assert '- `SET="switch_prob=0.8"`: as the DeiT-S file says (DeiT-T, DeiT-S)\n' in texts["report.md"]


def test_a_report_without_runs_claims_none(tmp_path):
    page = written(make_study(tmp_path, "--scale", "paper"))["index.html"]
    assert "switch_prob=0.5</code> DeiT-T, DeiT-S" in page
    assert "This report’s runs" not in page
