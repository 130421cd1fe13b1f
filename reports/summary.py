"""The plain words at the top of a report, all of them made from records."""

from __future__ import annotations

from experiments.published import model_name, table1
from reports import fine_tuning, lambdas, occlusion, table2, table3, table4
from reports.collect import DONE, Collected
from reports.table import UNREADABLE
from reports.table1 import GainRow, gain_rows
from reports.words import gain_text, intervals_text, number, plural


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
    """Up to six lines, each a heading and a sentence: runs, data, gain, other measurements, what is missing."""
    rows = gain_rows(collected)
    tuned = " ".join(filter(None, (fine_tuning.summary(collected, module.TASK) for module in (table3, table4))))
    found = [
        ("Runs", _runs(collected)),
        ("Data", _data(collected)),
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
        return f"{collected.study.classification_data.name}; nothing has been measured on it yet."
    data = classified[0]
    images = data["images"]
    kind = "embedded synthetic scenes" if data.get("embedded") else data.get("source", "class folders")
    return (
        f"{data['name']} ({kind}): {data['classes']:,} classes, {images['train']:,} training and "
        f"{images['val']:,} validation images."
    )


def _gains(rows: list[GainRow]) -> str:
    measured = [row for row in rows if row.comparison.verdict]
    if not measured:
        return "None: no row has both a baseline and a TransMix run yet."
    if len(measured) == 1:
        return f"{measured[0].published.model}: {measured[0].comparison.verdict}"
    gains = [row for row in measured if row.gain is not None]
    parts = ", ".join(f"{row.published.model} {gain_text(row.gain)}" for row in gains)
    return f"{parts} points of top-1{intervals_text([row.gain for row in gains])}."


def _others(collected: Collected) -> str:
    parts = []
    for row in collected.study.rows:
        found = occlusion.comparison(collected, row)
        if found.gain is not None:
            before, after = (number(arm.mean.mean) for arm in found.arms)
            parts.append(
                f"{model_name(row)} under occlusion keeps {before} % top-1 on average without and {after} % with "
                f"TransMix ({gain_text(found.gain)})."
            )
        if collected.values("lambda", row, "transmix", "mixes"):
            parts.append(f"{model_name(row)}, labels: {lambdas.verdict(collected, row)}.")
    return " ".join(parts[:2]) or "Neither occlusion nor the label study has been run for both methods."


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
