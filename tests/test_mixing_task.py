"""Ways to mix that bring functions of their own, and whose attention labels: a step, and a training that is resumed."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from recipes import small_recipe
from test_attention import explicit, small_vit

import transmix.methods
from transmix import MixingTask, MixPolicy
from transmix.common.errors import UserError
from transmix.common.plain import built, plain
from transmix.common.runtime import Runtime
from transmix.data.sources.folders import read_folders
from transmix.labels import Box, mixed_targets, pasted_share, pasted_tokens
from transmix.methods import methods
from transmix.mixing import cutmix, mixup
from transmix.models import create_model
from transmix.models.teacher import Teacher
from transmix.recipe import Mixing, Recipe, override, parse_settings
from transmix.training.checkpoints import save_weights
from transmix.training.distributed import Processes
from transmix.training.loop import Trainer

LABELS = torch.tensor([0, 3, 5, 6])
BOX = Box(4, 20, 8, 32)
SPOTS = '''"""Spots: every image loses single patches of its own choice."""

from transmix.common.lazy import torch
from transmix.methods import Method
from transmix.mixing import mix_batch, paste

METHOD = Method(
    title="Spots", settings={"label_rule": "mean"}, options={"share": 0.3, "side": 8}, reads=("attention", "tokens")
)


def mix(step):
    if step.rng.random() < 0.5:
        return mix_batch(step.images, step.policy, step.rng)
    side = step.images.shape[-1] // step.options["side"]
    cells = step.rng.random((len(step.images), side, side)) < step.options["share"]
    mask = torch.from_numpy(cells).repeat_interleave(step.options["side"], 1).repeat_interleave(step.options["side"], 2)
    return paste(step.images, mask)


def lam(step):
    seen = step.class_attention(step.mix.images).flatten(1)
    return (step.mix.lam + 0 * seen.sum(1) + step.attention.amax(1)).clamp(max=1)


def loss(step):
    return 0.1 * torch.nn.functional.cross_entropy(step.head(step.tokens[:, 1:].mean(1)), step.labels)


def head(model, num_classes):
    return torch.nn.Linear(model.num_features, num_classes)
'''
SHIFTED = '''"""Shifted: targets that are no mixture of two labels."""

from transmix.common.lazy import torch
from transmix.methods import Method

METHOD = Method(title="Shifted", settings={"cutmix_alpha": 1.0, "mixup_alpha": 0.0}, reads=("blocks",))


def targets(step):
    return torch.full((len(step.images), step.num_classes), 0.25) * len(step.block_attention)
'''
NEEDY = '''"""Needy: reads a teacher."""

from transmix.methods import Method

METHOD = Method(title="Needy", settings={}, reads=("teacher",))


def lam(step):
    return step.teacher(step.mix.images).softmax(-1)[:, 0]
'''


@pytest.fixture
def own_methods(tmp_path, monkeypatch):
    """Three methods in a folder of the user's own."""
    folder = tmp_path / "plugins" / "methods"
    folder.mkdir(parents=True)
    for name, text in {"spots": SPOTS, "shifted": SHIFTED, "needy": NEEDY}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setenv("PLUGINS", str(folder.parent))
    monkeypatch.setattr(transmix.methods, "__path__", list(transmix.methods.__path__))
    methods.cache_clear()
    yield folder
    methods.cache_clear()
    for name in ("spots", "shifted", "needy"):
        sys.modules.pop(f"transmix.methods.{name}", None)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_a_methods_name_stands_for_its_settings(images):
    task = MixingTask(small_vit(), 7, "cutmix")
    assert task.policy == MixPolicy(mixup_alpha=0.0)
    assert MixingTask(small_vit(), 7, "none").policy.prob == 0
    assert MixingTask(small_vit(), 7, "transmix", smoothing=0.0).mixing == Mixing(label_rule="mean", smoothing=0.0)
    with pytest.raises(UserError, match="unknown method 'transmx': did you mean 'transmix'"):
        MixingTask(small_vit(), 7, "transmx")
    with pytest.raises(UserError, match="unknown setting 'smothing'"):
        MixingTask(small_vit(), 7, smothing=0.0)


