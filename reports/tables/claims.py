"""The paper's claims one by one: what was run here, the effect, and whether it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from experiments.rows import model_name, table1
from reports.analysis.arms import Arm, Comparison, arm_of
from reports.analysis.findings import Finding
from reports.analysis.gains import GainRow, gain_rows
from reports.analysis.metrics import metric
from reports.analysis.names import BASELINE, TRANSMIX
from reports.analysis.statistics import estimate_numbers
from reports.analysis.verdicts import NOT_TESTED, Verdict, correction_text, judge, legend
from reports.analysis.words import estimate_text, number, plural
from reports.formats.table import Cell, Column, Table, missing
from reports.records.bench import Bench
from reports.records.collect import Collected, published_study
from reports.records.published_sets import HEADING, NONE, set_columns, set_key, sets_of
from reports.tables import Numbers, TableSpec, _step_time, occlusion, table3, table4, table5, tables
from reports.tables._fine_tuning import Task, setups
from reports.tables.table2 import regime
from reports.tables.table6 import by_size_and_length

NO_NUMBER = "yes, in its abstract; no number in the slides"
CAPTION = (
    "What the paper claims and what the runs of this study, scale {scale}, say of it. Effects are TransMix minus the "
    "baseline (of λ: area’s error minus attention’s), paired by seed, mean ± 95 % interval over seeds, of several "
    "models the mean over them; above zero they support the claim. Published effects are Table 1’s; others are not in "
    "the slides."
)
RULES = (  # how it is judged, below the table
    "A claim is tested by a two-sided paired t-test over seeds at 5 %, {corrected}: the more claims, the stronger the "
    "evidence that each must have, so that hardly one is shown by chance. One about every model is shown where each "
    "model that was tested shows it. In parentheses: how much of what the paper claims or this study plans was run.",
    "Seeds that would be needed: for 80 % of such studies to show the published effect, else the one seen here, before "
    "the correction and if the spread is what these few seeds show.",
    "Published runs of this suite are judged apart from this study’s, by the same rules.",
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


def _lambda(collected: Collected, planned: list[GainRow]) -> Finding:
    def error(row: str, rule: str) -> Arm:
        return arm_of(collected, "lambda", row, TRANSMIX).of(metric(f"error_{rule}"))

    def nearer(rule: str) -> Finding:
        pairs = {model_name(row): Comparison(error(row, "area"), error(row, rule)) for row in collected.study.rows}
        return Finding(pairs, unit="of λ", sign=-1, digits=3)

    mean = nearer("mean")
    label = f"(a) TransMix’s label, the mean of area and attention: {_effect(mean)}." if mean.gains else ""
    return replace(nearer("attention"), aside=label)


def _top1(collected: Collected, planned: list[GainRow]) -> Finding:
    tested = [row.published_gain for row in planned if row.gain is not None and row.published_gain is not None]
    return Finding({row.model: row.comparison for row in planned}, expected=fmean(tested) if tested else None)


def _every(collected: Collected, planned: list[GainRow]) -> Finding:
    return Finding({row.model: row.comparison for row in planned}, every=True, claimed=_paper_models())


def _parameters(collected: Collected, planned: list[GainRow]) -> Finding:
    counted = metric("parameters")
    pairs = {row.model: Comparison(*(arm.of(counted) for arm in row.comparison.arms)) for row in planned}
    return Finding(pairs, unit="parameters", digits=0, exact=True, claimed=_paper_models())


def _paper_models() -> list[str]:
    return [row.model for row in table1().values()]


def _fine_tuned(task: Task) -> Callable[[Collected, list[GainRow]], Finding]:
    def find(collected: Collected, planned: list[GainRow]) -> Finding:
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
    def find(collected: Collected, planned: list[GainRow]) -> Finding:
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
    """What is found about every claim, and the verdicts, corrected for all that the study plans to test."""
    planned = [row for row in gain_rows(collected) if row.comparison.planned]
    found = {key: claim.find(collected, planned) for key, claim in CLAIMS.items()}
    judged = _corrected(found)
    counted = {key: finding.counted for key, finding in found.items() if finding.exact}
    return {key: (finding, (judged | counted).get(key, Verdict(NOT_TESTED))) for key, finding in found.items()}


def _corrected(found: dict[str, Finding]) -> dict[str, Verdict]:
    """The verdicts that rest on a test."""
    return judge({key: finding.evidence for key, finding in found.items() if finding.planned and not finding.exact})


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
    bench, problem = _step_time.measured(collected)
    _add_time(lines[[*CLAIMS].index("d")], found["d"], bench)
    beside = others(collected)
    for place, (_, there) in enumerate(beside):
        for line, cells in zip(lines, _published(there), strict=True):
            line |= {set_key(place, name): cell for name, cell in cells.items()}
    columns = COLUMNS + set_columns(beside, {"verdict": "Verdict", "effect": "Effect"})
    notes = [legend("the runs support the claim", "they support its contrary")]
    notes += [finding.aside for finding, _ in found.values() if finding.aside]
    notes += [f"(b) {note}" for note in (by_size_and_length(collected), regime(collected)) if note]
    notes += _parameter_notes(found["d"][0]) + (_step_time.notes(bench) if bench else []) + [problem] * bool(problem)
    single = any(gain.count == 1 for finding, _ in found.values() for gain in finding.gains.values())
    notes += ["One seed tests nothing: SEEDS=5 gives every effect an interval and a verdict."] if single else []
    corrected = correction_text(_corrected({key: finding for key, (finding, _) in found.items()}), "claim")
    notes += [rule.format(corrected=corrected) for rule in RULES]
    caption = CAPTION.format(scale=collected.study.scale.name)
    return Table("claims", caption, columns, tuple(lines), tuple(notes))


def _add_time(cells: dict[str, Cell], found: tuple[Finding, Verdict], bench: Bench | None) -> None:
    """What a step takes beside CutMix's, where a full bench has measured it, or how to measure it."""
    finding, verdict = found
    cells["verdict"] = replace(cells["verdict"], text=_step_time.verdict_text(verdict, bench))
    if bench is None:
        cells["here"] = replace(cells["here"], text=f"{cells['here'].text} ({_step_time.HOW})")
        return
    parameters = f"{cells['effect'].text}; " if finding.gains else "parameters not run; "
    cells["effect"] = replace(cells["effect"], kind="measured", text=parameters + _step_time.effect_text(bench))
    steps = f"a step of {' and of '.join(step['where'] for step in bench.steps)}, on {bench.where}"
    cells["here"] = replace(cells["here"], text=f"{cells['here'].text}; {steps}")


