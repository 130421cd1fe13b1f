"""A sweep against one image and one setting at a time; resuming, sharing a pass, and several processes."""

from __future__ import annotations

import json
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
from pycocotools import mask as coco_mask

from experiments.kinds.occlusion import ANSWERS
from experiments.protocols import CURVES, Sweep
from experiments.trained import TrainedModel
from robustness import sweep as sweep_module
from robustness.answers import Answers
from robustness.masks import Instances, LabelMaps, OwnMasks, open_masks
from robustness.models import load_trained_model
from robustness.saliency import DinoAttention, Objects, OwnAttention, find_saliency
from robustness.settings import settings_of
from robustness.sheet import write_sheet
from robustness.sweep import Subject, choose_images, grid_of, measure, metrics_of
from transmix.attention import ClassAttention
from transmix.common.errors import UserError
from transmix.common.runtime import Runtime
from transmix.common.stopping import Stopped
from transmix.data.loaders import Normalizer, Samples, eval_transform
from transmix.data.sources.folders import FolderImages
from transmix.data.view import View
from transmix.models import create_model
from transmix.training.checkpoints import save_weights
from transmix.training.distributed import Processes, join_processes

spawn = multiprocessing.get_context("forkserver")
spawn.set_forkserver_preload(["robustness.sweep"])
ALONE = Processes(0, 1, torch.device("cpu"))
SWEEP = Sweep(CURVES, tenths=(3, 7), cells=((2, 2),), severities=(3,), draws=2, saliency="attention")


def model(seed: int = 0) -> TrainedModel:
    """A model with random weights that sees all three classes, and changes its mind when an image changes."""
    torch.manual_seed(seed)
    made = create_model("deit_micro_tiny_patch8_64", num_classes=3)
    normalise = Normalizer((0.5,) * 3, (0.25,) * 3).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" not in name:  # what does not depend on the image is small
                parameter.copy_(torch.randn(parameter.shape) * (0.3 if name.endswith("weight") else 0.03))
        noise = (torch.rand(15, 3, 64, 64) + torch.arange(15).view(-1, 1, 1, 1) / 15) / 2
        made.head.bias -= made.eval()(normalise(noise)).mean(0)
    return TrainedModel("deit_micro_tiny_patch8_64", made, View(64, mean=(0.5,) * 3, std=(0.25,) * 3, batch_size=4))


def swept(
    out: Path, root: Path, trained: list[TrainedModel], sweep: Sweep = SWEEP, processes: Processes = ALONE, **runtime
) -> list[Subject]:
    images, grid = FolderImages(root / "val"), grid_of(sweep, trained[0])
    settings = settings_of(sweep, grid)
    indices = choose_images(sweep, len(images))
    subjects = [Subject(str(i), one, Answers(out / str(i), settings, indices)) for i, one in enumerate(trained)]
    saliency = find_saliency(sweep, trained[0], images, grid)
    measure(subjects, images, sweep, settings, saliency, processes, Runtime(0, progress=False, **runtime))
    return subjects


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


def test_the_grid_is_the_published_one_at_224_px_and_else_the_models_own():
    trained = model()
    assert grid_of(SWEEP, trained) == (8, 8)
    large = replace(trained, view=replace(trained.view, image_size=224))
    assert grid_of(SWEEP, large) == (14, 14)
    assert grid_of(replace(SWEEP, grid=4), trained) == (4, 4)
    with pytest.raises(UserError, match="64 px does not divide into 7 x 7"):
        grid_of(replace(SWEEP, grid=7), trained)
    with pytest.raises(UserError, match="64 px does not divide into 14 x 14"):
        grid_of(replace(SWEEP, cells=((14, 14),)), trained)
    other = replace(trained, model=create_model("resnet18", num_classes=3))
    with pytest.raises(UserError, match="no grid of patches of its own: choose one"):
        grid_of(SWEEP, other)


@torch.no_grad()
def test_saliency_of_the_model_of_dino_and_of_objects(shared_folders, tmp_path):
    trained, images = model(), torch.rand(2, 3, 64, 64)
    reader = ClassAttention(trained.model)
    trained.model(trained.normalise(images))
    assert torch.allclose(OwnAttention((8, 8))(trained, images, [0, 1]), reader.take())
    coarse = OwnAttention((4, 4))(trained, images, [0, 1])
    trained.model(trained.normalise(images))
    assert torch.allclose(coarse.view(2, 4, 4), reader.take().view(2, 4, 2, 4, 2).mean((2, 4)))

    dino = model(5).model
    block, seen = dino.blocks[-1].attn, []
    block.fused_attn = False
    hook = block.attn_drop.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    dino(trained.normalise(images))
    hook.remove()
    found = DinoAttention(dino, (8, 8))(trained, images, [0, 1])
    assert torch.allclose(found, seen[0][:, 1, 0, 1:], atol=1e-5)  # head 1, and the evaluated model's normalisation

    names = Samples(FolderImages(shared_folders / "val"), eval_transform(trained.view)).names()
    mask = np.zeros((64, 64), np.uint8)
    mask[:8, :4] = 255
    for name in names:
        path = (tmp_path / name).with_suffix(".png")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(mask).save(path)
    shares = Objects(open_masks(tmp_path, names, 64, 1.0), (8, 8))(trained, images, [0, 3])
    assert shares[1].tolist() == [0.5] + [0.0] * 63