def test_the_readmes_method_mixes_as_it_says(own_methods, images):
    text = (Path(transmix.methods.__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (own_methods / "spots.py").write_text(code)
    result = MixingTask(small_vit(), 7, "spots", rng=np.random.default_rng(0))(images, LABELS)
    cells = result["mix"].pasted[:, ::8, ::8]
    assert torch.equal(cells.repeat_interleave(8, 1).repeat_interleave(8, 2), result["mix"].pasted)
    assert not torch.equal(cells[0], cells[1])
    assert (result["lam"] - result["mix"].lam).abs().max() > 0.01


def test_a_method_of_ones_own_mixes_labels_and_adds_a_loss(own_methods, images):
    task = MixingTask(small_vit(), 7, "spots", rng=np.random.default_rng(1), mix_options={"share": 0.4})
    drawn = [task(images, LABELS) for _ in range(20)]
    spotted = [result for result in drawn if result["mix"].pasted is not None]
    shares = torch.stack([result["mix"].lam for result in spotted])
    assert 0 < len(spotted) < 20
    assert shares.std(1).max() > 0.05  # a mask for each image
    assert shares.mean() == pytest.approx(0.4, abs=0.15)
    for result in drawn:
        targets = mixed_targets(LABELS, LABELS[result["mix"].partner], result["lam"], 7)
        assert torch.equal(targets, result["targets"])
        assert result["loss"] > task.criterion(result["output"], targets)
    assert (spotted[0]["lam"] > spotted[0]["mix"].lam).any()
    spotted[0]["loss"].backward()
    assert task.head.weight.grad.abs().sum() > 0
    assert task.extra_passes in (0, 1)
    assert {id(parameter) for parameter in task.head.parameters()} <= {id(p) for p in task.get_clip_parameters()}


def test_targets_of_a_methods_own(own_methods, images):
    task = MixingTask(small_vit(), 7, "shifted")
    assert torch.equal(task(images, LABELS, mix=cutmix(images, BOX))["targets"], torch.full((4, 7), 0.75))
    plain_targets = mixed_targets(LABELS, LABELS.flip(0), 0.3, 7)
    torch.testing.assert_close(task(images, LABELS, mix=mixup(images, 0.3))["targets"], plain_targets)


def test_a_method_that_reads_a_teacher_needs_one(own_methods, images):
    with pytest.raises(UserError, match="mixer=needy needs a teacher: set teacher=FILE"):
        MixingTask(small_vit(), 7, "needy")
    teacher = small_vit(embed_dim=24, num_heads=2, drop_path_rate=0.5)
    task = MixingTask(small_vit(), 7, "needy", teacher=teacher).train()
    mix = cutmix(images, BOX)
    expected = teacher.eval()(mix.images).softmax(-1)[:, 0]
    torch.testing.assert_close(task(images, LABELS, mix=mix)["lam"], expected)


def test_until_the_warm_up_is_over_labels_are_by_area(images):
    task, mix = MixingTask(small_vit(), 7, label_warmup_epochs=2), cutmix(images, BOX)
    lams = []
    for task.epoch in range(3):
        lams.append(task(images, LABELS, mix=mix)["lam"])
    assert torch.equal(lams[0], mix.lam)
    assert torch.equal(lams[1], mix.lam)
    assert (lams[2] - mix.lam).abs().max() > 0.01


@pytest.mark.parametrize("whose", ["ema", "teacher"])
def test_the_attention_of_another_model_labels(images, whose):
    student, mix = small_vit(drop_path_rate=0.5), cutmix(images, BOX)
    other = small_vit(embed_dim=24, num_heads=2, drop_path_rate=0.5) if whose == "teacher" else None
    task = MixingTask(student, 7, attention_of=whose, teacher=other)
    if whose == "ema":
        with pytest.raises(UserError, match=r"call setup_ema\(\) first"):
            task(images, LABELS, mix=mix)
        other = task.setup_ema(decay=0.5).module
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    task.train()  # which must not reach the other one
    expected = pasted_share(mix.lam, explicit(other, mix.images), pasted_tokens(mix.pasted, (4, 4)))
    result = task(images, LABELS, mix=mix)
    torch.testing.assert_close(result["lam"], expected, atol=1e-5, rtol=0)
    assert task.extra_passes == 1
    task(images, LABELS, mix=mixup(images, 0.3))
    assert task.extra_passes == 0  # there is no region to look at


def test_a_teacher_sees_images_in_its_own_normalisation_and_size(images):
    model = small_vit(img_size=(16, 16))
    mean, std, given_mean, given_std = (0.5,) * 3, (0.25,) * 3, (0.1, 0.2, 0.3), (0.2, 0.3, 0.4)
    teacher = Teacher(model, (16, 16), mean, std, given_mean, given_std)
    pixels = images * torch.tensor(given_std).view(-1, 1, 1) + torch.tensor(given_mean).view(-1, 1, 1)
    expected = torch.nn.functional.interpolate((pixels - 0.5) / 0.25, (16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(teacher.view(images), expected)
    assert Teacher(model, (32, 32), mean, std, mean, std).view(images) is images
    # its attention is read on its own grid of 2 x 2 patches
    task, mix = MixingTask(small_vit(), 7, attention_of="teacher", teacher=teacher), cutmix(images, Box(0, 16, 0, 32))
    share = pasted_share(mix.lam, explicit(model, teacher.view(mix.images)), torch.tensor([1.0, 1.0, 0.0, 0.0]))
    torch.testing.assert_close(task(images, LABELS, mix=mix)["lam"], share, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attention_of": "ema"}, "attention_of=ema needs ema_decay"),
        ({"attention_of": "teacher"}, "attention_of=teacher needs a teacher"),
        ({"attention_of": "pupil"}, "unknown attention_of 'pupil'"),
        ({"label_warmup_epochs": -1}, "label_warmup_epochs=-1"),
        ({"mixer": "spot"}, "unknown mixer 'spot': did you mean 'spots'"),
        ({"mixer": "transmix"}, "unknown mixer 'transmix'"),  # it has no functions of its own
        ({"mix_options": {"share": 0.1}}, "mix_options.share belongs to no method: set mixer=METHOD"),
        ({"mixer": "spots", "mix_options": {"shar": 0.1}}, "unknown mix_option of spots 'shar': did you mean 'share'"),
        ({"mixer": "spots", "mix_options": {"side": 0.1}}, "mix_options.side=0.1: must be a whole number"),
    ],
)
def test_settings_that_cannot_be_are_named(own_methods, settings, message):
    with pytest.raises(UserError, match=message):
        small_recipe(**{"ema_decay": None, "report_ema": False} | settings)


def test_options_are_parsed_typed_and_kept_where_they_differ(own_methods):
    given = parse_settings(["mixer=spots", "mix_options.share=1", "mix_options.side=8", "attention_head=none"])
    recipe = override(small_recipe(), **given)
    assert recipe.mix_options == {"share": 1.0}
    assert recipe.options == {"share": 1.0, "side": 8}
    assert override(recipe, mix_options={"side": 4}).mix_options == {"share": 1.0, "side": 4}
    assert built(Recipe, plain(recipe)) == recipe
    code = hashlib.sha256(SPOTS.encode()).hexdigest()[:8]
    assert methods()["spots"].settings == {"mixer": "spots", "mixer_code": code, "label_rule": "mean"}
    assert methods()["tokenmix"].code is None
    with pytest.raises(UserError, match=r"write mix_options\.NAME=VALUE"):
        parse_settings(["mix_options=3"])


def test_an_edited_file_of_ones_own_is_another_recipe(own_methods):
    before = plain(small_recipe(mixer="spots"))
    assert plain(override(small_recipe(), mixer="spots")) == before
    (own_methods / "spots.py").write_text(SPOTS.replace("0.5", "0.6"))
    del sys.modules["transmix.methods.spots"]
    methods.cache_clear()
    after = plain(small_recipe(mixer="spots"))
    assert before | {"mixer_code": after["mixer_code"]} == after
    assert before["mixer_code"] != after["mixer_code"]
    assert plain(built(Recipe, before)) == before  # a record says what it was made with
    assert override(built(Recipe, before), mixer="fmix").mixer_code is None


class Cut(Exception):
    """Ends a training as a power cut would."""


def trainer(root: Path, out: Path, **settings) -> Trainer:
    recipe = small_recipe(epochs=2, micro_batch=8, **settings)
    alone, runtime = Processes(0, 1, torch.device("cpu")), Runtime(0, checkpoint_seconds=0.0, progress=False)
    return Trainer(recipe, read_folders(root), out, 0, alone, runtime)


def cut_off(run: Trainer, steps: int) -> None:
    """Train until `steps` steps are done."""
    step, left = run._train_step, iter(range(steps))

    def until(batches) -> None:
        if next(left, None) is None:
            raise Cut
        step(batches)

    run._train_step = until
    with pytest.raises(Cut):
        run.run()


@pytest.mark.parametrize("whose", ["student", "ema", "teacher"])
def test_interrupted_at_any_step_it_ends_with_the_same_bits(own_methods, shared_folders, tmp_path, whose):
    settings = {"mixer": "spots", "label_rule": "mean", "attention_of": whose, "label_warmup_epochs": 1}
    if whose == "teacher":
        model = create_model("deit_micro_small_patch8_64", num_classes=9)
        about = {"model": "deit_micro_small_patch8_64", "num_classes": 9, "model_args": {}, "image_size": 64}
        save_weights(model, tmp_path / "teacher.safetensors", about | {"mean": [0.5] * 3, "std": [0.2] * 3})
        settings["teacher"] = str(tmp_path / "teacher.safetensors")
    whole = trainer(shared_folders, tmp_path / "whole", **settings)
    whole.run()
    for steps in (1, 4):
        out = tmp_path / f"{whose}{steps}"
        cut_off(trainer(shared_folders, out, **settings), steps)
        again = trainer(shared_folders, out, **settings)
        again.run()
        for one, other in ((whole.model, again.model), (whole.task.head, again.task.head)):
            for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
                assert torch.equal(mine, theirs)
        assert again.history == whole.history
    assert whole.history[0]["label_shift"] == 0.0  # the warm-up
    assert whole.history[1]["label_shift"] > 0.0


def test_another_teacher_is_another_training(shared_folders, tmp_path):
    about = {"model": "deit_micro_tiny_patch8_64", "num_classes": 3, "model_args": {}, "image_size": 64}
    path, settings = tmp_path / "teacher.safetensors", {"attention_of": "teacher"}
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = create_model("deit_micro_tiny_patch8_64", num_classes=3)
        save_weights(model, path, about | {"mean": [0.5] * 3, "std": [0.2] * 3})
        if seed == 0:
            trainer(shared_folders, tmp_path / "out", teacher=str(path), **settings).save()
    with pytest.raises(UserError, match="made by another recipe"):
        trainer(shared_folders, tmp_path / "out", teacher=str(path), **settings)
    named = f"deit_micro_tiny_patch8_64:{path}"
    assert trainer(shared_folders, tmp_path / "named", teacher=named, **settings).task.teacher.image_size == (64, 64)
    for wrong in ("deit_micro_small_patch8_64", "deit_micro_tiny"):
        with pytest.raises(UserError, match=r"not deit_micro_small_patch8_64|unknown model 'deit_micro_tiny'"):
            trainer(shared_folders, tmp_path / "wrong", teacher=f"{wrong}:{path}", **settings)
    with pytest.raises(UserError, match=r"no such weights file: .*nothing\.pth"):
        trainer(shared_folders, tmp_path / "wrong", teacher=str(tmp_path / "nothing.pth"), **settings)
