"""TransMixTask: what a training step computes, against the pieces it is made of."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from test_attention import explicit, small_vit
from timm.models import VisionTransformer
from timm.task import ClassificationTask
from torch._dynamo.testing import CompileCounter

from transmix import TransMixTask, attention
from transmix.attention import ClassAttention
from transmix.common.errors import UserError
from transmix.labels import Box, area_share, mixed_targets, pasted_share, token_mask
from transmix.mixing import MixPolicy, cutmix, mixup, unmixed
from transmix.models import create_model
from transmix.task import MixingTask

LABELS = torch.tensor([0, 3, 5, 6])


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_it_is_a_timm_task(images):
    task = TransMixTask(small_vit(), 7)
    assert isinstance(task, ClassificationTask)
    result = task(images, LABELS)
    result["loss"].backward()
    assert result["output"].shape == (4, 7)


@pytest.mark.parametrize("rule", ["area", "attention", "mean"])
def test_a_cutmix_step_uses_the_attention_of_its_own_forward_pass(images, rule):
    model = small_vit().train()
    box = Box(4, 20, 8, 32)
    mix, mask = cutmix(images, box), token_mask(box, (32, 32), (4, 4))
    lam = pasted_share(area_share(box, (32, 32)), explicit(model, mix.images), mask, rule)
    targets = mixed_targets(LABELS, LABELS.flip(0), lam, 7, 0.1)
    expected = -(targets * model(mix.images).log_softmax(-1)).sum(-1).mean()
    result = TransMixTask(model, 7, rule)(images, LABELS, mix=mix)
    torch.testing.assert_close(result["targets"], targets, atol=1e-5, rtol=0)
    torch.testing.assert_close(result["loss"], expected, atol=1e-5, rtol=0)
    assert not result["targets"].requires_grad


def test_the_rules_differ_where_attention_is_not_uniform(images):
    model, mix = small_vit(), cutmix(images, Box(4, 20, 8, 32))
    lams = {rule: TransMixTask(model, 7, rule)(images, LABELS, mix=mix)["lam"] for rule in ("area", "mean")}
    assert torch.equal(lams["area"], mix.lam)
    assert lams["mean"].std() > 1e-3  # one lambda an image, not one a batch
    assert (lams["mean"] - mix.lam).abs().max() > 0.01


def test_mixup_keeps_its_pixel_lambda(images):
    result = TransMixTask(small_vit(), 7, "mean")(images, LABELS, mix=mixup(images, 0.3))
    torch.testing.assert_close(result["targets"], mixed_targets(LABELS, LABELS.flip(0), 0.3, 7))


def test_baseline_and_transmix_draw_the_same_mixes(images):
    runs = {}
    for rule in ("area", "mean"):
        task = TransMixTask(small_vit(), 7, rule, rng=np.random.default_rng(5))
        runs[rule] = [task(images, LABELS)["mix"] for _ in range(8)]
    for one, other in zip(runs["area"], runs["mean"], strict=True):
        assert torch.equal(one.lam, other.lam)
        assert torch.equal(one.images, other.images)


def test_nothing_is_mixed_in_eval_mode(images):
    task = TransMixTask(small_vit(), 7).eval()
    result = task(images, LABELS)
    assert torch.equal(result["mix"].images, images)
    torch.testing.assert_close(result["targets"], mixed_targets(LABELS, LABELS, 0.0, 7))


def test_an_odd_batch_and_a_wide_grid(images):
    model = small_vit(img_size=(16, 64))
    wide = torch.randn(3, 3, 16, 64)
    result = TransMixTask(model, 7)(wide, LABELS[:3], mix=cutmix(wide, Box(0, 16, 32, 64)))
    mask = torch.tensor([[0.0] * 4 + [1.0] * 4] * 2).flatten()
    torch.testing.assert_close(result["lam"], pasted_share(0.5, explicit(model, result["mix"].images), mask))


@pytest.mark.parametrize("grid", [(8, 8), (2, 8)])  # the second has as many tokens
def test_a_grid_that_is_not_the_models_is_named(images, grid):
    task = TransMixTask(small_vit(), 7, grid=grid)
    message = rf"grid=\({grid[0]}, 8\), but the model attends to \(4, 4\) patches of these images"
    with pytest.raises(UserError, match=message):
        task(images, LABELS, mix=cutmix(images, Box(0, 8, 0, 8)))


def test_a_model_that_drops_patches_is_one_line(images):
    task = TransMixTask(vit(patch_drop_rate=0.5), 7)
    with pytest.raises(UserError, match=r"attends to 8 patch tokens, these images have \(4, 4\): let it drop none"):
        task(images, LABELS, mix=cutmix(images, Box(0, 8, 0, 8)))


def test_what_is_no_generator_and_a_copied_task_are_one_line(images):
    with pytest.raises(UserError, match=r"rng is int: give a generator, numpy.random.default_rng\(seed\)"):
        TransMixTask(vit(), 7, rng=5)
    with pytest.raises(UserError, match="rng is int"):
        TransMixTask(vit(), 7, rng=0)
    task = TransMixTask(vit(), 7)
    task.rng = None
    with pytest.raises(UserError, match="rng is NoneType: give a generator"):
        task(images, LABELS)
    for number in (7.0, True, 0):
        with pytest.raises(UserError, match="give a whole number from 1 on"):
            TransMixTask(vit(), number)
    with pytest.raises(UserError, match="a deep copy reads no class attention: make a new one around the copied"):
        deepcopy(TransMixTask(vit(), 7))(images, LABELS)


def test_compiled_it_gives_the_same_loss(images):
    mix = cutmix(images, Box(4, 20, 8, 32))
    plain = TransMixTask(small_vit(), 7)(images, LABELS, mix=mix)["loss"]
    task = TransMixTask(small_vit(), 7)
    task.compile(backend="eager")
    torch.testing.assert_close(task(images, LABELS, mix=mix)["loss"], plain)


def test_attention_is_read_where_a_label_needs_it(images, monkeypatch):
    rows = []
    row = attention.class_row
    monkeypatch.setattr(attention, "class_row", lambda *given: rows.append(row(*given)) or rows[-1])
    task, box = TransMixTask(vit(), 7), Box(0, 8, 0, 8)
    expected = TransMixTask(vit(), 7)(images, LABELS, mix=cutmix(images, box))["lam"]
    del rows[:]
    for mix in (mixup(images, 0.3), unmixed(images)):
        assert torch.equal(task(images, LABELS, mix=mix)["lam"], mix.lam)
    task.eval()
    task(images, LABELS)
    assert rows == []
    task.train()
    assert torch.equal(task(images, LABELS, mix=cutmix(images, box))["lam"], expected)
    assert len(rows) == 1
    always = MixingTask(vit(), 7, "mixpro")
    for mix in (mixup(images, 0.3), cutmix(images, box)):  # for its own functions, whatever they do with it
        always(images, LABELS, mix=mix)
    assert len(rows) == 3


@pytest.mark.parametrize("whose", ["student", "ema"])
def test_evaluation_reads_no_attention_whatever_the_last_batch_was(images, monkeypatch, whose):
    rows = []
    row = attention.class_row
    monkeypatch.setattr(attention, "class_row", lambda *given: rows.append(row(*given)) or rows[-1])
    task = MixingTask(vit(), 7, attention_of=whose)
    task.setup_ema(decay=0.5)
    task.trainable_module.set_grad_checkpointing()
    pasted = cutmix(images, Box(0, 8, 0, 8))
    for read, mix in ((1, pasted), (1, mixup(images, 0.3)), (2, pasted)):
        task(images, LABELS, mix=mix)["loss"].backward()  # which computes the blocks again
        task.get_eval_model(ema=whose == "ema")(images)
        assert len(rows) == read


@pytest.mark.parametrize("class_token_only", [False, True])
def test_compiled_once_for_mixed_and_unmixed_batches(images, class_token_only):
    counted = CompileCounter()
    task = MixingTask(vit(), 7, "transmix", class_token_only=class_token_only)
    task.compile(backend=counted)
    for mix in (mixup(images, 0.3), cutmix(images, Box(0, 8, 0, 8)), unmixed(images), cutmix(images, Box(0, 8, 0, 9))):
        lam = task(images, LABELS, mix=mix)["lam"]
        assert torch.equal(lam, TransMixTask(vit(), 7)(images, LABELS, mix=mix)["lam"])
    assert counted.frame_count == 1


def test_compiled_with_a_short_last_block_it_gives_the_same_gradients(images):
    mix, found = cutmix(images, Box(4, 20, 8, 32)), []
    for compiled in (False, True):
        model = vit()
        task = MixingTask(model, 7, "transmix", class_token_only=compiled)
        if compiled:
            task.compile(backend="aot_eager")
        task(images, LABELS, mix=mix)["loss"].backward()
        found.append([each.grad for each in model.parameters()])
    for whole, short in zip(*found, strict=True):
        torch.testing.assert_close(short, whole, rtol=1e-4, atol=1e-6)


def test_any_model_can_be_a_baseline():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 7))
    result = TransMixTask(model, 7, "area", MixPolicy(mixup_alpha=0))(torch.randn(4, 3, 8, 8), LABELS)
    assert torch.isfinite(result["loss"])


def vit(**settings) -> VisionTransformer:
    torch.manual_seed(0)
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 7}
    return VisionTransformer(**(shape | settings)).train()


def own_row(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    """The class token's attention on patches as the last block itself computes it, mean over heads: (B, P)."""
    attn, seen = model.blocks[-1].attn, []
    handle = attn.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(images)
    handle.remove()
    query, key, _ = attn.qkv(seen[0]).unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    logits = attn.q_norm(query) @ attn.k_norm(key).transpose(-2, -1) * attn.scale
    return logits.softmax(-1).mean(1)[:, 0, 1:]


