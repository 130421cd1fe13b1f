"""``reports compare`` and ``show``: differences computed by hand, and what one record says."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from experiments.correctness import pack
from experiments.records import NAME, read_record
from experiments.study import Study
from reports.__main__ import main
from reports.analysis.arms import Comparison
from reports.compare.runs import build, default_folder, write
from tests import made_up
from tests.made_up import COMMIT, OTHER_DATA, make_study, write_fine_tuned, write_study, write_train
from transmix.common.errors import UserError


def make(folder: Path, gains: tuple[float, ...], *options: str) -> Study:
    study = make_study(folder, "--scale", "tiny", "--rows", "deit_t", "--seeds", str(len(gains)), *options)
    write_study(study, gains)
    return study


@pytest.fixture(scope="module")
def sides(tmp_path_factory) -> tuple[Study, Study]:
    """TransMix gains 1, 2 and 3 points in A, and 2, 4 and 6 in B: B minus A is 1, 2 and 3."""
    root = tmp_path_factory.mktemp("sides")
    return make(root / "a", (1.0, 2.0, 3.0)), make(root / "b", (2.0, 4.0, 6.0))


@pytest.fixture
def copies(sides, tmp_path) -> tuple[Study, Study]:
    """The same, to be changed."""
    for side, name in zip(sides, "ab", strict=True):
        shutil.copytree(side.results, tmp_path / name)
    return tuple(make_study(tmp_path / name, *side.options[:6]) for side, name in zip(sides, "ab", strict=True))


def edit(study: Study, name: str, change) -> None:
    made_up.edit(study.find(name).folder, change)


def difference(found, run: str, metric: str) -> Comparison:
    (match,) = (one for pair, one in found.pairing.comparisons if (pair.name, one.metric.key) == (run, metric))
    return match


# 95 % t-interval of (1, 2, 3): 4.302653 * 1 / sqrt(3) = 2.484
def test_differences_are_paired_by_seed(sides):
    found = build(*(side.results for side in sides))
    top1 = difference(found, "table1.deit_t.transmix", "top1")
    assert (top1.means, top1.gain.mean, top1.gain.count) == ((52.0, 54.0), 2.0, 3)
    assert top1.gain.half_width == pytest.approx(2.4841, abs=1e-4)
    assert not top1.shown
    assert difference(found, "table1.deit_t.baseline", "top1").equal
    aurra = difference(found, "table5.deit_t.transmix", "aurra")  # a tenth of the gain, in percent
    assert aurra.gain.mean == pytest.approx(0.2)
    area = difference(found, "occlusion.deit_t.transmix", "area_salient")  # the mean of 1, 0.9, ..., 0.1 gains is 0.55
    assert area.gain.mean == pytest.approx(1.1)
    row = next(row for row in found.table.rows if row["name"].text == "table1.deit_t.transmix")
    assert [row[key].text for key in ("seeds", "a", "b", "gain")] == ["3", "52.00", "54.00", "+2.00 ± 2.48"]
    # properties of the model are only compared where they differ
    assert {one.metric.key for pair, one in found.pairing.comparisons if pair.name == "table1.deit_t.transmix"} == {
        "top1"
    }


def test_no_more_is_claimed_than_the_intervals_allow(sides, copies):
    found = build(*(side.results for side in sides))
    judged = [one for _, one in found.pairing.comparisons if one.judged]
    assert not any(one.shown for one in judged)
    assert f"0 of {len(judged)} intervals over seeds exclude zero: no difference is shown." in found.notes[1]
    for seed, top1 in enumerate((61.0, 62.5, 63.0)):  # 10, 10.5 and 10 more than in A
        write_train(copies[1].find(f"table1.deit_t.transmix.seed{seed}"), top1)
    found = build(*(side.results for side in copies))
    claim = "exclude zero: table1.deit_t.transmix, Top-1 (%), is higher in B. Where nothing has changed, one in twenty"
    assert f"1 of {len(judged)} intervals over seeds {claim}" in found.notes[1]
    edit(copies[1], "table1.deit_t.transmix.seed1", lambda record: record["data"].update(OTHER_DATA))
    found = build(*(side.results for side in copies))
    assert f"0 of {len(judged) - 1} intervals" in found.notes[1]
    assert "On different data, so that a difference is also one of the data" in found.notes[2]
    assert found.notes[2].endswith(": table1.deit_t.transmix.")


def test_one_seed_has_an_interval_over_images_only(tmp_path):
    sides = make(tmp_path / "a", (0.0,)), make(tmp_path / "b", (5.0,))
    for side, count in zip(sides, (500, 560), strict=True):
        right = pack(np.arange(1000) < count)
        write_train(side.find("table1.deit_t.transmix.seed0"), count / 10, right=right)
    found = build(*(side.results for side in sides))
    top1 = difference(found, "table1.deit_t.transmix", "top1")
    assert (top1.gain.mean, top1.gain.half_width) == (6.0, None)
    # 60 of 1,000 images changed, all for the better: binomial standard error 0.751 points
    assert (top1.images.mean, top1.images.low) == (pytest.approx(6.0), pytest.approx(6.0 - 1.96 * 0.751, abs=0.15))
    assert top1.images.high == pytest.approx(6.0 + 1.96 * 0.751, abs=0.15)
    assert any("A difference of one seed says little" in note for note in found.notes)
    assert not any("exclude zero" in note for note in found.notes)
    assert difference(found, "occlusion.deit_t.transmix", "area_random").images.low > 0
    (sides[1].find("occlusion.deit_t.transmix.seed0").folder / "answers.npz").unlink()
    found = build(*(side.results for side in sides))
    assert difference(found, "occlusion.deit_t.transmix", "area_random").images is None


def test_what_else_differs_is_listed_with_the_runs(copies):
    def change(record):
        record["settings"]["lr"] = 3e-3
        record["environment"] |= {"commit": COMMIT[::-1] + "+", "packages": {"torch": "2.12.0"}}

    edit(copies[1], "table1.deit_t.baseline.seed0", change)
    found = build(*(side.results for side in copies))
    rows = [tuple(cell.text for cell in row.values()) for row in found.apart.rows]
    run = "table1.deit_t.baseline"
    assert rows == [
        ("setting lr", "0.002", "0.003", run),
        ("commit", COMMIT[:10], f"{COMMIT[:-11:-1]}+", run),
        ("package torch", "not recorded", "2.12.0", run),
    ]


def test_equal_folders_differ_in_nothing(sides, tmp_path):
    shutil.copytree(sides[0].results, tmp_path / "copy")
    found = build(sides[0].results, tmp_path / "copy")
    assert all(one.equal for _, one in found.pairing.comparisons)
    assert found.notes == (
        f"{len(found.table.rows)} of {len(found.table.rows)} numbers on the same data are equal to the last digit.",
    )
    assert (found.apart.rows, found.apart.notes, found.only) == ((), ("They differ in none.",), [])


def test_what_only_one_side_has_is_listed(copies, capsys, monkeypatch, tmp_path):
    shutil.rmtree(copies[1].find("table1.deit_t.baseline.seed2").folder)
    for seed in range(3):
        shutil.rmtree(copies[0].find(f"lambda.deit_t.transmix.seed{seed}").folder)
    found = build(*(side.results for side in copies))
    assert found.only == [
        ("A", ["table1.deit_t.baseline (seed 2)"]),
        ("B", ["lambda.deit_t.transmix (seeds 0, 1, 2)"]),
    ]
    top1 = difference(found, "table1.deit_t.baseline", "top1")
    assert top1.gain.count == 2
    broken = copies[1].find("table1.deit_t.baseline.seed1").folder / NAME
    broken.write_text(broken.read_text().replace("50.0", "51.0"))
    arguments = ["compare", *(str(side.results) for side in copies), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["reports", *arguments])
    main()
    output = capsys.readouterr()
    assert output.err.startswith(
        f"warning: record {broken} was changed after it was written: restore the file, or redo"
    )
    assert output.err.count("\n") == 1
    assert "Only in A: table1.deit_t.baseline (seeds 1, 2)" in output.out
    assert str(broken) in (tmp_path / "out" / "compare.html").read_text()


def test_every_format_is_written_and_the_page_is_self_contained(sides, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["reports", "compare", *(str(side.results) for side in sides), "--out", str(tmp_path)]
    )
    main()
    assert "+2.00 ± 2.48" in capsys.readouterr().out
    page, text = ((tmp_path / name).read_text() for name in ("compare.html", "compare.md"))
    for content in (page, text):
        assert "+2.00 ± 2.48" in content
    assert set(re.findall(r'(?:src|srcset|href)="([^";]+)', page)) == {"data:image/svg+xml", "#main"}
    assert page.count("<img") == page.count('alt="') == len(list((tmp_path / "figures").glob("*.svg")))
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (tmp_path / link).exists(), link
    rows = pandas.read_csv(tmp_path / "compare.csv").set_index(["run", "metric"])
    top1 = rows.loc[("table1.deit_t.transmix", "top1")]
    assert (top1["a"], top1["b"], top1["difference"], top1["seeds"]) == (52.0, 54.0, 2.0, 3)
    assert top1["half_width_95_over_seeds"] == pytest.approx(2.4841, abs=1e-4)
    assert top1["b_records"].split() == [sides[1].find(f"table1.deit_t.transmix.seed{seed}").id for seed in range(3)]
    assert rows["low_95_over_images"].dtype == float
    assert rows["equal"].dtype == bool


def test_two_scales_are_paired_by_name(tmp_path):
    tiny = make(tmp_path / "tree", (1.0, 2.0))
    small = make_study(tmp_path / "tree", "--scale", "smoke", "--seeds", "2")
    write_study(small, (3.0, 4.0))
    found = build(tiny.results / "tiny", tiny.results / "smoke")
    assert not difference(found, "table1.deit_t.transmix", "top1").same_data  # their scenes are other ones
    assert ("scale", "tiny", "smoke", "all") in [tuple(c.text for c in row.values()) for row in found.apart.rows]
    both = make(tmp_path / "other", (2.0, 2.0))
    names = {pair.name for pair in build(tiny.results, both.results).pairing.pairs}
    assert "tiny.table1.deit_t.transmix" in names  # a tree of several scales: runs of one scale are compared
    assert not any(name.startswith("smoke") for name in names)


def test_fine_tuned_runs_and_curves_have_figures(tmp_path):
    sides = []
    for name, first in (("a", 30.0), ("b", 33.0)):
        study = make_study(tmp_path / name, "--scale", "tiny", "--rows", "xcit_t")
        for run in study.plan():
            if run.kind in ("segmentation", "detection"):
                write_fine_tuned(run, first)
        sides.append(study.results)
    found = build(*sides)
    assert [picture.name for picture in found.figures] == ["differences_table3", "differences_table4"]
    assert "Table 3: mIoU (%), B − A. XCiT-T UPerNet baseline +3.00; " in found.figures[0].alt
    assert found.curves is None
    keys = {one.metric.key for _, one in found.pairing.comparisons}
    assert {"mIoU", "mIoU_ms", "box_AP", "mask_AP75"} <= keys


def test_curves_of_both_sides_are_in_one_figure(sides):
    found = build(*(side.results for side in sides))
    names = [picture.name for picture in found.curves.pictures]
    assert names == ["occlusion_deit_t_baseline", "occlusion_deit_t_transmix"]
    # in A 52, 46.8, ..., 5.2 on average and half a point for the second draw; in B 54 at the start
    assert "random, A 29.05; " in found.curves.pictures[1].alt
    assert "random, B 30.15; " in found.curves.pictures[1].alt
    assert "; foreground first, A " in found.curves.pictures[1].alt


def test_folders_that_cannot_be_compared_are_one_line(sides, copies, tmp_path):
    a = sides[0].results
    with pytest.raises(UserError, match=r"^A and B are the same folder, .*: give two$"):
        build(a, a / "tiny" / "..")
    with pytest.raises(UserError, match=r"^no such folder: "):
        build(a, tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match=r"^no such folder: .*/loop: "):
        build(tmp_path / "loop", a)
    other = make_study(tmp_path / "c", "--scale", "tiny", "--rows", "pvt_t")
    write_study(other, (1.0,))
    with pytest.raises(UserError, match=r"have no run in common, e.g. .*deit_t.* and .*pvt_t"):
        build(a, other.results)


def test_of_runs_of_one_name_that_the_other_folder_has_not_each_is_named_and_the_rest_compared(copies, tmp_path):
    changed = make_study(copies[0].results, "--scale", "tiny", "--rows", "deit_t", "--set", "lr=3e-3")
    write_train(changed.find("table1.deit_t.baseline.seed0"), 50.0)
    third = make_study(tmp_path / "third", "--scale", "tiny", "--rows", "deit_t", "--set", "lr=4e-3")
    write_study(third, (1.0,))
    pairing = build(copies[0].results, third.results).pairing
    name = "table1.deit_t.baseline"
    ids = [study.find(f"{name}.seed0").id for study in (copies[0], changed, third)]
    mine, other, theirs = (f"{name}.{id_.rpartition('-')[2]}" for id_ in ids)
    assert {run for run, seeds in pairing.only_a.items() if run.startswith(name) and 0 in seeds} == {mine, other}
    assert {run for run, seeds in pairing.only_b.items() if run.startswith(name) and 0 in seeds} == {theirs}
    pairs = [pair.name for pair in pairing.pairs]
    assert "table1.deit_t.transmix" in pairs
    assert not any(pair.startswith(name) for pair in pairs)


def test_of_several_runs_of_one_name_those_are_paired_that_both_have(copies, tmp_path):
    first = copies[0].results
    changed = make_study(first, "--scale", "tiny", "--rows", "deit_t", "--set", "lr=3e-3")
    one, two = copies[0].find("table1.deit_t.baseline.seed0"), changed.find("table1.deit_t.baseline.seed0")
    write_train(two, 40.0)
    shutil.copytree(first, tmp_path / "same")
    pairing = build(first, tmp_path / "same").pairing
    names = [pair.name for pair in pairing.pairs]
    hashes = {run.id.rpartition("-")[2] for run in (one, two)}
    assert {name.rpartition(".")[2] for name in names if name.startswith("table1.deit_t.baseline.")} == hashes
    assert (pairing.only_a, pairing.only_b) == ({}, {})
    assert all(comparison.equal for _, comparison in pairing.comparisons)
    shutil.rmtree(tmp_path / "same" / "tiny" / two.id)
    pairing = build(first, tmp_path / "same").pairing
    assert pairing.only_a == {f"table1.deit_t.baseline.{two.id.rpartition('-')[2]}": [0]}


def test_folders_whose_names_cannot_be_shown_are_compared(sides, tmp_path):
    odd = tmp_path / "no utf-8 \udcff, an escape \x1b"
    shutil.copytree(sides[0].results, odd)
    page = write(build(odd, sides[1].results), tmp_path / "out")
    texts = [path.read_text() for path in (page, page.with_suffix(".md"))]
    assert all(r"no utf-8 \udcff, an escape \x1b" in text for text in texts)
    assert not {"\udcff", "\x1b"} & set("".join(texts))


def test_the_default_folder_names_both():
    assert default_folder(Path("results/tiny"), Path("results/lab")) == Path("results/comparisons/tiny-vs-lab")
    assert default_folder(Path("old/tiny"), Path("new/tiny")) == Path("results/comparisons/old-tiny-vs-new-tiny")


def show(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["reports", "show", *arguments])
    main()
    return capsys.readouterr().out


def test_show_says_what_a_record_says(sides, monkeypatch, capsys):
    run = sides[0].find("table1.deit_t.transmix.seed1")
    out = show(monkeypatch, capsys, "table1.deit_t.transmix.seed1", *sides[0].options)
    found = dict(re.findall(r"^  (.+?) {2,}(.+)$", out, re.MULTILINE))
    assert (found["Id"], found["Top-1 (%)"], found["lr"], found["commit"]) == (run.id, "52.00", "0.002", COMMIT)
    assert found["Command"] == f"{run.command} --restart"
    assert "2 min 05 s" in out
    epochs = [line.split() for line in out.splitlines() if re.match(r"^ +\d+ +\d", line)]
    assert [line[0] for line in epochs] == [str(epoch) for epoch in range(1, 11)]
    assert epochs[-1][-2:] == ["52.00", "95.00"]
    for place in (run.id, str(run.folder), str(run.folder / NAME)):
        assert show(monkeypatch, capsys, place, *sides[0].options) == out


def test_show_tells_of_a_run_that_another_scale_has(tmp_path, monkeypatch, capsys):
    smoke = make_study(tmp_path, "--scale", "smoke")
    run = next(run for run in smoke.plan() if run.name == "table1.deit_t.baseline.seed0")
    write_train(run, 50.0)
    with pytest.raises(UserError, match=rf"no run {run.name} at scale tiny, but elsewhere: add --scale smoke$"):
        show(monkeypatch, capsys, run.name, "--results", str(tmp_path))
    with pytest.raises(UserError, match="unknown run at scale tiny"):
        show(monkeypatch, capsys, "table1.deit_t.baseline.seed7", "--results", str(tmp_path))
    with pytest.raises(UserError, match="has a record, but no place in this study: name its methods, rows and PLUGINS"):
        show(monkeypatch, capsys, run.name, *smoke.options, "--rows", "pvt_t")


def test_show_of_a_sweep_and_of_a_long_history(copies, monkeypatch, capsys):
    out = show(monkeypatch, capsys, "occlusion.deit_t.baseline.seed0", *copies[0].options)
    assert re.search(r"Area, random patches dropped \(%\) +27.95", out)
    assert "1: 45.5  2: 40.5  3: 35.5" in out
    assert f"{copies[0].find('table1.deit_t.baseline.seed0').id} (there)" in out
    line = read_record(copies[0].find("table1.deit_t.baseline.seed0").folder).history[-1]
    history = [line | {"epoch": epoch} for epoch in range(300)]
    edit(copies[0], "table1.deit_t.baseline.seed0", lambda record: record.update(history=history))
    out = show(monkeypatch, capsys, "table1.deit_t.baseline.seed0", *copies[0].options)
    epochs = [int(line.split()[0]) for line in out.splitlines() if re.match(r"^ +\d+ +\d", line)]
    assert (len(epochs), epochs[0], epochs[-1]) == (12, 1, 300)


def test_show_of_a_run_without_a_usable_record(copies, monkeypatch, capsys, tmp_path):
    run = copies[0].find("table1.deit_t.baseline.seed0")
    broken = run.folder / NAME
    broken.write_text(broken.read_text().replace("50.0", "51.0"))
    for name in (run.name, str(run.folder)):
        with pytest.raises(UserError, match=r"was changed after it was written: .*--restart"):
            show(monkeypatch, capsys, name, *copies[0].options)
    shutil.rmtree(run.folder)
    out = show(monkeypatch, capsys, run.name, *copies[0].options)
    assert re.search(r"Status +not run", out)
    assert run.command in out
    with pytest.raises(UserError, match=r"^no such folder or record: no/where"):
        show(monkeypatch, capsys, "no/where")
    with pytest.raises(UserError, match=r"did you mean 'table1.deit_t.baseline.seed0'"):
        show(monkeypatch, capsys, "table1.deit_t.basline.seed0", *copies[0].options)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"^no record at .*: give a run’s name or id"):
        show(monkeypatch, capsys, str(tmp_path / "empty"))


def test_options_without_a_command_are_those_of_the_page(sides, monkeypatch, capsys):
    for words in ([], ["page"]):
        monkeypatch.setattr(sys, "argv", ["reports", *words, *sides[0].options, "--table", "table1"])
        main()
        assert "+2.00 ± 2.48" in capsys.readouterr().out


def test_scenes_that_another_cpu_drew_are_no_difference(copies):
    edit(copies[1], "table1.deit_t.baseline.seed0", lambda record: record["data"].update(fingerprint="0" * 16))
    found = build(*(side.results for side in copies))
    assert [row for row in found.apart.rows if row["what"].text.startswith("data")] == []
