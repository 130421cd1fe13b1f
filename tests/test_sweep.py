"""A sweep against one image and one setting at a time; resuming, sharing a pass, and several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sweeps import ALONE, SWEEP, model, swept

from experiments.kinds.occlusion import ANSWERS
from experiments.protocols import Sweep
from experiments.trained import TrainedModel
from robustness import sweep as sweep_module
from robustness.answers import Answers
from robustness.saliency import OwnAttention, find_saliency
from robustness.settings import settings_of
from robustness.sheet import write_sheet
from robustness.sweep import Subject, choose_images, measure, metrics_of
from transmix.attention import ClassAttention
from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.common.stopping import Stopped
from transmix.data.loaders import Samples, eval_transform
from transmix.data.sources.folders import FolderImages
from transmix.training.distributed import join_processes

spawn = multiprocessing.get_context("forkserver")
spawn.set_forkserver_preload(["robustness.sweep"])


@pytest.fixture(scope="module")
def whole(shared_folders, tmp_path_factory) -> Subject:
    """A model's answers in a sweep that nothing interrupts."""
    (subject,) = swept(tmp_path_factory.mktemp("whole"), shared_folders, [model()])
    return subject


@torch.no_grad()
def by_hand(trained: TrainedModel, root: Path, sweep: Sweep) -> dict[str, list[bool]]:
    """Every answer, one image and one setting at a time."""
    samples = Samples(FolderImages(root / "val"), eval_transform(trained.view))
    found: dict[str, list[bool]] = {}
    order = choose_images(sweep, 15).tolist()
    for setting in settings_of(sweep, (8, 8)):
        found[setting.key] = []
        for place, index in enumerate(order):
            pixels, label = samples[0, 0, index]
            image = torch.as_tensor(pixels)[None] / 255
            owner = index if sweep.protocol == "per_image" else place // sweep.shared
            reader = ClassAttention(trained.model)
            trained.model(trained.normalise(image))
            attention = reader.take()
            reader.remove()
            extra = (attention,) if setting.salient else ()
            drawn = setting.draws(sweep.seed, torch.tensor([owner]))
            image = setting.perturb(image, setting.severity, drawn, *extra)
            found[setting.key].append(trained.model(trained.normalise(image)).argmax().item() == label)
    return found


@pytest.mark.parametrize("protocol", ["per_image", "published"])
def test_every_answer_is_that_of_one_image_alone(shared_folders, tmp_path, protocol):
    sweep = replace(SWEEP, protocol=protocol, shared=6)
    (subject,) = swept(tmp_path, shared_folders, [model()], sweep)
    expected = by_hand(model(), shared_folders, sweep)
    right = dict(zip(subject.answers.keys, subject.answers.right.tolist(), strict=True))
    assert right == {key: list(map(int, values)) for key, values in expected.items()}
    assert len({tuple(row) for row in subject.answers.right.tolist()}) > 10  # what is done to the images matters
    metrics = metrics_of(sweep, settings_of(sweep, (8, 8)), subject.answers, (8, 8))
    clean = 100 * np.mean(expected["clean/0/0"])
    assert metrics["clean"] == pytest.approx(clean)
    random = metrics["curves"]["random"]
    assert random["top1"][1] == pytest.approx([100 * np.mean(expected[f"random/{tenths}/1"]) for tenths in (3, 7)])
    assert random["area"] == pytest.approx(np.mean([clean, *np.mean(random["top1"], 0)]))
    assert random["patches"] == [19, 44]
    other = metrics["curves"]["non_salient"]
    points = [clean] * (protocol == "per_image") + other["top1"][0]
    assert other["area"] == pytest.approx(np.mean(points))


def test_models_that_share_a_pass_answer_as_they_do_alone(whole, shared_folders, tmp_path):
    together = swept(tmp_path / "both", shared_folders, [model(0), model(1)])
    (other,) = swept(tmp_path / "alone", shared_folders, [model(1)])
    for alone, one in zip((whole, other), together, strict=True):
        assert np.array_equal(alone.answers.right, one.answers.right)
    assert not np.array_equal(together[0].answers.right, together[1].answers.right)


class Interrupted(Exception):
    pass


def test_an_interrupted_sweep_goes_on_and_asks_nothing_twice(whole, shared_folders, tmp_path, monkeypatch):
    ask, asked = sweep_module.ask, []

    def asking_at_most(limit: int):
        def ask_or_die(*args):
            if len(asked) == limit:
                raise Interrupted
            asked.append(args[3].start)
            ask(*args)

        return ask_or_die

    cut = tmp_path / "cut" / "0"
    monkeypatch.setattr(sweep_module, "ask", asking_at_most(2))
    with pytest.raises(Interrupted):
        swept(tmp_path / "cut", shared_folders, [model()], checkpoint_seconds=0)
    assert [path.name for path in cut.iterdir()] == [f"rank0.{ANSWERS}"]
    spent = Answers(cut, settings_of(SWEEP, (8, 8)), choose_images(SWEEP, 15)).seconds
    assert spent > 0
    monkeypatch.setattr(sweep_module, "ask", asking_at_most(100))
    (continued,) = swept(tmp_path / "cut", shared_folders, [model()])
    assert asked == [0, 4, 8, 12]
    assert continued.answers.seconds == spent
    assert np.array_equal(continued.answers.right, whole.answers.right)
    assert (cut / ANSWERS).read_bytes() == (whole.answers.folder / ANSWERS).read_bytes()
    assert [path.name for path in cut.iterdir()] == [ANSWERS]


