"""PVT v1 against the numbers, the layout and the formulas of the official models, at every image size."""

from __future__ import annotations

import re

import pytest
import timm
import torch
from micro_pvt import CLOSE, EXACT, MICRO, micro, noise, stages
from timm.layers import set_fused_attn

from transmix.attention import class_row
from transmix.models.cost import forward_macs
from transmix.models.pvt import PyramidVisionTransformer


@pytest.fixture
def unfused():
    set_fused_attn(False)
    yield
    set_fused_attn(True)


@pytest.fixture
def images() -> torch.Tensor:
    return noise(64, 64)


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tiny", 13_229_288), ("small", 24_485_864), ("medium", 44_208_104), ("large", 61_369_320)],
)
def test_parameters_of_the_papers_models(name, expected):
    with torch.device("meta"):
        assert parameters(timm.create_model(f"pvt_{name}")) == expected


@pytest.mark.parametrize(("name", "expected"), [("tiny", 1.933), ("small", 3.816)])
def test_cost_of_the_papers_models(name, expected):
    with torch.device("meta"):
        assert forward_macs(timm.create_model(f"pvt_{name}"), 224) / 1e9 == pytest.approx(expected, abs=6e-4)


def test_micro_models_grow_and_stay_cheap():
    models = [timm.create_model(name, num_classes=10) for name in MICRO]
    costs = [forward_macs(model, 64) for model in models]
    assert costs == sorted(costs)
    assert [parameters(model) for model in models] == sorted(parameters(model) for model in models)
    assert costs[0] < 2 * forward_macs(timm.create_model("deit_micro_tiny_patch8_64", num_classes=10), 64)
    for model in models:
        reduced = [
            (rows // block[0].attn.sr_ratio, columns // block[0].attn.sr_ratio)
            for (rows, columns), block in zip(model.grid_sizes, stages(model), strict=True)
        ]
        assert model.grid_size == (4, 4)
        assert set(reduced) == {(4, 4)}


def test_names_and_shapes_are_the_official_ones():
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in timm.create_model("pvt_tiny").state_dict().items()}
    reduction = ["sr.weight", "sr.bias", "norm.weight", "norm.bias"]
    attn = [f"{layer}.{kind}" for layer in ("q", "kv", "proj") for kind in ("weight", "bias")]
    expected = {"cls_token", "norm.weight", "norm.bias", "head.weight", "head.bias"}
    for stage in "1234":
        expected |= {f"pos_embed{stage}"}
        expected |= {f"patch_embed{stage}.{layer}.{kind}" for layer in ("proj", "norm") for kind in ("weight", "bias")}
        for block in "01":
            names = [
                f"{layer}.{kind}" for layer in ("norm1", "norm2", "mlp.fc1", "mlp.fc2") for kind in ("weight", "bias")
            ]
            names += [f"attn.{name}" for name in attn + (reduction if stage != "4" else [])]
            expected |= {f"block{stage}.{block}.{name}" for name in names}
    assert set(shapes) == expected
    assert len(shapes) == 161
    assert [shapes[f"pos_embed{stage}"] for stage in "1234"] == [
        (1, 3136, 64),
        (1, 784, 128),
        (1, 196, 320),
        (1, 50, 512),
    ]
    assert shapes["block1.0.attn.sr.weight"] == (64, 64, 8, 8)
    assert shapes["block3.1.attn.kv.weight"] == (640, 320)
    assert shapes["block2.1.mlp.fc1.weight"] == (1024, 128)


def test_layer_norms_have_the_official_eps():
    for name, module in micro().named_modules():
        if isinstance(module, torch.nn.LayerNorm):
            default = re.fullmatch(r"patch_embed\d\.norm|block\d\.\d\.attn\.norm", name)
            assert module.eps == (1e-5 if default else 1e-6), name


def test_a_plain_reading_of_the_paper_gives_the_same(images):
    """The whole model from its state dict, one line per formula."""
    model = micro()
    w, f = model.state_dict(), torch.nn.functional

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x, name, eps):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = images
    for stage, heads, ratio, depth in zip("1234", (1, 2, 5, 8), (8, 4, 2, 1), (1, 1, 2, 2), strict=True):
        x = f.conv2d(x, w[f"patch_embed{stage}.proj.weight"], w[f"patch_embed{stage}.proj.bias"], stride=2)
        batch, channels, rows, columns = x.shape
        x = norm(x.permute(0, 2, 3, 1).reshape(batch, -1, channels), f"patch_embed{stage}.norm", 1e-5)
        if stage == "4":
            x = torch.cat([w["cls_token"].repeat(batch, 1, 1), x], 1)
        x = x + w[f"pos_embed{stage}"]
        for name in (f"block{stage}.{index}" for index in range(depth)):
            y = source = norm(x, f"{name}.norm1", 1e-6)
            if ratio > 1:
                source = y.reshape(batch, rows, columns, channels).permute(0, 3, 1, 2)
                source = f.conv2d(source, w[f"{name}.attn.sr.weight"], w[f"{name}.attn.sr.bias"], stride=ratio)
                source = norm(source.permute(0, 2, 3, 1).reshape(batch, -1, channels), f"{name}.attn.norm", 1e-5)
            q, kv = linear(y, f"{name}.attn.q"), linear(source, f"{name}.attn.kv")
            outputs = []
            for part in torch.arange(channels).chunk(heads):
                logits = torch.einsum("bnd,bmd->bnm", q[..., part], kv[..., part]) / len(part) ** 0.5
                outputs.append(logits.softmax(-1) @ kv[..., channels + part])
            x = x + linear(torch.cat(outputs, -1), f"{name}.attn.proj")
            hidden = linear(norm(x, f"{name}.norm2", 1e-6), f"{name}.mlp.fc1")
            x = x + linear(hidden * (1 + torch.erf(hidden / 2**0.5)) / 2, f"{name}.mlp.fc2")
        if stage != "4":
            x = x.reshape(batch, rows, columns, channels).permute(0, 3, 1, 2)
    expected = linear(norm(x, "norm", 1e-6)[:, 0], "head")
    assert expected.std() > 0.1
    torch.testing.assert_close(model(images), expected, atol=1e-4, rtol=0)