def test_a_model_that_normalises_queries_and_keys(images):
    model = vit(qk_norm=True)
    for norm in (model.blocks[-1].attn.q_norm, model.blocks[-1].attn.k_norm):
        torch.nn.init.normal_(norm.weight)
    mix, box = cutmix(images, Box(4, 20, 8, 32)), Box(4, 20, 8, 32)
    result = TransMixTask(model, 7)(images, LABELS, mix=mix)
    lam = pasted_share(area_share(box, (32, 32)), own_row(model, mix.images), token_mask(box, (32, 32), (4, 4)))
    torch.testing.assert_close(result["lam"], lam)


@pytest.mark.parametrize("size", [(48, 48), (16, 64), (64, 16)])
def test_other_sizes_are_labelled_on_their_own_grid(size):
    model = vit(dynamic_img_size=True)
    images, box = torch.randn(4, 3, *size), Box(0, 8, 8, 16)
    mix = cutmix(images, box)
    result = TransMixTask(model, 7)(images, LABELS, mix=mix)
    mask = token_mask(box, size, (size[0] // 8, size[1] // 8))
    lam = pasted_share(area_share(box, size), own_row(model, mix.images), mask)
    torch.testing.assert_close(result["lam"], lam)


@pytest.mark.parametrize(("size", "grid"), [((96, 96), (6, 6)), ((32, 128), (2, 8))])
def test_a_pyramid_is_labelled_on_the_grid_of_its_images(size, grid):
    model = create_model("pvt_micro_tiny_patch2_64", num_classes=7)  # its last stage: patches of 16 px
    images, box = torch.randn(4, 3, *size), Box(0, 16, 16, 32)
    task, reader = TransMixTask(model, 7), ClassAttention(model)
    result = task(images, LABELS, mix=cutmix(images, box))
    lam = pasted_share(area_share(box, size), reader.take(), token_mask(box, size, grid))
    torch.testing.assert_close(result["lam"], lam)
    assert task.grid == grid
    with pytest.raises(UserError, match="no whole number of patches of 16 x 16"):
        task(torch.randn(4, 3, 72, 64), LABELS)


def test_a_size_of_no_whole_patches_is_one_line():
    task = TransMixTask(vit(dynamic_img_size=True, dynamic_img_pad=True), 7)
    with pytest.raises(UserError, match="no whole number of patches of 8 x 8"):
        task(torch.randn(4, 3, 30, 32), LABELS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.eye(7)[LABELS], r"float32 \(4, 7\), one-hot or soft: give class indices"),
        (torch.eye(7)[LABELS].long(), "one-hot or soft"),
        (LABELS.float(), r"float32 \(4,\): give whole class indices"),
        (LABELS[:3], r"int64 \(3,\): give whole class indices \(4,\)"),
        (LABELS > 3, "bool"),
        (LABELS + 3, "3 to 9, the classes 0 to 6"),
        (LABELS - 1, "-1 to 5, the classes 0 to 6"),
    ],
)
def test_other_targets_are_one_line(images, labels, message):
    with pytest.raises(UserError, match=message):
        TransMixTask(vit(), 7)(images, labels)


