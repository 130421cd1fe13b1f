"""The paper's claims one by one: what was run here, the effect, and whether it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from experiments.rows import model_name
from reports.analysis.arms import Arm, Comparison, arm_of
from reports.analysis.gains import GainRow, gain_rows
from reports.analysis.metrics import metric
from reports.analysis.names import BASELINE, TRANSMIX
from reports.analysis.statistics import Estimate, estimate_numbers, mean_interval
from reports.analysis.verdicts import NOT_TESTED, OPPOSITE, SHOWN, Evidence, Verdict, judge
from reports.analysis.words import estimate_text, number, plural
from reports.formats.table import NOT_RUN, Cell, Column, Source, Table, missing
from reports.records.bench import read_bench
from reports.records.collect import Collected, published_study
from reports.records.published_sets import HEADING, NONE, set_columns, set_key, sets_of
from reports.tables import Numbers, TableSpec, occlusion, table3, table4, table5, tables
from reports.tables._fine_tuning import Task, setups

NO_NUMBER = "yes, in its abstract; no number in the slides"
CAPTION = (
    "What the paper claims and what the runs of this study, scale {scale}, say of it. Effects are TransMix minus the "
    "baseline (of λ: area’s error minus attention’s), paired by seed, mean ± 95 % interval over seeds, of several "
    "models the mean over them; above zero they support the claim. A claim is shown where a two-sided paired t-test is "
    "below 5 % after Holm’s correction for all claims tested on this page, and one about every model where each of "
    "them shows it; where it is not shown, the seeds are those that would show the published effect, else the one seen "
    "here, in 80 % of studies, if the spread is what these few show. Published effects are Table 1’s; others are not "
    "in the slides. Published runs are evidence for themselves, corrected by themselves."
)
COLUMNS = (  # on a phone the first three are seen
    Column("claim", "Claim", align="left"),
    Column("verdict", "Verdict", align="left"),
    Column("effect", "Effect"),
    Column("paper", "The paper says", align="left"),
    Column("here", "Run here", align="left"),
    Column("where", "More", align="left"),
)
DESK = "desk"  # the scale that was made to test the claims


@dataclass(frozen=True)
class Finding:
    """What a study has about a claim.

    Attributes:
        pairs: TransMix compared with the baseline by model, or whatever is compared; those without a record, or on
            different data, count for nothing.
        unit: of the effect.
        sign: -1 where a smaller value supports the claim.
        digits: of the effect, after the point.
        expected: the published effect, in the unit; None where the slides give none.
        every: whether the claim is about each model for itself.
        exact: whether the claim is that nothing differs, in counts that have no spread.
        aside: a sentence for the notes, of which the verdict knows nothing.
    """

    pairs: dict[str, Comparison]
    unit: str = "points"
    sign: int = 1
    digits: int = 2
    expected: float | None = None
    every: bool = False
    exact: bool = False
    aside: str = ""

    @property
    def gains(self) -> dict[str, Estimate]:
        """The effect over seeds, above zero where it supports the claim: of each model, or of their mean."""
        apart = self.by_seed
        if self.every or len(apart) < 2:
            return {name: mean_interval([*values.values()]) for name, values in apart.items()}
        shared = sorted(set.intersection(*map(set, apart.values())))
        means = [fmean(values[seed] for values in apart.values()) for seed in shared]
        return {f"mean of {len(apart)} models": mean_interval(means)} if means else {}

    @property
    def by_seed(self) -> dict[str, dict[int, float]]:
        """The effect in every seed of each model that has one."""
        values = {name: pair.values for name, pair in self.pairs.items() if pair.same_data}
        return {
            name: {seed: self.sign * (after[seed] - before[seed]) for seed in before}
            for name, (before, after) in values.items()
            if before
        }

    @property
    def sources(self) -> tuple[Source, ...]:
        """The records behind the effect."""
        return tuple(source for pair in self.pairs.values() for source in pair.sources)

    @property
    def evidence(self) -> Evidence:
        """The gains, and what is expected of them: what the verdict rests on."""
        return Evidence(tuple(self.gains.values()), self.expected)


@dataclass(frozen=True)
class Claim:
    """One of the paper's claims.

    Attributes:
        text: as people say it.
        paper: what the slides say of it.
        find: what a study has about it.
        where: the table that has the numbers, by its name.
    """

    text: str
    paper: Callable[[list[GainRow]], str]
    find: Callable[[Collected, list[GainRow]], Finding]
    where: str


def _lambda(collected: Collected, trained: list[GainRow]) -> Finding:
    def error(row: str, rule: str) -> Arm:
        return arm_of(collected, "lambda", row, TRANSMIX).of(metric(f"error_{rule}"))

    def nearer(rule: str) -> Finding:
        pairs = {model_name(row): Comparison(error(row, "area"), error(row, rule)) for row in collected.study.rows}
        return Finding(pairs, unit="of λ", sign=-1, digits=3)

    mean = nearer("mean")
    label = f"(a) TransMix’s label, the mean of area and attention: {_effect(mean)}." if mean.gains else ""
    return replace(nearer("attention"), aside=label)


def _top1(collected: Collected, trained: list[GainRow]) -> Finding:
    published = [row.published_gain for row in trained if row.published_gain is not None]
    return Finding({row.model: row.comparison for row in trained}, expected=fmean(published) if published else None)


def _every(collected: Collected, trained: list[GainRow]) -> Finding:
    return Finding({row.model: row.comparison for row in trained}, every=True)


def _parameters(collected: Collected, trained: list[GainRow]) -> Finding:
    counted = metric("parameters")
    pairs = {row.model: Comparison(*(arm.of(counted) for arm in row.comparison.arms)) for row in trained}
    return Finding(pairs, unit="parameters", digits=0, exact=True)


def _fine_tuned(task: Task) -> Callable[[Collected, list[GainRow]], Finding]:
    def find(collected: Collected, trained: list[GainRow]) -> Finding:
        of = metric(task.columns[0].key)
        return Finding(
            {
                setup.name: Comparison(setup.arms[BASELINE].of(of), setup.arms[TRANSMIX].of(of))
                for setup in setups(collected, task)
                if setup.arms.keys() >= {BASELINE, TRANSMIX}
            }
        )

    return find


def _measured(table: Any) -> Callable[[Collected, list[GainRow]], Finding]:
    def find(collected: Collected, trained: list[GainRow]) -> Finding:
        arms = {model_name(row): table.arms_of(collected, row) for row in collected.study.rows}
        return Finding({name: Comparison(by[BASELINE], by[TRANSMIX]) for name, by in arms.items() if TRANSMIX in by})

    return find


def _paper_gains(rows: list[GainRow]) -> str:
    gains = [row.published_gain for row in rows if row.published_gain is not None]
    low, high = (number(end, 1, sign=True) for end in (min(gains), max(gains)))
    return f"{number(fmean(gains), 1, sign=True)} points of top-1, mean of {len(gains)} models ({low} to {high})"


def _no_number(rows: list[GainRow]) -> str:
    return NO_NUMBER


CLAIMS = {
    "a": Claim(
        "Attention’s λ is nearer the truth than area’s", lambda rows: "the premise; no number", _lambda, "lambda"
    ),
    "b": Claim("Top-1 rises", _paper_gains, _top1, "table1"),
    "c": Claim("For every family and size", lambda rows: "each of the twelve models gains", _every, "table1"),
    "d": Claim("At no cost in parameters and time", lambda rows: "no extra parameters", _parameters, "table1"),
    "e": Claim("Better segmentation", _no_number, _fine_tuned(table3.TASK), "table3"),
    "f": Claim("Better detection and instance segmentation", _no_number, _fine_tuned(table4.TASK), "table4"),
    "g": Claim("More robust to occlusion", _no_number, _measured(occlusion), "occlusion"),
    "h": Claim("More robust to natural adversarial images", _no_number, _measured(table5), "table5"),
}


def verdicts(collected: Collected) -> dict[str, tuple[Finding, Verdict]]:
    """What is found about every claim, and the verdicts, corrected for all that are tested."""
    trained = [row for row in gain_rows(collected) if all(row.arms[name].by_seed for name in (BASELINE, TRANSMIX))]
    found = {key: claim.find(collected, trained) for key, claim in CLAIMS.items()}
    judged = judge({key: finding.evidence for key, finding in found.items() if not finding.exact})
    counted = {key: _counted(finding) for key, finding in found.items() if finding.exact}
    return {key: (finding, (judged | counted)[key]) for key, finding in found.items()}


def _counted(finding: Finding) -> Verdict:
    """The verdict on a claim that counts do not differ: exact, so without a test."""
    differences = [gain.mean for gain in finding.gains.values()]
    if not differences:
        return Verdict(NOT_TESTED)
    return Verdict(OPPOSITE if any(differences) else SHOWN)


def others(collected: Collected) -> list[tuple[str, Collected]]:
    """Published runs as evidence of their own, each under its heading: scale desk's, the most, and this study's."""
    found = sets_of(collected, *(claim.where for claim in CLAIMS.values()))
    desk = None if collected.study.scale.name == DESK else published_study(DESK)
    if desk is not None:
        found.insert(0, (f"{HEADING}: scale {DESK}, {desk.devices}", desk.collected))
    return [(heading, there) for heading, there in found if any(one.gains for one, _ in verdicts(there).values())]


def build(collected: Collected) -> Table:
    """A line for each claim."""
    paper, found = gain_rows(collected), verdicts(collected)
    lines = [_cells(CLAIMS[key], paper, *found[key], key) for key in CLAIMS]
    _add_time(next(line for line, key in zip(lines, CLAIMS, strict=True) if key == "d"), collected)
    beside = others(collected)
    for place, (_, there) in enumerate(beside):
        for line, cells in zip(lines, _published(there), strict=True):
            line |= {set_key(place, name): cell for name, cell in cells.items()}
    columns = COLUMNS + set_columns(beside, {"verdict": "Verdict", "effect": "Effect"})
    tested = sum(verdict.p is not None for _, verdict in found.values())
    notes = [f"{plural(tested, 'claim')} tested here, for which p-values are corrected."] if tested else []
    notes += [finding.aside for finding, _ in found.values() if finding.aside]
    single = any(gain.count == 1 for finding, _ in found.values() for gain in finding.gains.values())
    notes += ["One seed tests nothing: SEEDS=5 gives every effect an interval and a verdict."] if single else []
    return Table("claims", CAPTION.format(scale=collected.study.scale.name), columns, tuple(lines), tuple(notes))


def _add_time(cells: dict[str, Cell], collected: Collected) -> None:
    """What a step takes beside CutMix's, where a bench has measured it, or how to measure it.

    No cost in time is shown where no round of the bench went beyond its goal.
    """
    bench, _ = read_bench(collected.study.results)
    step = bench.step if bench else None
    if step is None:
        cells["here"] = replace(cells["here"], text=f"{cells['here'].text} (time: make bench)")
        cells["verdict"] = replace(cells["verdict"], text=_of_parameters(cells["verdict"].text))
        return
    most = step["value"] if step["high"] is None else step["high"]
    if step["goal"] is None or most > step["goal"]:
        cells["verdict"] = replace(cells["verdict"], text=_of_parameters(cells["verdict"].text))
    ends = "" if step["low"] is None else f" ({number(step['low'], 3)} to {number(step['high'], 3)} over rounds)"
    cells["effect"] = replace(cells["effect"], text=f"{cells['effect'].text}; time × {number(step['value'], 3)}{ends}")
    cells["here"] = replace(cells["here"], text=f"{cells['here'].text}; a step of {step['where']}, on {bench.where}")


def _of_parameters(verdict: str) -> str:
    """The verdict on claim (d) where no bench shows what it says of time."""
    return verdict if verdict == NOT_TESTED else f"{verdict} of parameters"


def _published(there: Collected) -> list[dict[str, Cell]]:
    """The verdict and effect of every claim by published runs alone."""
    found = []
    for finding, verdict in verdicts(there).values():
        if not finding.gains:
            found.append({"verdict": missing(NONE), "effect": missing(NONE)})
            continue
        word = _of_parameters(verdict.text) if finding.exact else verdict.text
        found.append({"verdict": Cell(word, "published"), "effect": Cell(_effect(finding), "published")})
    return found


def _cells(claim: Claim, paper: list[GainRow], finding: Finding, verdict: Verdict, key: str) -> dict[str, Cell]:
    gains = finding.gains
    cells = {"claim": Cell(f"({key}) {claim.text}"), "paper": Cell(claim.paper(paper), "published")}
    cells |= {"where": Cell(tables()[claim.where].label, leads_to=claim.where)}
    if not gains:
        return cells | {"here": missing(NOT_RUN), "effect": missing(NOT_RUN), "verdict": Cell(verdict.text)}
    seeds = sorted({gain.count for gain in gains.values()})
    return cells | {
        "here": Cell(f"{', '.join(finding.by_seed)}; {' to '.join(plural(count, 'seed') for count in seeds)}"),
        "effect": Cell(_effect(finding), "measured", finding.sources),
        "verdict": Cell(verdict.text),
    }


def _effect(finding: Finding) -> str:
    """``+0.70 ± 0.20 points``; of several models the smallest and the largest."""
    ends = sorted(finding.gains.values(), key=lambda gain: gain.mean)
    ends = ends if len(ends) == 1 else [ends[0], ends[-1]]
    texts = (estimate_text(gain, sign=True, digits=finding.digits) for gain in ends)
    return f"{' to '.join(texts)} {finding.unit}"


def numbers(collected: Collected) -> Numbers:
    """The table for programs, unrounded: a line for each claim and effect."""
    return [line for key, (finding, verdict) in verdicts(collected).items() for line in _numbers(key, finding, verdict)]


def _numbers(key: str, finding: Finding, verdict: Verdict) -> Numbers:
    shared = {"claim": key, "text": CLAIMS[key].text, "unit": finding.unit, "published": finding.expected}
    ends = {"verdict": verdict.word, "p_holm": verdict.p, "seeds_needed": verdict.seeds}
    ends |= {"records": " ".join(dict.fromkeys(source.id for source in finding.sources))}
    gains = finding.gains or {"": None}
    return [
        shared | {"of": name, "seeds": gain.count if gain else 0} | estimate_numbers("effect", gain) | ends
        for name, gain in gains.items()
    ]


TABLE = TableSpec(label="Claims", title="The paper’s claims", build=build, numbers=numbers, position=0)
