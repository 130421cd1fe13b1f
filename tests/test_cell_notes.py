"""What the notes of Tables 6 and 7 say of studies that lack runs, seeds or rows."""

from __future__ import annotations

from pathlib import Path

from experiments.runs import Run
from reports.analysis.statistics import mean_interval
from reports.analysis.verdicts import p_value
from reports.records.collect import collect
from reports.tables import table6, table7
from tests.made_up import make_study, write_train
from tests.test_cells import WOBBLE, desk, without_published, written


def mixing_notes(folder: Path, losses: tuple[float, ...]) -> list[str]:
    """Of a study in whose seeds no mixing is worse than CutMix by these, alike in both long cells."""

    def gain(run: Run) -> float | None:
        known = run.method == "none" and run.seed < len(losses)
        return -losses[run.seed] - WOBBLE[run.seed] if known else None

    study = written(desk(folder), gain)
    notes = table6.build(without_published(study, folder)).notes
    (line,) = {one["verdict"] for one in table6.numbers(without_published(study, folder)) if one["method"] == "none"}
    return [line, *(note for note in notes if "from no mixing" in note)]


def test_whether_mixing_helps_is_corrected_for_both_cells_as_in_the_numbers_for_programs(tmp_path):
    losses = (0.5, 1.2, 2.4, 0.1, 1.8)
    assert 0.025 < p_value(mean_interval(losses)) < 0.05  # shown alone, not as one of two
    line, *notes = mixing_notes(tmp_path / "weak", losses)
    assert line == "not shown"
    assert notes[0] == (
        "DeiT-T, large objects, 240 epochs: CutMix is +1.20 points from no mixing: mixing is shown neither to help nor "
        "to hurt (the 95 % interval over 5 seeds, −2.36 to −0.04, excludes zero for no mixing minus CutMix; corrected "
        "for 2 comparisons (Holm), 2 of them tested)."
    )
    line, *notes = mixing_notes(tmp_path / "strong", (2.9, 3.1, 3.0, 2.8, 3.2))
    assert line == "opposite shown"
    assert all("CutMix is +3.00 points from no mixing: mixing helps (the 95 %" in note for note in notes)
    line, *notes = mixing_notes(tmp_path / "hurts", (-2.9, -3.1, -3.0, -2.8, -3.2))
    assert line == "shown"
    assert all("CutMix is −3.00 points from no mixing: mixing hurts (the 95 %" in note for note in notes)


def test_whether_mixing_helps_is_said_with_the_seeds_that_are_still_to_be_run(tmp_path):
    line, *notes = mixing_notes(tmp_path, (2.9, 3.1, 3.0))
    assert line == "opposite shown (3 of 5 seeds)"
    assert notes[0].startswith(
        "DeiT-T, large objects, 240 epochs (3 of 5 seeds): CutMix is +3.00 points from no mixing"
    )


def test_a_study_without_the_row_that_is_taken_apart_has_no_variant(tmp_path):
    study = make_study(tmp_path, "--scale", "desk", "--rows", "xcit_t", "--seeds", "2")
    for run in study.shown_in("table6"):
        write_train(run, 50.0 + run.seed)
    table = table7.build(collect(study))
    assert (table.rows, table7.numbers(collect(study))) == ((), [])
    assert table.caption.startswith("Variants of TransMix, in the cell small-120 of Table 6: ")
    assert "make table7 SCALE=desk" in table.notes[0]