def _parameter_notes(finding: Finding) -> list[str]:
    """A line for each model; none where there is one, which the table names."""
    seeds = {name: plural(gain.count, "seed") for name, gain in finding.gains.items()}
    return [f"(d) {name}: {_effect(finding, name)}, {count}." for name, count in seeds.items() if len(seeds) > 1]


def _published(there: Collected) -> list[dict[str, Cell]]:
    """The verdict and effect of every claim by published runs alone."""
    found = []
    for finding, verdict in verdicts(there).values():
        if not finding.gains:
            found.append({"verdict": missing(NONE), "effect": missing(NONE)})
            continue
        word = _step_time.verdict_text(verdict, None) if finding.exact else verdict.text
        effect = Cell(_effect(finding), "published", finding.sources)
        found.append({"verdict": Cell(word, "published"), "effect": effect})
    return found


def _cells(claim: Claim, paper: list[GainRow], finding: Finding, verdict: Verdict, key: str) -> dict[str, Cell]:
    gains = finding.gains
    cells = {"claim": Cell(f"({key}) {claim.text}"), "paper": Cell(claim.paper(paper), "published")}
    cells |= {"where": Cell(tables()[claim.where].label, leads_to=claim.where)}
    if not gains:
        return cells | {"here": missing(finding.lack), "effect": missing(finding.lack), "verdict": Cell(verdict.text)}
    seeds = sorted({gain.count for gain in gains.values()})
    return cells | {
        "here": Cell(f"{', '.join(finding.by_seed)}; {' to '.join(plural(count, 'seed') for count in seeds)}"),
        "effect": Cell(_effect(finding), "measured", finding.sources),
        "verdict": Cell(verdict.text),
    }


def _effect(finding: Finding, name: str = "") -> str:
    """``+0.70 ± 0.20 points``; of several models, if none is named, the smallest and the largest."""
    gains = [finding.gains[name]] if name else sorted(finding.gains.values(), key=lambda gain: gain.mean)
    texts = (estimate_text(gain, sign=True, digits=finding.digits) for gain in (gains[0], gains[-1]))
    return f"{' to '.join(dict.fromkeys(texts))} {finding.unit}"


def numbers(collected: Collected) -> Numbers:
    """The table for programs, unrounded: a line for each claim, model and effect."""
    lines = []
    for key, (finding, verdict) in verdicts(collected).items():
        lines += _numbers(key, finding, verdict)
        if key == "d" and (bench := _step_time.measured(collected)[0]):
            lines += [dict.fromkeys(lines[-1]) | _named(key) | line for line in _step_time.numbers(bench)]
    return lines


def _named(key: str) -> dict[str, str]:
    return {"claim": key, "text": CLAIMS[key].text}


def _numbers(key: str, finding: Finding, verdict: Verdict) -> Numbers:
    shared = _named(key) | {"unit": finding.unit, "published": finding.expected}
    words = _step_time.verdict_text(verdict, None) if finding.exact else verdict.words
    rounds = {"lowest_round": None, "highest_round": None}
    ends = {"verdict": words, "p_holm": verdict.p, "seeds_needed": verdict.seeds}
    lines = []
    for name, gain in (finding.gains or {"": None}).items():
        line = shared | {"of": name, "seeds": gain.count if gain else 0} | estimate_numbers("effect", gain) | rounds
        ids = dict.fromkeys(source.id for source in finding.sources_of(name)) if gain else ()
        lines.append(line | ends | {"records": " ".join(ids)})
    return lines


TABLE = TableSpec(label="Claims", title="The paper’s claims", build=build, numbers=numbers, position=0)
