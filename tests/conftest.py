"""What all tests share: an empty place to stand in, class folders of random images, and one deterministic torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import experiments.kinds
import experiments.rows
import transmix.methods
from experiments.kinds import kinds
from experiments.rows import rows
from transmix.methods import methods

torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)  # tests are small; two threads only wait for each other
ROOT = Path(__file__).parent.parent
# what `make test SCALE=smoke` exports to what it runs; tests call make as from a shell that knows of no study
MAKE = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "SCALE", "ROWS", "METHODS", "SEEDS", "SET", "PLUGINS")
MAKE += ("RESULTS", "DATA", "JOBS")


# files that take longest, the longest first: whatever is begun last ends soon, and no process waits for another
LONG = """
downstream_fine_tune commands resume processes downstream_configs make scene_folders downstream_processes
page_in_browser fuzz adding shared sweep downstream_backbone strange_records mix_methods mix_oracles train cells
class_folders mixing_task robustness_command bench
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files go first (`make test` has xdist keep this order)."""
    places = {f"test_{name}": place for place, name in enumerate(LONG.split())}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder to run in: what lies in the checkout's ``data`` and ``results`` is no part of any test."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(ROOT))  # the processes that tests start find the packages from anywhere
        for name in MAKE:
            patch.delenv(name, raising=False)
        yield folder


@pytest.fixture(autouse=True)
def nothing_is_left(elsewhere: Path) -> Iterator[None]:
    """A test writes into folders of its own: what it left where others run could change what they do."""
    yield
    assert Path.cwd() == elsewhere
    assert list(elsewhere.iterdir()) == []


@pytest.fixture(scope="session", autouse=True)
def no_published_runs():
    """What the suite has published of its own runs is no part of any test's study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.records.collect.PUBLISHED_RUNS", Path("no", "published", "runs"))
        yield


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own (``PLUGINS=``), empty; what was found before is forgotten, and once more afterwards."""
    found = {experiments.rows: rows, experiments.kinds: kinds, transmix.methods: methods}
    folder = tmp_path / "plugins"
    folder.mkdir()
    monkeypatch.setenv("PLUGINS", str(folder))
    for package, cached in found.items():
        monkeypatch.setattr(package, "__path__", list(package.__path__))
        cached.cache_clear()
    before = set(sys.modules)
    yield folder
    for name in sys.modules.keys() - before:
        if str(folder) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
    for cached in found.values():
        cached.cache_clear()


def write_class_folders(root: Path, classes: int = 3, train: int = 16, val: int = 5, size: int = 64) -> Path:
    """ImageNet's layout with random images whose mean colour depends on the class."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for label in range(classes):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 128, (size, size, 3)) + 127 * label // max(1, classes - 1)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index:03}.png")
    return root


@pytest.fixture
def class_folders(tmp_path: Path) -> Path:
    """A fresh data set of three classes, 48 training and 15 validation images of 64 px."""
    return write_class_folders(tmp_path / "images")


@pytest.fixture(scope="session")
def shared_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for tests that only read it."""
    return write_class_folders(tmp_path_factory.mktemp("shared") / "images")


@pytest.fixture(scope="session")
def uninterrupted(shared_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training run that nothing disturbed, for tests that only read it."""
    from training_runs import train

    out = tmp_path_factory.mktemp("uninterrupted")
    train(shared_folders, out)
    return out
