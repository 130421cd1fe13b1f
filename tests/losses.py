"""Training losses of every family and every method, kept in ``golden/losses.txt``.

Code that is only moved or rewritten trains to the same losses: `test_losses` compares them. Where a change of the
training itself is meant, ``python -m tests.losses`` writes the file anew, so that the change is seen in review.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from experiments.scales import SCALES
from transmix.common.files import write_text
from transmix.common.runtime import Runtime
from transmix.data.scenes.write import write_scenes
from transmix.data.sources.folders import read_folders
from transmix.methods import methods
from transmix.recipe import Recipe
from transmix.training.distributed import Processes
from transmix.training.loop import Trainer

PATH = Path(__file__).parent / "golden" / "losses.txt"
STEPS, EPOCHS = 30, 3
FAMILIES = ("deit_t", "pvt_t", "xcit_t", "cait_xxs")
METHODS = ("none", "cutmix", "baseline", "oracle")


def recipes() -> dict[str, Recipe]:
    """What is trained: each family with TransMix, DeiT with each method, all at smoke in batches of six."""
    smoke = SCALES["smoke"]
    pairs = [(row, "transmix") for row in FAMILIES] + [("deit_t", method) for method in METHODS]
    return {
        f"{row} {method}": replace(
            smoke.recipe(row, "baseline"),
            **({"batch_size": 6, "epochs": EPOCHS, "resident": method == "oracle"} | methods()[method].settings),
        )
        for row, method in pairs
    }


def machine() -> str:
    """What the last digits depend on: torch's version and the kind of CPU."""
    return f"torch {torch.__version__}, {platform.machine()}, {cpu()}, {torch.backends.cpu.get_cpu_capability()}"


def cpu() -> str:
    """Vendor and family of the CPU, by which libraries choose their kernels; empty where the system does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    lines = dict(line.replace("\t", "").split(":", 1) for line in text.partition("\n\n")[0].splitlines())
    return f"{lines.get('vendor_id', '').strip()} family {lines.get('cpu family', '').strip()}"


def trained_losses() -> Iterator[tuple[str, list[str]]]:
    """The name and the losses, a step each, of every training, as the code is."""
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    processes = Processes(0, 1, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        write_scenes(SCALES["smoke"].scenes, Path(folder, "scenes"), processes=1, progress=False)
        source = read_folders(Path(folder, "scenes", "imagenet"))
        for name, recipe in recipes().items():
            out = Path(folder, name)
            out.mkdir()
            trainer, losses = Trainer(recipe, source, out, 0, processes, Runtime(0, progress=False)), []
            trainer.task.register_forward_hook(
                lambda _, inputs, result, into=losses: into.append(result["loss"].item())
            )
            trainer.run()
            yield name, [f"{loss:.9g}" for loss in losses]


def golden_losses() -> tuple[str, dict[str, list[str]]]:
    """The machine that the file was written on, and the losses that it holds."""
    first, *lines = PATH.read_text(encoding="utf-8").splitlines()
    return first.removeprefix("# "), {name: rest.split() for name, _, rest in (line.partition(": ") for line in lines)}


if __name__ == "__main__":
    found = dict(trained_losses())
    write_text(
        PATH, "".join([f"# {machine()}\n", *(f"{name}: {' '.join(losses)}\n" for name, losses in found.items())])
    )
    print(f"{PATH}: {len(found)} trainings")