def test_settings_that_are_done_are_not_done_again(shared_folders, tmp_path, monkeypatch):
    swept(tmp_path, shared_folders, [model()], replace(SWEEP, draws=1))
    classes_of, passes = sweep_module.classes_of, []
    monkeypatch.setattr(sweep_module, "classes_of", lambda *args: (passes.append(1), classes_of(*args))[1])
    swept(tmp_path, shared_folders, [model()], replace(SWEEP, draws=1))
    assert not passes
    (more,) = swept(tmp_path, shared_folders, [model()], replace(SWEEP, draws=3))
    assert len(passes) == 4 * (2 + 2 + 1 + 1)  # batches x settings: two more draws of two ratios and of one shuffle
    (fresh,) = swept(tmp_path / "fresh", shared_folders, [model()], replace(SWEEP, draws=3))
    assert np.array_equal(more.answers.right, fresh.answers.right)


def test_where_a_model_looks_is_read_from_the_pass_over_the_clean_images(whole, shared_folders, tmp_path):
    watched, passes = model(), []
    watched.model.register_forward_hook(lambda *_: passes.append(1))
    (subject,) = swept(tmp_path, shared_folders, [watched])
    assert len(passes) == 4 * len(subject.answers.keys)  # batches x settings, and none more
    assert np.array_equal(subject.answers.right, whole.answers.right)
    images = FolderImages(shared_folders / "val")
    subject.answers.right[1:] = -1  # all but the clean setting is asked again
    settings, grid = settings_of(SWEEP, (8, 8)), (8, 8)
    passes.clear()
    measure([subject], images, SWEEP, settings, find_saliency(SWEEP, watched, images, grid), ALONE, Runtime(0, False))
    assert len(passes) == 4 * len(settings)  # one for the attention, one for each setting but the clean one
    assert np.array_equal(subject.answers.right, whole.answers.right)


def test_a_signal_keeps_the_answers(whole, shared_folders, tmp_path, monkeypatch):
    """A batch under many settings takes a large model long, so a stop does not wait for its end."""
    classes_of, passes = sweep_module.classes_of, []

    def answer_and_signal(*args):
        passes.append(1)
        if len(passes) == 3:
            os.kill(os.getpid(), signal.SIGUSR1)
        return classes_of(*args)

    monkeypatch.setattr(sweep_module, "classes_of", answer_and_signal)
    with pytest.raises(Stopped, match="run the same command again to continue"):
        swept(tmp_path / "cut", shared_folders, [model()])
    kept = Answers(tmp_path / "cut" / "0", settings_of(SWEEP, (8, 8)), choose_images(SWEEP, 15))
    assert kept.lacking(range(4)).tolist() == [False] * 3 + [True] * (len(kept.keys) - 3)
    assert kept.lacking(range(4, 15)).all()
    (continued,) = swept(tmp_path / "cut", shared_folders, [model()])
    assert len(passes) == 4 * len(kept.keys)
    assert np.array_equal(continued.answers.right, whole.answers.right)


def member(rank: int, world: int, port: int, root: Path, out: Path) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with join_processes("cpu") as processes:
        (subject,) = swept(out, root, [model()], processes=processes)
        np.save(out / f"{rank}.npy", subject.answers.right)


def test_two_processes_give_the_same_answers(whole, shared_folders, tmp_path):
    two = tmp_path / "two"
    some = Answers(two / "0", settings_of(SWEEP, (8, 8)), choose_images(SWEEP, 15))  # by a session that was interrupted
    some.right[:, :6] = whole.answers.right[:, :6]
    some.keep_part(ALONE, seconds=1.0)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    members = [spawn.Process(target=member, args=(rank, 2, port, shared_folders, two)) for rank in range(2)]
    for process in members:
        process.start()
    for process in members:
        process.join(120)
    assert [process.exitcode for process in members] == [0, 0]
    for rank in range(2):
        assert np.array_equal(np.load(two / f"{rank}.npy"), whole.answers.right)
    assert (two / "0" / ANSWERS).read_bytes() == (whole.answers.folder / ANSWERS).read_bytes()


def test_answers_about_other_images_are_refused(shared_folders, tmp_path):
    swept(tmp_path, shared_folders, [model()])
    with pytest.raises(UserError, match=r"answers\.npz are about other images: delete the file"):
        swept(tmp_path, shared_folders, [model()], replace(SWEEP, images=5))
    (tmp_path / "0" / ANSWERS).write_bytes(b"torn")
    with pytest.raises(UserError, match=r"answers\.npz cannot be read: delete the file"):
        swept(tmp_path, shared_folders, [model()])


def test_the_sheet_shows_every_setting_of_the_first_draw(whole, shared_folders, tmp_path):
    settings = settings_of(SWEEP, (8, 8))
    saliency = OwnAttention((8, 8))
    write_sheet(tmp_path / "sheet.png", whole, FolderImages(shared_folders / "val"), SWEEP, settings, saliency)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[2] == 3
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100


def test_outputs_that_are_no_numbers_are_not_scored(shared_folders, tmp_path):
    trained = model()
    with torch.no_grad():
        trained.model.head.bias[1] = torch.nan
    with pytest.raises(UserError, match=r"NaN or infinite on .* so nothing was measured"):
        swept(tmp_path, shared_folders, [trained], Sweep(curves=("contrast",)))
