"""Figures of Table 1 and of lambda through training: what is drawn, and what is said to those who cannot see it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from experiments.study import Study
from reports.analysis.gains import gain_rows
from reports.analysis.statistics import Estimate
from reports.figures.top1 import Point, accuracy_figure, limits
from reports.figures.training import columns, lambda_curves, read_shifts, steps
from reports.records.collect import Collected, collect
from tests.made_up import make_study, write_study, write_train


def shifts(*places: int) -> dict[str, list[int]]:
    """Histograms of an epoch whose images are in some bins of the shift."""
    counts = np.bincount(places, minlength=40).tolist()
    return {"label": [len(places)] + [0] * 19, "area": [len(places)] + [0] * 19, "shift": counts}


def trained(study: Study, name: str, epochs: list[dict[str, list[int]]], distances: list[float]) -> None:
    history = [
        {"epoch": epoch, "lr": 1e-3, "loss": 2.0, "label_shift": distance, "lambda": counts, "accuracy": {"top1": 50.0}}
        for epoch, (counts, distance) in enumerate(zip(epochs, distances, strict=True))
    ]
    write_train(study.find(name), 50.0, history=history)


@pytest.fixture
def study(tmp_path) -> Study:
    return make_study(tmp_path, "--scale", "smoke", "--seeds", "2")


def test_histograms_are_added_up_over_seeds_and_distances_averaged(study):
    trained(study, "table1.deit_t.transmix.seed0", [shifts(20, 20, 20, 18), shifts(17, 20, 22, 22)], [0.01, 0.06])
    trained(study, "table1.deit_t.transmix.seed1", [shifts(19, 20), shifts(19, 24)], [0.03, 0.1])
    found = read_shifts(collect(study), "deit_t")
    assert found.counts[0, 17:25].tolist() == [0, 1, 1, 4, 0, 0, 0, 0]
    assert found.counts[1, 17:25].tolist() == [1, 0, 1, 1, 0, 2, 0, 1]
    assert found.distance.tolist() == pytest.approx([0.02, 0.08])
    assert found.moved.tolist() == pytest.approx([1 / 6, 4 / 6])  # bins 19 and 20 are within 0.05
    (picture,) = lambda_curves(collect(study))[0].pictures
    assert picture.alt == (
        "DeiT-T: shift of λ by epoch. Mean distance from the area’s share: 0.020 in epoch 1, 0.080 in epoch 2; "
        "moved by more than 0.05: 17 % of the images first, 67 % at the end."
    )


def test_columns_hold_shares_and_long_trainings_have_fewer_of_them():
    counts = np.zeros((100, 40), int)
    counts[:, 20] = 3
    counts[50:, 21] = 1
    edges, shares = columns(np.arange(1, 101), counts)
    assert len(shares) == 30
    assert (edges[0], edges[-1]) == (0.5, 100.5)
    assert (np.diff(edges) > 0).all()
    assert shares.sum(1) == pytest.approx(np.ones(30))
    assert shares[0, 20] == 1
    assert shares[-1, 20:22].tolist() == [0.75, 0.25]
    edges, shares = columns(np.arange(1, 5), counts[48:52] * [[0], [1], [1], [1]])
    assert edges.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert shares[:, 20].tolist() == [0, 1, 0.75, 0.75]  # an epoch without CutMix is empty
    edges, _ = columns(np.array([40, 80, 90]), counts[:3])  # a column reaches back to the last that was looked at
    assert edges.tolist() == [0.5, 40.5, 80.5, 90.5]


def test_small_shares_are_seen_and_nothing_is_nothing():
    # twelve steps by the square root of shares, half of the images being all of them
    assert steps(np.array([0, 1e-6, 0.125, 0.5, 0.9])).tolist() == [0, 1, 6, 12, 12]


def test_only_transmix_runs_with_cutmix_images_have_a_figure(study):
    write_train(study.find("table1.deit_t.baseline.seed0"), 50.0)
    assert lambda_curves(collect(study)) == []
    trained(study, "table1.deit_t.transmix.seed0", [shifts(), shifts()], [0.0, 0.0])
    assert lambda_curves(collect(study)) == []
    trained(study, "table1.deit_t.transmix.seed0", [shifts(), shifts(23)], [0.0, 0.15])
    (picture,) = lambda_curves(collect(study))[0].pictures
    assert picture.alt.endswith("0.150 in epoch 2.")  # nothing moved in the first, so no share of it


def whole(tmp_path, rows: str, *options: str) -> Collected:
    study = make_study(tmp_path, "--scale", "smoke", "--rows", rows, *options)
    write_study(study, (1.0, 2.0, 3.0))
    return collect(study)


def test_top1_against_parameters_names_every_model(tmp_path):
    picture = accuracy_figure(gain_rows(whole(tmp_path, "deit_t,cait_xxs", "--seeds", "3")))
    # 307,850 parameters each
    assert picture.alt == (
        "Top-1 (%) against millions of parameters, with and without TransMix: DeiT-T with 0.31 million, baseline "
        "50.00, TransMix 52.00 ± 2.48; CaiT-XXS with 0.31 million, baseline 50.00, TransMix 52.00 ± 2.48."
    )
    for text in (">T</text>", ">XXS</text>", ">DeiT</text>", ">CaiT</text>"):
        assert text in picture.svg
    assert ">PVT</text>" not in picture.svg


def test_a_model_trained_in_one_way_only_is_shown_too(tmp_path):
    study = make_study(tmp_path, "--scale", "smoke", "--rows", "deit_t,pvt_t")
    write_train(study.find("table1.deit_t.baseline.seed0"), 41.5)
    assert accuracy_figure(gain_rows(collect(study))) is None  # a single model
    write_train(study.find("table1.pvt_t.transmix.seed0"), 42.5)
    picture = accuracy_figure(gain_rows(collect(study)))
    assert "DeiT-T with 0.31 million, baseline 41.50; PVT-T with 0.31 million, TransMix 42.50." in picture.alt


@pytest.mark.parametrize("second", [0.30785, 0.30785 * (1 + 1e-12), 0.30785 * (1 + 2**-52), 40.0])
@pytest.mark.parametrize("top1", [50.0, 50.0 * (1 + 1e-12), 0.0, 100.0])
def test_axes_have_room_however_near_sizes_and_accuracies_are(second, top1):
    estimates = {"baseline": Estimate(50.0, None, 1), "transmix": Estimate(top1, None, 1)}
    (left, right), (low, high) = limits([Point("DeiT", "T", 0.30785, estimates), Point("PVT", "T", second, estimates)])
    assert left < 0.3
    assert right > 1.2 * second  # a tenth of a decade at least, whatever the last digits are
    assert low <= min(50.0, top1) - 0.1
    assert high >= max(50.0, top1) + 0.1


@pytest.mark.parametrize("times", [1, 1 + 1e-12])
def test_models_of_one_size_are_drawn_without_a_warning(tmp_path, times):
    study = make_study(tmp_path, "--scale", "smoke", "--rows", "deit_t,pvt_t")
    for place, row in enumerate(("deit_t", "pvt_t")):
        run = study.find(f"table1.{row}.baseline.seed0")
        write_train(run, 50.0)
        metrics = run.record().metrics
        write_train(run, 50.0, metrics=metrics | {"parameters": metrics["parameters"] * times**place})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = accuracy_figure(gain_rows(collect(study))).svg
    assert ">0.31</text>" in svg
