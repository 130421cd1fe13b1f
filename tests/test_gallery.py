"""Figures of many models: arranged by family, small where there are several, labels apart, every gain in one."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.analysis.gains import gain_rows
from reports.figures.colours import BLUE, ORANGE
from reports.figures.style import LARGE, SMALL, Panel, Picture, by_family, label_ends, spread
from reports.figures.top1 import gain_figure
from reports.page.report import build, report_folder, write
from reports.records.collect import collect
from tests.made_up import make_study, write_study


def test_families_have_lines_of_their_own_once_one_has_several_models():
    assert by_family(["deit_t", "pvt_t", "xcit_t"]) == [["deit_t", "pvt_t", "xcit_t"]]
    assert by_family(["deit_t", "pvt_t", "cait_xxs", "deit_s"]) == [["deit_t", "deit_s"], ["pvt_t"], ["cait_xxs"]]
    assert by_family(["deit_t"]) == [["deit_t"]]


@pytest.mark.parametrize("transmix", ["TransMix", "A method of a long name 51.2"])
@pytest.mark.parametrize("size", [LARGE, SMALL])
def test_labels_at_the_ends_of_lines_do_not_touch(size, transmix):
    figures, titles = [], []

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0.0, 50.0])
        titles.append(axes.set_title("CaiT-XXS: training loss"))
        names = {"baseline": "baseline", "transmix": transmix}
        label_ends(axes, {"baseline": (1, 50.0), "transmix": (1, 49.9)}, names, {"baseline": BLUE, "transmix": ORANGE})
        figures.append(figure)

    assert Picture("demo", "alt", "", size, paint).svg
    renderer = FigureCanvasAgg(figures[0]).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figures[0].axes[0].texts]
    assert len(boxes) == 2
    assert not boxes[0].overlaps(boxes[1])
    title = titles[0].get_window_extent(renderer)
    for box in boxes:
        assert box.x1 <= figures[0].bbox.x1
        assert not box.overlaps(title)


def test_labels_that_are_too_near_move_apart_about_their_middle():
    assert spread([1.0, 9.0], 2.0) == [1.0, 9.0]
    assert spread([4.0, 5.0], 2.0) == [3.5, 5.5]
    assert spread([4.0, 4.1, 4.2, 7.0, 20.0], 2.0) == pytest.approx([1.825, 3.825, 5.825, 7.825, 20.0])


def test_a_study_of_all_rows_has_a_small_figure_for_each(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke", "--rows", "all")
    write_study(study, (1.5,))
    report = build(collect(study))
    (_, curves), (swept, _) = (report.sections[name].shown.blocks for name in ("table1", "occlusion"))
    for gallery in (*curves.figures, *swept.figures):
        assert [len(line) for line in gallery.lines] == [3, 4, 4, 1]
        assert {picture.size for picture in gallery.pictures} == {(250, 187)}
    names = [picture.name for picture in curves.figures[0].pictures]
    assert names[:4] == ["accuracy_deit_t", "accuracy_deit_s", "accuracy_deit_b", "accuracy_pvt_t"]
    page = write(report, report_folder(study))
    files = {path.name for path in (page.parent / "figures").iterdir()}
    kinds = ("accuracy", "loss", "lambda", "occlusion", "shuffle", "corruptions")
    rows = (f"{kind}_{row}" for kind, row in itertools.product(kinds, study.rows))
    others = ("gains", "parameters", "examples", "error_deit_t_small", "error_deit_t_large")
    drawn = {f"{name}.{suffix}" for name in (*rows, *others) for suffix in ("svg", "png")}
    assert files == drawn | {"drawn.json"}
    assert 'height="187"' in page.read_text()


def test_a_single_row_has_large_figures(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke")
    write_study(study, (1.5,))
    report = build(collect(study))
    (curves,) = report.sections["table1"].shown.blocks  # neither gains nor top-1 by size: a single model
    assert isinstance(curves, Panel)
    assert {picture.size for gallery in curves.figures for picture in gallery.pictures} == {(442, 288)}


def test_the_figure_of_gains_has_every_model_with_its_interval(tmp_path):
    study = make_study(tmp_path, "--scale", "tiny", "--rows", "deit_t,pvt_t,deit_s", "--seeds", "3")
    write_study(study, (1.0, 2.0, 3.0))
    picture = gain_figure(gain_rows(collect(study)))
    order = [picture.svg.index(f">{name}</text>") for name in ("DeiT-T", "DeiT-S", "PVT-T")]
    assert order == sorted(order)
    assert picture.svg.count("+2.00 ± 2.48") == 3
    assert "DeiT-S +2.00 ± 2.48, published +0.9" in picture.alt
