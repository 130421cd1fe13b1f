"""Every random draw of a fine-tuning as a function of counters, so that a run can be killed anywhere.

mmengine saves no random state, its loader workers draw from streams of their own, and it starts a broken epoch again.
Here a sampler says how many samples came before each one, the first transform seeds the generators from that number,
and a hook seeds them before every iteration; so the number of workers changes nothing either. What they draw is mmseg's
and mmdet's own business. A broken epoch goes on with the batches that it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmengine.config import Config
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS, HOOKS, TRANSFORMS
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, Sampler

from transmix.common.seeding import seed_python_numpy_torch


class Draw(int):
    """An index into a data set that knows how many this process drew before it."""

    position: int

    @classmethod
    def of(cls, index: int, position: int) -> Draw:
        """The sample `index`, drawn after `position` others."""
        draw = cls(index)
        draw.position = position
        return draw


@DATA_SAMPLERS.register_module()
class CountingInfiniteSampler(InfiniteSampler):
    """mmengine's sampler for loops that count iterations, telling the position of each sample."""

    def _indices_of_rank(self) -> Iterator[int]:
        for position, index in enumerate(super()._indices_of_rank()):
            yield Draw.of(index, position)


@DATA_SAMPLERS.register_module()
class CountingSampler(DefaultSampler):
    """mmengine's sampler for loops that count epochs, telling the position of each sample over all epochs."""

    def __iter__(self) -> Iterator[int]:
        for position, index in enumerate(super().__iter__(), start=self.epoch * self.num_samples):
            yield Draw.of(index, position)


@DATA_SAMPLERS.register_module()
class ResumableBatches(Sampler):
    """An epoch's batches without those that an interrupted training has taken.

    Args:
        sampler: of a process's samples.
        batch_size: of this process.
        batches: the configuration of a batch sampler; by default samples are taken as they come.

    Attributes:
        taken: how many batches the next epoch leaves out.
    """

    def __init__(self, sampler: Sampler, batch_size: int, batches: dict[str, Any] | None = None) -> None:
        arguments = {"sampler": sampler, "batch_size": batch_size}
        plain = {"type": BatchSampler, "drop_last": False}
        self.batches = DATA_SAMPLERS.build({**(batches or plain), **arguments})
        self.sampler, self.batch_size, self.taken = sampler, batch_size, 0

    def __iter__(self) -> Iterator[list[int]]:
        taken, self.taken = self.taken, 0
        return islice(iter(self.batches), taken, None)

    def __len__(self) -> int:
        return len(self.batches)


@TRANSFORMS.register_module()
class SeedSample:
    """The first transform of a training pipeline: what the others draw depends on the sample's position alone."""

    def __init__(self, seed: int, rank: int) -> None:
        self.seed, self.rank = seed, rank

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Seed the generators of Python, numpy and torch; `results` passes through."""
        position = getattr(results["sample_idx"], "position", None)
        if position is not None:  # or else the data set drew it in place of one that augmentation left empty
            seed_python_numpy_torch(self.seed, "sample", self.rank, position)
        return results


@HOOKS.register_module()
class SeedIteration(Hook):
    """Before each iteration: what the model draws (drop path, sampled regions) depends on the iteration alone."""

    priority = "VERY_HIGH"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the generators of Python, numpy and torch."""
        seed_python_numpy_torch(self.seed, "step", get_rank(), runner.iter)


def count_draws(config: Config, seed: int) -> None:
    """Make every draw of a training with `config` a function of `seed` and counters."""
    loader = config.train_dataloader
    counting = {"InfiniteSampler": "CountingInfiniteSampler", "DefaultSampler": "CountingSampler"}
    by_epoch = loader.sampler.type == "DefaultSampler"
    loader.sampler.type = counting[loader.sampler.type]
    if by_epoch:
        loader.batch_sampler = {"type": "ResumableBatches", "batches": loader.get("batch_sampler")}
    loader.dataset.pipeline.insert(0, {"type": "SeedSample", "seed": seed, "rank": get_rank()})
    config.custom_hooks = [*config.get("custom_hooks", []), {"type": "SeedIteration", "seed": seed}]
