"""Tables 6 and 7 where a reader has run little: published runs in lines of their own, and no number of both."""

from __future__ import annotations

from pathlib import Path

from reports.records.collect import collect
from reports.tables import table6, table7
from tests.made_up import write_train
from tests.test_cells import desk, written


def published_desk(tmp_path: Path) -> Path:
    """A folder of published runs of scale desk: TransMix a point ahead, the ceiling four, a variant two."""
    gains = {"transmix": 1.0, "oracle": 4.0, "transmix_ema": 2.0, "none": -3.0}
    written(desk(tmp_path / "published"), lambda run: gains.get(run.method))
    return tmp_path / "published"  # with one set in it, called desk


def test_what_a_reader_has_not_run_is_shown_as_published_and_never_mixed(tmp_path):
    published, study = published_desk(tmp_path), desk(tmp_path / "ours")
    for method, top1 in {"cutmix": 30.0, "transmix": 20.0}.items():  # far from what was published
        write_train(study.find(f"table6.deit_t.small-120.{method}.seed0"), top1)
    collected = collect(study, published)
    table = table6.build(collected)
    cells = {row["name"].text: row for row in table.rows}
    assert [*cells] == [
        "DeiT-T, large objects, 40 epochs (published)",
        "DeiT-T, large objects, 120 epochs (published)",
        "DeiT-T, large objects, 240 epochs (published)",
        "DeiT-T, small objects, 40 epochs (published)",
        "DeiT-T, small objects, 120 epochs",
        "DeiT-T, small objects, 120 epochs (published)",
        "DeiT-T, small objects, 240 epochs (published)",
    ]
    ours, theirs = (cells[f"DeiT-T, small objects, 120 epochs{which}"] for which in ("", " (published)"))
    assert (ours["transmix"].text, ours["oracle"].text, ours["transmix"].kind) == ("−10.00", "not run", "measured")
    assert (theirs["transmix"].text, theirs["cutmix"].text, theirs["transmix"].kind) == (
        "+1.00 ± 0.20",
        "50.00",
        "published",
    )
    sources = {name: {source.set for cell in row.values() for source in cell.sources} for name, row in cells.items()}
    assert {name: sets for name, sets in sources.items() if sets != {"desk" if "published" in name else ""}} == {}
    assert "Lines marked “published” are published runs of this suite" in table.caption
    assert any(
        note.startswith("Published runs of this suite, scale desk, CPU (x86_64). TransMix: shown above")
        for note in table.notes
    )
    lines = table6.numbers(collected)
    assert {line["published"] for line in lines if line["epochs"] == 40} == {True}
    mine = [line for line in lines if not line["published"] and line["method"] == "transmix"]
    assert [(line["difference"], line["seeds"]) for line in mine] == [(-10.0, 1)]


def test_variants_that_a_reader_has_not_run_are_shown_as_published(tmp_path):
    published, study = published_desk(tmp_path), desk(tmp_path / "ours")
    write_train(study.find("table6.deit_t.small-120.transmix.seed0"), 20.0)
    collected = collect(study, published)
    table = table7.build(collected)
    cells = {row["name"].text: {key: cell.text for key, cell in row.items()} for row in table.rows}
    assert cells["TransMix"]["top1"] == "20.00"
    assert cells["TransMix, attention of the average (published)"]["over_transmix"] == "+1.00"
    assert cells["TransMix, one head"]["top1"] == "not run"
    assert "Lines marked “published”" in table.caption
    assert {line["method"]: line["published"] for line in table7.numbers(collected)}["transmix_ema"]


def test_every_own_run_leaves_nothing_published(tmp_path):
    published = published_desk(tmp_path)
    gains = {"transmix": 0.0, "oracle": 0.0, "transmix_ema": 0.0, "none": 0.0}
    collected = collect(written(desk(tmp_path / "ours"), lambda run: gains.get(run.method)), published)
    for table in (table6, table7):
        assert not any(line["published"] for line in table.numbers(collected))
        assert "published)" not in str(table.build(collected))
