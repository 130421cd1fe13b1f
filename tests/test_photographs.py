"""The scales `cifar100` and `in100`: what they train, on what, and what is said where the data are others."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.__main__ import main
from experiments.estimate import Assumptions, estimate
from experiments.scales import SCALES
from experiments.study import Study
from tests.made_up import make_study, write_train
from transmix.common.errors import UserError
from transmix.data.sources import SourceSpec, read_source
from transmix.data.sources.class_lists import LISTS, class_list
from transmix.methods import of_table

NAME = "imagenet100"


def write(root: Path, classes: tuple[str, ...]) -> Path:
    for split in ("train", "val"):
        for place, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            Image.new("RGB", (8, 8), (place, 0, 0)).save(root / split / name / "0.png")
    return root


def study(tmp_path: Path, *options: str) -> Study:
    return make_study(tmp_path / "results", *options)


def test_the_list_has_100_classes_of_imagenet_and_its_source():
    from timm.data import ImageNetInfo

    names = class_list(NAME)
    assert len(names) == len(set(names)) == 100
    assert list(names) == sorted(names)
    assert {*names} <= {*ImageNetInfo().label_names()}
    assert names[0] == "n01558993"  # robin
    assert "HobbitLong/CMC" in LISTS[NAME]


def test_its_classes_are_read_out_of_all_with_labels_in_its_order(tmp_path):
    root = write(tmp_path / "imagenet", (*class_list(NAME), "n01440764", "n15075141"))
    source = read_source(SourceSpec("", "", root, NAME), tmp_path / "cache")
    assert source.classes == class_list(NAME)
    assert source.counts == {"train": 100, "val": 100}
    images = source.open("train")
    assert [images[index][1] for index in range(len(images))] == list(range(100))
    assert np.asarray(images[42][0])[0, 0, 0] == 42
    whole = read_source(SourceSpec("", "", root), tmp_path / "cache")
    assert whole.num_classes == 102
    assert whole.fingerprint != source.fingerprint
    alone = read_source(SourceSpec("", "", write(tmp_path / "alone", class_list(NAME)), NAME), tmp_path / "cache")
    assert alone.fingerprint == source.fingerprint


def test_a_folder_without_some_of_them_is_named(tmp_path):
    root = write(tmp_path / "few", class_list(NAME)[:-2])
    with pytest.raises(UserError) as error:
        read_source(SourceSpec("", "", root, NAME), tmp_path / "cache")
    assert str(error.value).startswith(
        f"{root / 'train'} lacks 2 of the 100 classes of {NAME}, {class_list(NAME)[-2]} "
    )
    assert "\n" not in str(error.value)


def test_a_subset_is_other_data(tmp_path):
    whole, part = (SourceSpec("", "", tmp_path, subset) for subset in ("", NAME))
    assert whole.identity != part.identity
    assert (whole.title, part.title) == ("class folders", f"class folders, {NAME}")


def test_in100_reads_the_list_and_nothing_else(tmp_path):
    given = study(tmp_path, "--scale", "in100", "--imagenet", str(tmp_path))
    data = given.classification_data
    assert (data.name, data.source.subset) == (NAME, NAME)
    assert {run.row for run in given.plan()} == {"deit_t", "deit_s"}
    settings = given.find("table1.deit_s.transmix.seed0").settings
    assert (settings["epochs"], settings["model"], settings["ema_decay"]) == (100, "deit_small_patch16_224", None)
    with pytest.raises(UserError, match="SCALE=in100 reads class folders, not torch/cifar100"):
        study(tmp_path, "--scale", "in100", "--imagenet", f"torch/cifar100:{tmp_path}").check_data()


def test_cifar100_trains_every_rival_by_the_benchmarks_recipe(tmp_path):
    given = study(tmp_path, "--scale", "cifar100")
    trainings = [run for run in given.plan() if run.kind == "train"]
    assert {run.method for run in trainings} == {*of_table("table2")} - {"oracle"}
    assert {run.row for run in trainings} == {"deit_s"}
    recipe = SCALES["cifar100"].recipe("deit_s", "transmix")
    assert (recipe.epochs, recipe.batch_size, recipe.image_size, recipe.label_rule) == (200, 100, 224, "mean")
    assert (recipe.crop_scale, recipe.random_erasing, recipe.clip_grad) == ((0.8, 1.0), 0.0, 5.0)
    hours = {
        run.method: estimate(run, Assumptions(train_images=50_000, val_images=10_000)).gpu_hours for run in trainings
    }
    assert 10 < hours["cutmix"] < 20  # in float32, of an A100
    assert hours["puzzlemix"] == pytest.approx(2 * hours["cutmix"], rel=0.05)  # a further forward and backward pass
    assert not [run for run in given.plan() if run.table in ("table3", "table4", "table5")]


def test_methods_are_mixed_as_the_benchmark_does_unless_one_says_otherwise(tmp_path):
    usual = study(tmp_path, "--scale", "cifar100")
    names = ("baseline", "cutmix", "attentivemix", "puzzlemix", "saliencymix", "fmix")
    alphas = {name: usual.recipe("deit_s", name).cutmix_alpha for name in names}
    assert alphas == dict(zip(names, (1.0, 2.0, 2.0, 2.0, 0.2, 1.0), strict=True))
    assert usual.recipe("deit_s", "resizemix").mix_options == {"variant": "openmixup", "interpolation": "bilinear"}
    chosen = study(tmp_path, "--scale", "cifar100", "--set", "cutmix_alpha=.5", "--set", "mix_options.variant=official")
    assert chosen.recipe("deit_s", "cutmix").cutmix_alpha == 0.5
    assert chosen.recipe("deit_s", "resizemix").mix_options == {"interpolation": "bilinear"}


def test_another_set_is_named_before_work_starts(tmp_path):
    for name in ("torch/cifar10:", ""):
        given = study(tmp_path, "--scale", "cifar100", "--imagenet", f"{name}{tmp_path}")
        with pytest.raises(
            UserError, match=r"SCALE=cifar100 reads torch/cifar100, not .*: give IMAGENET=torch/cifar100:"
        ):
            given.check_data()


def test_without_data_a_run_says_what_to_give(tmp_path, monkeypatch):
    places = ["--results", str(tmp_path / "results"), "--data", str(tmp_path / "data"), "--device", "cpu"]
    for scale, given in (("cifar100", "IMAGENET=torch/cifar100:/path"), ("in100", "IMAGENET=/path/to/imagenet")):
        command = ["experiments", "run", "table1.deit_s.transmix.seed0", "--scale", scale]
        monkeypatch.setattr(sys, "argv", [*command, *places])
        with pytest.raises(UserError, match=f"there are no embedded data for .*: give {given}"):
            main()


def test_a_run_that_is_done_needs_no_data(tmp_path, monkeypatch, capsys):
    run = study(tmp_path, "--scale", "cifar100").find("table1.deit_s.transmix.seed0")
    write_train(run, 50.0)
    monkeypatch.setattr(sys, "argv", ["experiments", "run", run.name, *run.options, "--device", "cpu"])
    main()
    assert capsys.readouterr().out == f"{run.name}: done, {run.folder}\n"
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--restart"])
    with pytest.raises(UserError, match="there are no embedded data for cifar100: give "):
        main()
    assert run.status() == "done"


def test_nor_do_its_class_folders_need_their_splits(class_folders, tmp_path, monkeypatch, capsys):
    run = study(tmp_path, "--scale", "smoke", "--imagenet", str(class_folders)).find("table1.deit_t.transmix.seed0")
    (class_folders / "train").rename(tmp_path / "train")
    monkeypatch.setattr(sys, "argv", ["experiments", "run", run.name, *run.options, "--device", "cpu"])
    with pytest.raises(UserError, match=f"^no train folder in {class_folders} "):
        main()
    write_train(run, 50.0)
    main()
    assert capsys.readouterr().out == f"{run.name}: done, {run.folder}\n"
