"""The embedded data set as drawn: the same on every CPU, objects where their masks are, classes apart, settings."""

import dataclasses
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from PIL import Image

from tests.few_scenes import SPEC
from transmix.common.errors import UserError
from transmix.data.scenes import ScenesSpec
from transmix.data.scenes.classes import PALETTES, SHAPES, TEXTURES, scene_class
from transmix.data.scenes.compose import dense_scene, single_object_scene
from transmix.data.scenes.shapes import OUTLINES
from transmix.data.scenes.textures import TEXTURES as TEXTURE_FIELDS


def test_another_seed_gives_other_images() -> None:
    here = single_object_scene(SPEC, "train", 5).image
    other = single_object_scene(dataclasses.replace(SPEC, seed=4), "train", 5).image
    assert np.mean(here != other) > 0.9
    assert np.mean(here != single_object_scene(SPEC, "val", 5).image) > 0.9


def digest_of_scenes() -> str:
    """Of scenes of either kind as drawn, before JPEG; of so many, rounding would change some."""
    scenes = [make(ScenesSpec(), "train", index) for make in (single_object_scene, dense_scene) for index in range(60)]
    return hashlib.sha256(b"".join(scene.image.tobytes() + scene.masks.tobytes() for scene in scenes)).hexdigest()


def test_the_kind_of_cpu_changes_no_byte() -> None:
    """With numpy's vector code taken away, as far as this CPU has any, a process draws the same."""
    found = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    without = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    code = "from tests.test_scenes import digest_of_scenes; print(digest_of_scenes())"
    other = subprocess.run([sys.executable, "-c", code], env=without, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest_of_scenes()


def test_image_size_changes_the_resolution_and_not_the_scene() -> None:
    """Scenes are laid out in image widths, so the masks at two sizes agree but for their edges."""
    small = single_object_scene(SPEC, "train", 7).masks[0]
    large = single_object_scene(dataclasses.replace(SPEC, size=128), "train", 7).masks[0]
    shrunk = large.reshape(32, 4, 32, 4).mean(axis=(1, 3)) >= 0.5
    assert np.mean(small == shrunk) > 0.97


def test_objects_cover_a_sane_and_varied_share() -> None:
    shares = np.array([single_object_scene(SPEC, "train", i).masks.mean() for i in range(150)])
    assert shares.min() > 0.04
    assert shares.max() < 0.60
    assert 0.2 < shares.mean() < 0.36
    assert shares.std() > 0.08


def test_the_share_of_small_objects_is_a_setting_and_nothing_else_depends_on_it() -> None:
    small = dataclasses.replace(SPEC, min_share=0.03, max_share=0.15)
    shares = np.array([single_object_scene(small, "train", i).masks.mean() for i in range(150)])
    assert shares.min() > 0.01
    assert 0.06 < shares.mean() < 0.11
    assert shares.max() < 0.18
    here, there = (single_object_scene(spec, "train", 0) for spec in (SPEC, small))
    outside = ~(here.masks[0] | there.masks[0])
    assert np.mean(np.abs(here.image[outside].astype(int) - there.image[outside]) < 12) > 0.5  # the same background


def test_mask_is_where_the_object_is() -> None:
    """Within the masks of plain objects one hue rules; around them many do."""
    plain = next(k for k in range(10) if scene_class(k).texture == "plain")
    scene = single_object_scene(ScenesSpec(train=100), "train", plain)
    hue = np.asarray(Image.fromarray(scene.image).convert("HSV"))[..., 0] * (2 * np.pi / 256)
    concentration = [abs(np.exp(1j * hue[region]).mean()) for region in (scene.masks[0], ~scene.masks[0])]
    assert concentration[0] > 0.9
    assert concentration[1] < 0.8


def test_dense_scenes_hold_several_objects() -> None:
    scenes = [dense_scene(SPEC, "train", i) for i in range(40)]
    counts = [len(scene.labels) for scene in scenes]
    assert min(counts) >= 1
    assert max(counts) == 6
    assert 3 < np.mean(counts) < 5
    assert {label for scene in scenes for label in scene.labels} == set(range(12))


def test_first_ten_classes_differ_in_everything() -> None:
    table = [scene_class(k) for k in range(10)]
    assert {c.shape for c in table} == set(SHAPES) == set(OUTLINES)
    assert {c.texture for c in table} == set(TEXTURES) == set(TEXTURE_FIELDS)
    assert {c.palette for c in table} == set(PALETTES)
    assert table[0].name == "000-star-stripes-amber"


def test_a_thousand_classes_are_distinct_and_sort_in_order() -> None:
    table = [scene_class(k) for k in range(1000)]
    assert len({(c.shape, c.texture, c.palette) for c in table}) == 1000
    names = [c.name for c in table]
    assert sorted(set(names)) == names


def test_dense_views_use_at_most_150_classes() -> None:
    spec = ScenesSpec(classes=1000, train=1000, val=1000, dense_size=32)
    labels = {label for i in range(60) for label in dense_scene(spec, "train", i).labels}
    assert spec.dense_classes == 150
    assert 100 < max(labels) < 150


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": 0}, "classes=0: must be from 1 to 1,000"),
        ({"classes": 1001}, "classes=1001"),
        ({"size": 16}, "size=16: must be from 32 to 256"),
        ({"seed": -1}, "seed=-1"),
        ({"dense_val": 2.5}, "dense_val=2.5"),
        ({"val": True}, "val=True"),
        ({"classes": 50, "val": 49}, "val=49: must be at least classes=50"),
        ({"min_share": 0.0}, "min_share=0: must be from 0.01 to 0.6"),
        ({"max_share": float("nan")}, "max_share=nan"),
        ({"min_share": 0.5, "max_share": 0.4}, "min_share=0.5: must not be above max_share=0.4"),
    ],
)
def test_bad_settings(settings: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        ScenesSpec(**settings)
    assert "\n" not in str(caught.value)


def test_key_depends_on_every_setting() -> None:
    spec = ScenesSpec()
    more = {int: 32, float: 0.02}
    changed = [
        dataclasses.replace(spec, **{f.name: f.default + more[type(f.default)]}) for f in dataclasses.fields(spec)
    ]
    assert len({spec.key, *(other.key for other in changed)}) == 11
    assert (
        spec.key == "scenes-10c-64px-13f1aa31"
    )  # as the published runs name it: a setting that came later does not change it


def test_import_is_light() -> None:
    code = "import sys, transmix.data.scenes; sys.exit('numpy' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
