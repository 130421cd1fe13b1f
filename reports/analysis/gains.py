"""Methods compared with the baseline: by row in any table, and the rows of Table 1 with what is published of them."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.rows import PublishedRow, model_name, table1
from experiments.scales import PUBLIC
from reports.analysis.arms import Arm, Comparison, arm, arm_of
from reports.analysis.metrics import Metric
from reports.analysis.names import BASELINE, TRANSMIX, claim_of, methods_in
from reports.analysis.statistics import Estimate
from reports.records.collect import Collected


def arms_in(
    collected: Collected, table: str, row: str, metric: Metric, methods: tuple[str, ...] = ()
) -> dict[str, Arm]:
    """A row's runs in a table by method, the baseline's first: of the methods given, else of those that it has.

    Public weights come last, where the study measures any.
    """
    public = (PUBLIC,) if collected.of(table, row, PUBLIC) else ()
    shown = dict.fromkeys((BASELINE, *(methods or methods_in(collected, table, row)), *public))
    return {method: arm_of(collected, table, row, method).of(metric) for method in shown}


def with_baseline(arms: dict[str, Arm], what: str) -> dict[str, Comparison]:
    """Every other method compared with the baseline; `what` is the metric as a claim's subject.

    Public weights are compared with nothing: who trained them, and how, differs as well.
    """
    others = {method: arm for method, arm in arms.items() if method not in (BASELINE, PUBLIC)}
    return {method: Comparison(arms[BASELINE], arm, claim_of(method, what)) for method, arm in others.items()}


@dataclass(frozen=True)
class GainRow:
    """One row of Table 1.

    Attributes:
        row: its key, ``deit_t``.
        published: what the paper says; None for a row that it does not have.
        arms: our runs by method, the baseline's and the others that train every row.
        comparisons: those others by method, each compared with the baseline.
    """

    row: str
    published: PublishedRow | None
    arms: dict[str, Arm]
    comparisons: dict[str, Comparison]

    @property
    def model(self) -> str:
        """Its name for people."""
        return self.published.model if self.published else model_name(self.row)

    @property
    def published_gain(self) -> float | None:
        """What the paper gives for TransMix, in points."""
        return self.published.gain if self.published else None

    @property
    def comparison(self) -> Comparison:
        """TransMix compared with the baseline."""
        return self.comparisons[TRANSMIX]

    @property
    def gain(self) -> Estimate | None:
        """What TransMix gains over the baseline, paired over seeds, in points; None where it cannot be formed."""
        return self.comparison.gain

    @property
    def trained(self) -> list[Arm]:
        """The methods that have a record."""
        return [found for found in self.arms.values() if found.results]


def gain_rows(collected: Collected) -> list[GainRow]:
    """All rows of the paper's table, measured or not, then those of the study that the paper does not have."""
    paper = table1()
    methods = tuple(dict.fromkeys((BASELINE, TRANSMIX, *methods_in(collected, "table1"))))
    return [
        _gain_row(collected, row, paper.get(row), methods) for row in dict.fromkeys((*paper, *collected.study.rows))
    ]


def _gain_row(collected: Collected, row: str, paper: PublishedRow | None, methods: tuple[str, ...]) -> GainRow:
    arms = {method: arm(collected, row, method) for method in methods}
    return GainRow(row, paper, arms, with_baseline(arms, "the top-1"))
