"""The plain words at the top of a report, all of them made from records."""

from __future__ import annotations

from experiments.records import NAME
from experiments.rows import model_name, table1
from reports.analysis.words import plural
from reports.formats.table import UNREADABLE
from reports.records.collect import DONE, Collected


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
    """A heading and sentences each: what was run, what is missing, and what lies beside it."""
    found = [("Runs", f"{_runs(collected)} {_data(collected)}"), ("Not run", _missing(collected))]
    return found + ([("Not shown", beside)] if (beside := _beside(collected)) else [])


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
    name = collected.study.classification_data.name
    classified = [record.data for record in collected.records if record.data.name == name]
    if not classified:
        return f"Data: {name}; nothing has been measured on it yet."
    data = classified[0]
    images = data.images
    kind = "embedded synthetic scenes" if data.embedded else data.source
    return (
        f"Data: {data.name} ({kind}): {data.classes:,} classes, {images['train']:,} training and "
        f"{images['val']:,} validation images."
    )


def _beside(collected: Collected) -> str:
    """How many runs of this scale are done that the study does not plan; empty where there is none."""
    folder = collected.study.results / collected.study.scale.name
    done = {path.parent.name for path in folder.glob(f"*/{NAME}")} - {result.run.id for result in collected.results}
    if not done:
        return ""
    return f"{plural(len(done), 'record')} beside these in {folder}, of other seeds, rows, methods or settings."


def _missing(collected: Collected) -> str:
    measured = {result.run.row for result in collected.results if result.run.kind == "train" and result.record}
    absent = [row.model for name, row in table1().items() if name not in measured]
    text = f"{len(absent)} of the {len(table1())} rows of the paper’s Table 1" if absent else "every row was run"
    text += f" ({', '.join(absent)})" if absent else ""
    broken = sum(result.status == UNREADABLE for result in collected.results)
    waiting = sum(result.status != DONE for result in collected.results) - broken
    if waiting:
        text += f"; {plural(waiting, 'planned run')} of this study"
    if broken:
        text += f"; {plural(broken, 'record')} unreadable"
    return text[0].upper() + text[1:] + "."