@pytest.mark.parametrize(("mode", "share"), [("center", 0.0), ("squash", 0.25)])
def test_images_and_masks_are_cropped_as_timm_crops_them_for_the_model(tmp_path, monkeypatch, mode, share):
    wide = np.zeros((64, 128, 3), np.uint8)
    wide[:, :32] = 255  # what a centre crop cuts off
    (tmp_path / "val" / "class0").mkdir(parents=True)
    Image.fromarray(wide).save(tmp_path / "val" / "class0" / "wide.png")
    trained, images = model(), FolderImages(tmp_path / "val")
    trained = replace(trained, view=replace(trained.view, crop=1.0, crop_mode=mode))
    seen = []
    predict = sweep_module.predict
    monkeypatch.setattr(sweep_module, "predict", lambda *args: (seen.append(args[1]), predict(*args))[1])
    swept(tmp_path / "out", tmp_path, [trained], Sweep(curves=("contrast",)))
    sweep = Sweep(curves=("salient",), saliency="objects")
    objects = find_saliency(sweep, trained, images, (4, 4), masks=tmp_path / "val")
    assert (seen[0] > 0.5).float().mean() == pytest.approx(share, abs=0.01)
    assert objects(trained, seen[0], [0]).mean() == pytest.approx(share, abs=0.01)


def test_a_timm_model_is_shown_images_as_its_configuration_says(tmp_path):
    torch.save(create_model("vit_tiny_patch16_384", num_classes=2).state_dict(), tmp_path / "vit.pth")
    trained = load_trained_model("vit_tiny_patch16_384", tmp_path / "vit.pth")
    assert trained.view.image_size == 384
    assert trained.normalise.mean.flatten().tolist() == [0.5] * 3  # not ImageNet's
    assert grid_of(Sweep(curves=("random",)), trained) == (24, 24)
    name = "convnext_tiny.fb_in22k_ft_in1k_384"
    torch.save(create_model(name, num_classes=2).state_dict(), tmp_path / "convnext.pth")
    assert load_trained_model(name, tmp_path / "convnext.pth").view.crop_mode == "squash"


def test_masks_in_the_layouts_of_ade20k_and_coco(tmp_path):
    labels = np.zeros((64, 64), np.uint8)
    labels[8:24, 16:40] = 7
    Image.fromarray(labels).save(tmp_path / "b.png")
    runs = coco_mask.encode(np.asfortranarray(labels > 0))
    changes = np.flatnonzero(np.diff((labels > 0).T.ravel())) + 1  # run lengths go down the columns
    forms = [
        {"size": [64, 64], "counts": runs["counts"].decode()},
        {"size": [64, 64], "counts": np.diff([0, *changes, 64 * 64]).tolist()},
        [[16, 8, 40, 8, 40, 24, 16, 24]],
    ]
    for form in forms:
        document = {
            "images": [{"id": 3, "file_name": "b.jpg", "height": 64, "width": 64}],
            "annotations": [{"image_id": 3, "segmentation": form}],
        }
        (tmp_path / "instances.json").write_text(json.dumps(document))
        found = open_masks(tmp_path / "instances.json", ["cat/b.jpg", "cat/c.jpg"], 64, 1.0)
        assert isinstance(found, Instances)
        assert torch.equal(found[0], torch.from_numpy(labels > 0))
        with pytest.raises(UserError, match=r"does not list image cat/c\.jpg"):
            found[1]
    ade = open_masks(tmp_path, ["cat/b.jpg"], 64, 1.0)
    assert isinstance(ade, LabelMaps)
    assert torch.equal(ade[0], torch.from_numpy(labels > 0))
    with pytest.raises(UserError, match="no masks at"):
        open_masks(tmp_path / "nowhere", ["cat/b.jpg"], 64, 1.0)
    (tmp_path / "instances.json").write_text("[]")
    with pytest.raises(UserError, match="no list of COCO's format"):
        open_masks(tmp_path / "instances.json", ["cat/b.jpg"], 64, 1.0)
    assert type(open_masks(tmp_path, ["./b.jpg"], 64, 1.0)) is OwnMasks


def test_objects_need_masks(shared_folders):
    with pytest.raises(UserError, match=r"'objects' needs masks, and .*val has none beside it"):
        find_saliency(replace(SWEEP, saliency="objects"), model(), FolderImages(shared_folders / "val"), (8, 8))


def test_the_sheet_shows_every_setting_of_the_first_draw(whole, shared_folders, tmp_path):
    settings = settings_of(SWEEP, (8, 8))
    saliency = OwnAttention((8, 8))
    write_sheet(tmp_path / "sheet.png", whole, FolderImages(shared_folders / "val"), SWEEP, settings, saliency)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[2] == 3
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100


def test_weights_of_this_suite_are_a_users_model_too(tmp_path):
    trained = model()
    about = {"model": "deit_micro_tiny_patch8_64", "num_classes": 3, "image_size": 64}
    about |= {"mean": [0.1] * 3, "std": [0.3] * 3}
    save_weights(trained.model, tmp_path / "w.safetensors", about)
    loaded = load_trained_model("deit_micro_tiny_patch8_64", tmp_path / "w.safetensors")
    assert loaded.normalise.mean.flatten().tolist() == pytest.approx([0.1] * 3)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded.model(images), trained.model(images))


def test_outputs_that_are_no_numbers_are_not_scored(shared_folders, tmp_path):
    trained = model()
    with torch.no_grad():
        trained.model.head.bias[1] = torch.nan
    with pytest.raises(UserError, match=r"NaN or infinite on .* so nothing was measured"):
        swept(tmp_path, shared_folders, [trained], Sweep(curves=("contrast",)))
