"""The plain words at the top of a report, all of them made from records."""

from __future__ import annotations

from experiments.published import model_name, table1
from reports.analysis.words import gains_text, number, plural
from reports.formats.table import UNREADABLE
from reports.records.collect import DONE, Collected
from reports.tables import fine_tuning, lambdas, occlusion, table2, table3, table4, table5
from reports.tables.table1 import GainRow, gain_rows


def banner(collected: Collected) -> str:
    """What the numbers of this scale are not; empty at paper scale."""
    scale = collected.study.scale
    if scale.name == "paper":
        return ""
    if collected.study.imagenet is not None:
        name = collected.study.classification_data.name
        return (
            f"Scale {scale.name} on images of your own ({name}), with stand-ins for the paper’s "
            "models. The measured numbers are not comparable with the published column."
        )
    return (
        f"Scale {scale.name}: {scale.purpose}. The measured numbers come from stand-in models on synthetic "
        "scenes. They are not ImageNet results and are not comparable with the published column."
    )


def lines(collected: Collected) -> list[tuple[str, str]]:
    """Up to five lines, a heading and sentences each: runs, gain, fine-tuning, other measurements, what is missing."""
    rows = gain_rows(collected)
    tuned = " ".join(filter(None, (fine_tuning.summary(collected, module.TASK) for module in (table3, table4))))
    found = [
        ("Runs", f"{_runs(collected)} {_data(collected)}"),
        ("Gain", " ".join(filter(None, [_gains(rows), table2.regime(table2.mix_rows(collected))]))),
        ("Fine-tuned", tuned),
        ("Also", _others(collected)),
        ("Not run", _missing(collected, rows)),
    ]
    return [(heading, sentence) for heading, sentence in found if sentence]


def _runs(collected: Collected) -> str:
    study = collected.study
    names = ", ".join(model_name(row) for row in study.rows)
    text = (
        f"{len(collected.records)} of {plural(len(collected.results), 'planned run')} at scale "
        f"{study.scale.name}: {names}, with and without TransMix, {plural(study.seeds, 'seed')} each."
    )
    changed = ", ".join(f"{name}={value}" for name, value in study.changed.items())
    return text + (f" Recipe settings changed for this study: {changed}." if changed else "")


def _data(collected: Collected) -> str:
    classified = [result.record["data"] for result in collected.results if result.record and not result.run.part]
    if not classified:
        return f"Data: {collected.study.classification_data.name}; nothing has been measured on it yet."
    data = classified[0]
    images = data["images"]
    kind = "embedded synthetic scenes" if data.get("embedded") else data.get("source", "class folders")
    return (
        f"Data: {data['name']} ({kind}): {data['classes']:,} classes, {images['train']:,} training and "
        f"{images['val']:,} validation images."
    )


def _gains(rows: list[GainRow]) -> str:
    measured = [row for row in rows if row.comparison.verdict]
    if not measured:
        return "None: no row has a baseline and a TransMix run of the same seed yet."
    if len(measured) == 1:
        row = measured[0].published
        return f"{row.model}: {measured[0].comparison.verdict} Published: {number(row.gain, 1, sign=True)} points."
    gains = {row.published.model: row.gain for row in measured if row.gain is not None}
    if not gains:
        return "None: the records were made on different data."
    return f"Top-1: {gains_text(gains, {row.published.model: row.published.gain for row in rows})}."


def _others(collected: Collected) -> str:
    """Occlusion and hard images, and what the labels of the first row that was looked at are worth."""
    rows = {model_name(row): row for row in collected.study.rows}
    measured = {
        f"Area under the curve, {occlusion.FIRST}": {
            n: occlusion.comparison(collected, row) for n, row in rows.items()
        },
        "Top-1 on hard images of known classes": {n: table5.comparison(collected, row) for n, row in rows.items()},
    }
    parts = []
    for title, compared in measured.items():
        gains = {name: found.gain for name, found in compared.items() if found.gain is not None}
        parts += [f"{title}: {gains_text(gains)}."] if gains else []
    looked_at = {name: row for name, row in rows.items() if collected.values("lambda", row, "transmix", "mixes")}
    parts += [f"{name}, labels: {lambdas.verdict(collected, row)}." for name, row in [*looked_at.items()][:1]]
    return " ".join(parts) or "No difference in robustness can be formed yet, and the label study has not been run."


def _missing(collected: Collected, rows: list[GainRow]) -> str:
    absent = [row.published.model for row in rows if not any(arm.results for arm in row.arms)]
    text = f"{len(absent)} of the {len(table1())} rows of the paper’s Table 1" if absent else "every row was run"
    text += f" ({', '.join(absent)})" if absent else ""
    broken = sum(result.status == UNREADABLE for result in collected.results)
    waiting = sum(result.status != DONE for result in collected.results) - broken
    if waiting:
        text += f"; {plural(waiting, 'planned run')} of this study"
    if broken:
        text += f"; {plural(broken, 'record')} unreadable"
    return text[0].upper() + text[1:] + "."