def test_other_outputs_and_images_are_one_line(images):
    with pytest.raises(UserError, match=r"returns float32 \(4, 7\), num_classes is 5"):
        TransMixTask(vit(), 5)(images, LABELS.clamp(max=4))
    distilled = create_model("deit_tiny_distilled_patch16_224", img_size=32, num_classes=7)
    distilled.set_distilled_training(True)
    task = TransMixTask(distilled.train(), 7)
    with pytest.raises(UserError, match=r"returns 2 outputs.*set_distilled_training\(False\)"):
        task(images, LABELS)
    distilled.set_distilled_training(False)
    assert task(images, LABELS)["output"].shape == (4, 7)
    for wrong in (images[0], (255 * images).to(torch.uint8), images[:0]):
        with pytest.raises(UserError, match="give normalised floats"):
            TransMixTask(vit(), 7)(wrong, LABELS[: len(wrong)])


def test_what_is_no_tensor_is_named(images):
    for labels in (LABELS.tolist(), LABELS.numpy()):
        with pytest.raises(UserError, match=rf"targets are {type(labels).__name__}: give a tensor"):
            TransMixTask(vit(), 7)(images, labels)
    with pytest.raises(UserError, match="images are list: give a tensor"):
        TransMixTask(vit(), 7)(images.tolist(), LABELS)


@pytest.mark.parametrize("form", ["channels_last", "transposed", "one", "uint8 labels"])
def test_layouts_and_a_single_image(images, form):
    model = vit()
    task = TransMixTask(model, 7, rng=np.random.default_rng(0))
    if form == "one":
        assert torch.isfinite(task(images[:1], LABELS[:1])["loss"])
        return
    expected = task(images, LABELS)["loss"]
    task.rng = np.random.default_rng(0)
    if form == "channels_last":
        images = images.contiguous(memory_format=torch.channels_last)
    elif form == "transposed":
        images = images.transpose(2, 3).contiguous().transpose(2, 3)
    labels = LABELS.to(torch.uint8) if form == "uint8 labels" else LABELS
    torch.testing.assert_close(task(images, labels)["loss"], expected)
