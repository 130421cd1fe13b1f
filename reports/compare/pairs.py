"""Runs of two folders, paired by name and seed, and what sets the pairs apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.records import RunInfo
from experiments.runs import Run
from experiments.scales import TABLES
from reports.analysis.arms import Arm, Comparison
from reports.analysis.metrics import metrics_of
from reports.records.collect import DONE, Result
from reports.records.origins import short_commit
from transmix.common.errors import UserError

Key = tuple[str, ...]  # what runs that differ in their seed only have in common
Seeds = dict[int, Result]


@dataclass(frozen=True)
class Pair:
    """One run of both folders, over the seeds that both have.

    Attributes:
        name: of the run, without its seed.
        a: its records in A by seed.
        b: those in B, of the same seeds.
    """

    name: str
    a: Seeds
    b: Seeds

    @property
    def first(self) -> Result:
        """One of its records."""
        return next(iter(self.a.values()))

    @property
    def both(self) -> list[tuple[Result, Result]]:
        """The records of each seed."""
        return [(self.a[seed], self.b[seed]) for seed in self.a]

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Of every metric that tables show and both have; of a model's properties, those that differ."""
        if self.first.run.kind != next(iter(self.b.values())).run.kind:
            return []
        a, b = (Arm(DONE, None, tuple(results.values())) for results in (self.a, self.b))
        found = [Comparison(a.of(metric), b.of(metric)) for metric in metrics_of(self.first.run.kind)]
        return [one for one in found if one.difference is not None and not (one.metric.exact and one.equal)]


@dataclass(frozen=True)
class Pairing:
    """All runs of two folders.

    Attributes:
        pairs: those that both have, in the order of their names.
        only_a: names of runs that only A has, with their seeds.
        only_b: those that only B has.
    """

    pairs: list[Pair]
    only_a: dict[str, list[int]]
    only_b: dict[str, list[int]]

    @property
    def comparisons(self) -> list[tuple[Pair, Comparison]]:
        """The comparisons of all pairs, pair by pair."""
        return [(pair, comparison) for pair in self.pairs for comparison in pair.comparisons]


def pair_up(a: list[Result], b: list[Result], folders: tuple[Path, Path]) -> Pairing:
    """Pair the runs of two folders by name and seed; by scale too, where a folder has several.

    Of several runs of one name in a folder, as other recipes and data leave them, those are paired that both have.

    Raises:
        UserError: they have no run in common.
    """
    by_scale = any(len({result.run.scale for result in results}) > 1 for results in (a, b))
    twins = _twins(a, by_scale) | _twins(b, by_scale)
    first, second = (_by_key(results, by_scale, twins) for results in (a, b))
    pairs = []
    for key in sorted(first.keys() & second.keys(), key=_order):
        seeds = sorted(first[key].keys() & second[key].keys())
        if seeds:
            pairs.append(Pair(_name(key), *({seed: runs[key][seed] for seed in seeds} for runs in (first, second))))
    if not pairs:
        raise UserError(
            f"{folders[0]} and {folders[1]} have no run in common, e.g. {a[0].run.name} and {b[0].run.name}: "
            "give folders of the same rows, methods and seeds"
        )
    return Pairing(pairs, _rest(first, second), _rest(second, first))


def _key(run: Run | RunInfo, by_scale: bool) -> Key:
    return run.scale if by_scale else "", run.table, run.row, run.part, run.method


def _twins(results: list[Result], by_scale: bool) -> set[tuple[Key, int]]:
    """Key and seed of the runs that a folder has several of."""
    count = Counter((_key(result.run, by_scale), result.run.seed) for result in results)
    return {place for place, runs in count.items() if runs > 1}


def _by_key(results: list[Result], by_scale: bool, twins: set[tuple[Key, int]]) -> dict[Key, Seeds]:
    """Runs by what they have in common, and by seed; twins by their hash, too."""
    found: dict[Key, Seeds] = {}
    for result in results:
        key = _key(result.run, by_scale)
        if (key, result.run.seed) in twins:
            key = (*key, result.run.id.rpartition("-")[2])
        found.setdefault(key, {})[result.run.seed] = result
    return found


def _order(key: Key) -> tuple[int, Key]:
    return TABLES.index(key[1]) if key[1] in TABLES else len(TABLES), key


def _name(key: Key) -> str:
    return ".".join(filter(None, key))


def _rest(runs: dict[Key, Seeds], others: dict[Key, Seeds]) -> dict[str, list[int]]:
    left = {_name(key): sorted(runs[key].keys() - others.get(key, {}).keys()) for key in sorted(runs, key=_order)}
    return {name: seeds for name, seeds in left.items() if seeds}


def settings_apart(pairs: Iterable[Pair]) -> dict[tuple[str, str, str], list[str]]:
    """Names of the runs that differ in a setting, by the setting, its value in A and its value in B."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}  # a dictionary of nothing is an ordered set
    for pair in pairs:
        for one, other in pair.both:
            left, right = dict(_described(one)), dict(_described(other))
            for name in dict.fromkeys([*left, *right]):
                a, b = left.get(name, "not recorded"), right.get(name, "not recorded")
                if a != b:
                    found.setdefault((name, a, b), {})[pair.name] = None
    return {difference: list(names) for difference, names in found.items()}


def _described(result: Result) -> Iterator[tuple[str, str]]:
    """Everything but the metrics that two runs of one name may differ in, as text."""
    record = result.record
    yield "scale", result.run.scale
    for name, value in record.settings.items():
        yield f"setting {name}", _text(value)
    told_apart = () if record.data.embedded else ("fingerprint",)  # the suite's own data by their name
    for name in ("name", "images", "classes", *told_apart):
        yield f"data {name}", _text(getattr(record.data, name))
    environment = record.content()["environment"]
    for name, value in environment.items():
        if name not in ("packages", "commit"):
            yield name, _text(value)
    yield "commit", short_commit(record.environment.commit)
    for name, value in record.environment.packages.items():
        yield f"package {name}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    return str(value)