def test_outputs_are_finite_and_repeat(images):
    model = micro()
    logits = model(images)
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()
    torch.testing.assert_close(model(images), logits, **EXACT)


def test_fused_and_explicit_attention_agree(images):
    model, explicit = micro(), micro()
    for blocks in stages(explicit):
        for block in blocks:
            assert block.attn.fused_attn
            block.attn.fused_attn = False
    torch.testing.assert_close(explicit(images), model(images), **CLOSE)


def test_explicit_attention_on_request(unfused):
    assert not any(block.attn.fused_attn for blocks in stages(micro()) for block in blocks)


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (250, 190)])
def test_pyramid_at_other_sizes(size):
    model = timm.create_model("pvt_tiny", num_classes=3).eval()
    with torch.no_grad():
        tokens, pyramid = model.forward_intermediates(noise(*size))
        assert model(noise(*size)).isfinite().all()
    reductions = [info["reduction"] for info in model.feature_info]
    channels = [info["num_chs"] for info in model.feature_info]
    assert (reductions, channels) == ([4, 8, 16, 32], [64, 128, 320, 512])
    expected = [(2, c, size[0] // r, size[1] // r) for c, r in zip(channels, reductions, strict=True)]
    assert [tuple(feature.shape) for feature in pyramid] == expected
    assert tokens.shape == (2, 1 + expected[-1][2] * expected[-1][3], 512)


def test_left_over_rows_and_columns_are_dropped():
    model = micro()
    images = noise(65, 65)
    torch.testing.assert_close(model(images), model(images[..., :64, :64]), **EXACT)


def test_tables_resize_bilinearly_and_leave_the_class_entry_alone():
    model = micro()
    with torch.no_grad():  # a table linear in the row is resized to one linear in the row, away from the edges
        model.pos_embed4[:, 1:] = torch.arange(4.0).repeat_interleave(4)[None, :, None]
    seen = []
    model.block4[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.patch_embed4.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    model(noise(128, 64))
    rows = seen[0][0, 1:, 0].reshape(8, 4)
    torch.testing.assert_close(rows[1:-1], (torch.arange(6) / 2 + 0.25)[:, None].expand(6, 4))
    model(noise(32, 32))  # PVT takes the four nearest entries when it makes a table smaller, too
    torch.testing.assert_close(seen[1][0, 1:, 0], torch.tensor([0.5, 0.5, 2.5, 2.5]))
    torch.testing.assert_close(seen[0][0, 0], (model.cls_token + model.pos_embed4[:, :1])[0, 0], **EXACT)


def test_at_the_trained_size_tables_are_used_as_they_are(images):
    model = micro()
    seen = []
    for stage in "1234":
        embed = getattr(model, f"patch_embed{stage}")
        embed.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
        getattr(model, f"block{stage}")[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0][0]))
    model(images)
    for stage, tokens in zip("123", seen, strict=False):
        torch.testing.assert_close(tokens, getattr(model, f"pos_embed{stage}")[0], **EXACT)
    torch.testing.assert_close(seen[3][1:], model.pos_embed4[0, 1:], **EXACT)


def test_448_px_does_not_confuse_the_stages():
    """Stage 2 at twice the trained size has as many patches as stage 1 at that size: PVT's own code fails there."""
    assert micro()(noise(128, 128)).isfinite().all()


def test_class_row_from_the_last_attentions_input(images):
    """The explicit softmax of the class token, from a hook on ``block4[-1].attn``."""
    model, tokens, full = micro(), [], []
    attn = model.block4[-1].attn
    attn.fused_attn = False
    attn.register_forward_pre_hook(lambda module, inputs: tokens.append(inputs[0]))
    attn.attn_drop.register_forward_hook(lambda module, inputs, output: full.append(inputs[0]))
    model(images)
    weight_k = attn.kv.weight.chunk(2)[0]
    row = class_row(tokens[0], attn.q.weight, attn.q.bias, weight_k, attn.num_heads, attn.scale)
    assert row.shape == (2, 8, 17)
    assert row.std() > 0.01  # not the uniform map that anything would match
    torch.testing.assert_close(row, full[0][:, :, 0], **CLOSE)


def test_a_reduced_class_stage_is_refused():
    with pytest.raises(ValueError, match="sr_ratio must be 1"):
        PyramidVisionTransformer(sr_ratios=(8, 4, 2, 2))
