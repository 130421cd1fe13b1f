"""What a sweep is given: a user's model and its grid, images as it is shown them, where it looks, and masks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from sweeps import SWEEP, model, swept

from experiments.protocols import Sweep
from robustness import sweep as sweep_module
from robustness.masks import Instances, LabelMaps, OwnMasks, open_masks
from robustness.models import load_trained_model
from robustness.saliency import DinoAttention, Objects, OwnAttention, find_saliency
from robustness.sweep import grid_of
from transmix.attention import ClassAttention
from transmix.common.errors import UserError
from transmix.data.loaders import Samples, eval_transform
from transmix.data.sources.folders import FolderImages
from transmix.models import create_model
from transmix.training.checkpoints import save_weights


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
