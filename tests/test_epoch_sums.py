"""What an epoch's line counts, against NumPy on the lambdas of the same steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from recipes import small_recipe

from transmix.common.runtime import Runtime
from transmix.data.sources.folders import read_folders
from transmix.labels import Box
from transmix.mixing import cutmix, mixup
from transmix.training.distributed import Processes
from transmix.training.epoch_sums import SIZE, EpochSums, lambda_counts, summary
from transmix.training.loop import Trainer

ALONE = Processes(0, 1, torch.device("cpu"))


def numpy_counts(label: np.ndarray, area: np.ndarray) -> dict[str, list[int]]:
    label, area = label.astype(np.float64), area.astype(np.float64)
    unit = [np.histogram(values, 20, (0, 1))[0].tolist() for values in (label, area)]
    return {"label": unit[0], "area": unit[1], "shift": np.histogram(label - area, 40, (-1, 1))[0].tolist()}


def sums_of(*micro_batch) -> torch.Tensor:
    """What one micro-batch adds."""
    sums = EpochSums(micro_batch[0].device)
    sums.note(*micro_batch)
    return sums.total


def named(counts: torch.Tensor) -> dict[str, list[int]]:
    return summary(torch.cat([torch.ones(SIZE - len(counts), dtype=torch.float64), counts]))["lambda"]


def test_counts_are_numpys():
    rng = np.random.default_rng(0)
    label, area = rng.random((2, 5000), dtype=np.float32)
    edges = np.float32([0, 0.25, 0.5, 0.75, 1])  # those that a float32 can hold
    edges = np.concatenate([edges, np.nextafter(edges, np.float32(0)), np.nextafter(edges, np.float32(1))])
    label, area = np.concatenate([label, edges]), np.concatenate([area, edges[::-1]])
    found = named(lambda_counts(*(torch.from_numpy(values)[None].double() for values in (label, area)))[0])
    assert found == numpy_counts(label, area)
    assert min(found["label"]) > 0


def test_edges_belong_to_the_bin_above_and_one_to_the_last():
    label, area = torch.tensor([[0.25, 1.0, 0.0, 0.7], [0.5, 0.0, 1.0, 0.7]], dtype=torch.float32).double()
    (counts,) = lambda_counts(label[None], area[None])
    found = {name: np.flatnonzero(some).tolist() for name, some in named(counts).items()}
    assert found == {"label": [0, 5, 13, 19], "area": [0, 10, 13, 19], "shift": [0, 15, 20, 39]}  # 0.7 < 14 / 20


@pytest.mark.parametrize("side", range(1, 60))
def test_the_area_rule_moves_no_label_by_a_rounding_error(side):
    mix = cutmix(torch.zeros(3, 3, 60, 60), Box(0, side, 0, 11))
    sums = summary(sums_of(torch.tensor(1.5), mix.lam, mix))
    assert sums["lambda"]["shift"] == [0] * 20 + [3] + [0] * 19
    assert sums["lambda"]["label"] == sums["lambda"]["area"]
    assert (sums["loss"], sums["label_shift"]) == (1.5, 0.0)


def test_errors_of_labels_are_their_distances_from_the_visible_share():
    images, objects = torch.zeros(4, 3, 8, 8), torch.zeros(4, 8, 8, dtype=torch.bool)
    objects[0, :, :4], objects[3, :4] = True, True  # images 1 and 2 are partners, and no object shows there
    mix = cutmix(images, Box(0, 8, 0, 4))
    # image 0 keeps nothing of its object and shows half of its partner's, image 3 half of its own and all of the other
    true, area, label = np.array([1, 2 / 3]), 0.5, np.float32([0.75, 0.25])
    lam = torch.tensor([label[0], 0.1, 0.2, label[1]])
    found = summary(sums_of(torch.tensor(1.0), lam, mix, objects))["lambda_error"]
    assert found["label"] == pytest.approx(np.abs(label - true).mean())
    assert found["area"] == pytest.approx(np.abs(area - true).mean())
    assert "lambda_error" not in summary(sums_of(torch.tensor(1.0), lam, mix))


def test_a_loss_may_have_an_axis_of_one():
    mix, sums = mixup(torch.zeros(4, 3, 8, 8), 0.3), EpochSums(torch.device("cpu"))
    for loss in (torch.tensor([2.0]), torch.tensor(1.0)):
        sums.note(loss, mix.lam, mix)
    assert summary(sums.total)["loss"] == 1.5


def test_mixup_is_not_counted():
    mix = mixup(torch.zeros(4, 3, 8, 8), 0.3)
    sums = summary(sums_of(torch.tensor(1.0), mix.lam, mix))
    assert sums["lambda"] == {"label": [0] * 20, "area": [0] * 20, "shift": [0] * 40}
    assert sums["label_shift"] == 0.0


def test_a_step_does_not_wait_for_its_sums():
    """On the meta device tensors have no values: whatever asked for one would fail."""
    mix = cutmix(torch.zeros(4, 3, 8, 8, device="meta"), Box(0, 4, 0, 8))
    sums = EpochSums(mix.images.device)
    for _ in range(200):
        sums.note(torch.zeros((), device="meta"), torch.zeros(4, device="meta"), mix)
    assert (sums.total.shape, sums.total.dtype, sums.total.device.type) == ((SIZE,), torch.float64, "meta")


def test_sums_are_the_same_to_the_bit_whenever_they_are_counted():
    generator = torch.Generator().manual_seed(0)
    now, later = (EpochSums(torch.device("cpu")) for _ in range(2))
    objects, pasted = torch.rand(9, 8, 8, generator=generator) > 0.8, 0
    for step in range(200):
        images, loss, lam = torch.zeros(9, 3, 8, 8), *torch.rand(10, generator=generator).split([1, 9])
        mix = mixup(images, 0.3) if step % 3 == 0 else cutmix(images, Box(0, 1 + step % 8, 0, 5))
        pasted += mix.pasted is not None
        for sums in (now, later):
            sums.note(loss[0], lam, mix, objects if step % 2 else None)
        assert torch.isfinite(now.total).all()
    assert torch.equal(now.total, later.total)
    assert now.total[1:4:2].tolist() == [200, pasted]
    now.total.zero_()
    assert not now.total.any()


def epoch_and_results(root: Path, out: Path, **settings) -> tuple[dict, list[dict]]:
    """The line of a run's only epoch, and what the task returned in each of its micro-batches."""
    recipe = small_recipe(epochs=1, micro_batch=4, ema_decay=None, report_ema=False, **settings)
    run = Trainer(recipe, read_folders(root), out, 0, ALONE, Runtime(0, progress=False))
    results: list[dict] = []
    run.task.register_forward_hook(lambda module, inputs, result: results.append(result))
    run.run()
    return run.history[0], results


@pytest.mark.parametrize("rule", ["area", "mean", "attention"])
def test_an_epochs_line_counts_its_cutmix_images(shared_folders, tmp_path, rule):
    line, results = epoch_and_results(shared_folders, tmp_path, label_rule=rule)
    assert len(results) == 3 * 4
    mixed = [result for result in results if result["mix"].pasted is not None]
    assert 0 < len(mixed) < len(results)
    label = np.concatenate([result["lam"].numpy() for result in mixed])
    area = np.concatenate([result["mix"].lam.numpy() for result in mixed])
    assert line["lambda"] == numpy_counts(label, area)
    assert sum(line["lambda"]["shift"]) == 4 * len(mixed)
    assert line["label_shift"] == pytest.approx(np.abs(label - area).mean())
    assert (np.count_nonzero(line["lambda"]["shift"]) == 1) == (rule == "area")
    assert line["loss"] == pytest.approx(np.mean([result["loss"].item() for result in results]))


def test_without_cutmix_all_counts_are_zero(shared_folders, tmp_path):
    line, _ = epoch_and_results(shared_folders, tmp_path, cutmix_alpha=0.0, label_rule="area")
    assert {sum(counts) for counts in line["lambda"].values()} == {0}
